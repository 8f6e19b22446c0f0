import { wordsIn } from "../models/markup.js";
import { linkTo } from "../models/place.js";
import { one, say } from "./element.js";
import { t } from "./words.js";

/** @typedef {import("../models/chat.js").Chat} Chat */
/** @typedef {import("../models/shapes.js").Message} Message */

const SNIPPET = 140;

/** What a reply is to, in a line above it, that leads there. @param {Chat} chat @param {HTMLElement} row @param {string | null} [id] */
export function fillSource(chat, row, id) {
  const place = one(".source", row);
  const source = chat.open?.sources.of(id) ?? null;
  place.hidden = !id;
  if (!id) return;
  if (source) place.href = linkTo(source.room_id, source.seq);
  else place.removeAttribute("href");
  place.dataset.seq = String(source?.seq ?? "");
  say(one("b", place), source ? chat.people.nameOf(source.sender_id) : "");
  say(one("span", place), source ? snippetOf(source) : "…");
}

/** @param {Message} message */
export function snippetOf({ text, deleted_at }) {
  if (deleted_at) return t("message.deleted");
  const line = wordsIn(text);
  return line.length > SNIPPET ? `${line.slice(0, SNIPPET)}…` : line;
}

/** A source that is in the log is shown where it stands; another one is gone to, as every link is. @param {import("./scroll.js").Scroll} scroll */
export function followSources(scroll) {
  const log = one("#log");
  log.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const link = event.target instanceof Element && /** @type {HTMLElement | null} */ (event.target.closest(".source"));
    const row = link && link.dataset.seq ? log.querySelector(`li[data-seq="${link.dataset.seq}"]`) : null;
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    scroll.to(row);
    flash(row);
  });
}

/** @param {HTMLElement} row */
function flash(row) {
  row.classList.remove("linked");
  void row.offsetWidth; // so that it flashes once more
  row.classList.add("linked");
  row.focus({ preventScroll: true });
}
