import { linkTo } from "../models/place.js";
import { inOrder, unreadIn } from "../models/room.js";
import { openDialog } from "./buttons.js";
import { one } from "./element.js";

/**
 * The keys that work everywhere, and: whoever just types, types into the message box.
 * @param {import("../models/chat.js").Chat} chat
 * @param {(link: string) => void} go
 */
export function listenToKeys(chat, go) {
  addEventListener("keydown", (event) => {
    if (!chat.isIn || event.isComposing || event.defaultPrevented) return;
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key.toLowerCase() === "k") return doing(event, () => openDialog(one("#switcher")));
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      return doing(event, () => turn(event.key === "ArrowUp" ? -1 : 1, event.shiftKey));
    }
    if (isCommand || event.altKey || isWriting(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") return doing(event, () => openDialog(one("#keys")));
    if ([...event.key].length === 1 && event.key !== " " && one("#composer").checkVisibility()) one("#text").focus();
  });

  /** @param {number} by @param {boolean} isUnread */
  const turn = (by, isUnread) => {
    const rooms = inOrder(chat.rooms.all, (room) => chat.nameOf(room));
    const at = rooms.findIndex(({ id }) => id === chat.open?.id);
    const ring = by > 0 ? [...rooms.slice(at + 1), ...rooms.slice(0, at + 1)] : [...rooms.slice(0, Math.max(at, 0)).reverse(), ...rooms.slice(Math.max(at, 0)).reverse()];
    const room = ring.find((one) => !isUnread || unreadIn(one) > 0);
    if (room && room.id !== chat.open?.id) go(linkTo(room.id));
  };
}

function doing(/** @type {Event} */ event, /** @type {() => void} */ work) {
  event.preventDefault();
  work();
}

function isWriting(/** @type {EventTarget | null} */ target) {
  return target instanceof Element && target.matches("input, textarea, select, [contenteditable]");
}
