import { linkTo } from "../models/place.js";
import { one } from "./element.js";

/** @typedef {import("../models/shapes.js").Message} Message */

/** What may be done with a message: opened by its button, by Enter on its row, or by the right mouse button. @param {import("../models/chat.js").Chat} chat */
export function offerMenu(chat) {
  const menu = one("#message-menu");
  const log = one("#log");
  /** @type {HTMLElement | null} */ let opener = null;

  const open = (/** @type {HTMLElement} */ row) => {
    const message = messageOf(chat, row.dataset.id);
    if (!message || message.deleted_at) return;
    opener = row;
    for (const item of menu.querySelectorAll("button")) {
      item.dataset.id = message.id;
      if (["edit", "ask-to-delete"].includes(item.dataset.verb)) item.hidden = !mayChange(chat, message, item.dataset.verb === "edit");
    }
    menu.showPopover();
    place(menu, one(".more", row));
    one("button:not([hidden])", menu).focus();
  };

  log.addEventListener("click", (/** @type {MouseEvent} */ { target }) => {
    const button = target instanceof Element && target.closest(".more");
    if (button) open(/** @type {HTMLElement} */ (button.closest("li")));
  });
  log.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || !(event.target instanceof HTMLElement) || !event.target.matches("li.message")) return;
    event.preventDefault(); // or the same key press also chooses the first thing of the menu
    open(event.target);
  });
  menu.addEventListener("click", () => menu.hidePopover());
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => step(menu, event));
  menu.addEventListener("toggle", (/** @type {ToggleEvent} */ { newState }) => {
    if (newState === "closed" && (menu.contains(document.activeElement) || document.activeElement === document.body)) opener?.focus();
  });
}

/** @param {import("../models/chat.js").Chat} chat @param {string | undefined} id @returns {Message | undefined} */
export function messageOf(chat, id) {
  return chat.open?.timeline.messages.find((message) => message.id === id);
}

/** A link to a message that leads here from anywhere. @param {Message} message */
export function addressOf({ room_id, seq }) {
  return new URL(linkTo(room_id, seq), location.href).href;
}

/** Mine, and as a moderator or owner of the room I may delete others'. @param {import("../models/chat.js").Chat} chat @param {Message} message @param {boolean} isEdit */
function mayChange({ me, open }, { sender_id }, isEdit) {
  return sender_id === me?.id || (!isEdit && ["owner", "moderator"].includes(open?.room?.role ?? ""));
}

/** Arrows walk the menu. @param {HTMLElement} menu @param {KeyboardEvent} event */
function step(menu, event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const items = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll("button:not([hidden])")]);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  items.at((at + by) % items.length)?.focus();
}

/** Beside what it belongs to, and inside the window. @param {HTMLElement} menu @param {HTMLElement} button */
function place(menu, button) {
  const { right, bottom } = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(right - width, innerWidth - width - 8))}px`;
  menu.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - height - 8))}px`;
}
