import { wordsIn } from "../models/markup.js";
import { one } from "./element.js";
import { t } from "./words.js";

const BURST_MS = 700; // what comes within it is told together

/** New messages of the room on screen, read out politely: one by its words, a burst by its number. @param {import("../models/chat.js").Chat} chat */
export function announceMessages(chat) {
  const place = one("#announcer");
  /** @type {import("../models/shapes.js").Message[]} */ let heard = [];
  let timer = 0;

  const tell = () => {
    const [first] = heard;
    const count = heard.length;
    place.textContent =
      count === 1 ? t("announce.one", { name: chat.people.nameOf(first.sender_id), text: wordsIn(first.text) }) : t("announce.many", { count });
    heard = [];
    timer = 0;
  };

  chat.addEventListener("posted", (event) => {
    const { message } = /** @type {CustomEvent} */ (event).detail;
    if (message.room_id !== chat.open?.id || message.sender_id === chat.me?.id) return;
    heard.push(message);
    timer ||= window.setTimeout(tell, BURST_MS);
  });
}
