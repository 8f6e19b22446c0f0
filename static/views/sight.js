import { asProblem } from "../client/problem.js";
import { one } from "./element.js";

const AHEAD_PX = 600; // what lies so near is loaded before it is reached

/**
 * What follows from what is in sight: messages on screen are read, and history loads itself where it is about to be seen.
 * @param {import("../models/chat.js").Chat} chat
 * @param {import("./scroll.js").Scroll} scroll
 */
export function watchSight(chat, scroll) {
  const log = one("#log");
  let isAsked = false;

  const look = () => {
    isAsked = false;
    const { open } = chat;
    if (!open?.card) return;
    const rows = scroll.rows;
    const last = rows.findLast((row) => row.dataset.seq);
    open.isAtEnd = scroll.isAtEnd && open.timeline.later === null;
    open.around = open.isAtEnd ? null : Number(rows.find((row) => row.dataset.seq)?.dataset.seq ?? 0) || open.around;
    if (last) chat.attention.see(Number(last.dataset.seq));
    loadNear(open);
  };

  /** @param {import("../models/open-room.js").OpenRoom} open */
  const loadNear = ({ timeline, loadEarlier, loadLater }) => {
    if (log.scrollTop < AHEAD_PX && timeline.earlier !== null && wasMoved) attempt(loadEarlier);
    else if (log.scrollHeight - log.scrollTop - log.clientHeight < AHEAD_PX && timeline.later !== null) attempt(loadLater);
  };

  let wasMoved = false;
  chat.addEventListener("open", () => (wasMoved = false));
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    log.addEventListener(kind, () => (wasMoved = true), { passive: true });
  }

  /** @param {() => Promise<void>} load */
  const attempt = async (load) => {
    try {
      await load.call(chat.open);
    } catch (error) {
      asProblem(error); // the buttons stay, and say what is wrong when they are pressed
    }
  };

  scroll.addEventListener("move", () => {
    if (isAsked) return;
    isAsked = true;
    queueMicrotask(look);
  });
}
