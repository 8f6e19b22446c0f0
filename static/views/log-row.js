import { fillComings } from "./comings.js";
import { one, rowOf, say } from "./element.js";
import { fillMessage, fillPost } from "./message.js";
import { dayWords } from "./time.js";

/** @typedef {import("../models/chat.js").Chat} Chat */
/** @typedef {import("../models/entries.js").Entry} Entry */

const ROWS = { day: "day-row", divider: "divider-row", message: "message-row", post: "message-row", comings: "comings-row" };

/** An empty row of the log. */
export function makeRow(/** @type {Entry} */ { kind }) {
  return rowOf(ROWS[kind]);
}

/** @param {Chat} chat @param {HTMLElement} row @param {Entry} entry */
export function fillRow(chat, row, entry) {
  if (entry.kind === "message") fillMessage(chat, row, entry);
  else if (entry.kind === "post") fillPost(chat, row, entry);
  else if (entry.kind === "comings") fillComings(chat, row, entry.comings);
  else if (entry.kind === "day") say(one("span", row), dayWords(entry.at));
}
