import { attempt } from "./buttons.js";
import { one } from "./element.js";

/**
 * The keys of the message box. Enter sends, Shift+Enter is a new line; Up in an empty box changes my last message, Escape
 * gives that, or a reply, up and destroys nothing.
 * @param {import("../models/chat.js").Chat} chat
 * @param {import("./composer.js").Composer} composer
 */
export function listenInComposer(chat, composer) {
  const field = one("#text");

  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") composer.giveUp();
    if (event.key === "ArrowUp" && field.value === "") editLast(event);
    if (event.key !== "Enter" || (event.shiftKey && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    if (field.value.trim()) one("#composer").requestSubmit();
  });

  const editLast = (/** @type {Event} */ event) => {
    const mine = chat.open?.timeline.messages.findLast(({ sender_id, deleted_at }) => sender_id === chat.me?.id && !deleted_at);
    if (!mine) return;
    event.preventDefault();
    void attempt(field, "edit", { id: mine.id });
  };
}
