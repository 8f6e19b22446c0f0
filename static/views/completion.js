import { completed, nameBegun, whoMayBeMeant } from "../models/completion.js";
import { one, rowOf, say, showAvatar } from "./element.js";
import { showRows } from "./rows.js";

/** @typedef {import("../models/shapes.js").Member} Member */

const MOST = 6;

/**
 * Behind an `@` the room's members are offered: arrows choose, Enter or Tab or the mouse takes, Escape lets it be. The
 * caret stays in the text, which says which one is chosen (aria-activedescendant).
 * @param {import("../models/chat.js").Chat} chat
 */
export function offerNames(chat) {
  const [field, list] = [one("#text"), one("#names")];
  /** @type {Member[]} */ let offered = [];
  let chosen = 0;

  const show = () => {
    chosen = Math.max(0, Math.min(chosen, offered.length - 1));
    list.hidden = offered.length === 0;
    showRows(list, offered, { key: ({ user_id }) => user_id, make: () => rowOf("name-row"), fill });
    for (const [index, row] of [...list.children].entries()) {
      row.id = `name-${index}`;
      row.ariaSelected = String(index === chosen);
      if (index === chosen) row.scrollIntoView({ block: "nearest" });
    }
    if (offered.length) field.setAttribute("aria-activedescendant", `name-${chosen}`);
    else field.removeAttribute("aria-activedescendant");
  };
  const look = () => {
    const begun = field.selectionStart === field.selectionEnd ? nameBegun(field.value, field.selectionStart) : null;
    const others = (chat.open?.members ?? []).filter(({ user_id }) => user_id !== chat.me?.id);
    offered = begun === null ? [] : whoMayBeMeant(others, begun).slice(0, MOST);
    chosen = 0;
    show();
  };
  const close = () => {
    offered = [];
    show();
  };
  const take = (/** @type {number} */ index) => {
    const { text, caret } = completed(field.value, field.selectionStart, offered[index].username);
    field.value = text;
    field.setSelectionRange(caret, caret);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    close();
  };

  /** @type {Record<string, () => void>} */
  const KEYS = {
    ArrowDown: () => (chosen = (chosen + 1) % offered.length),
    ArrowUp: () => (chosen = (chosen + offered.length - 1) % offered.length),
    Enter: () => take(chosen),
    Tab: () => take(chosen),
    Escape: close,
  };
  field.addEventListener("input", look);
  field.addEventListener("blur", close);
  // On its way down: while names are offered, these keys are about them, not about the message.
  one("#composer").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const work = KEYS[event.key];
    if (!work || offered.length === 0 || event.isComposing || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    work();
    show();
  }, true);
  list.addEventListener("mousedown", (/** @type {Event} */ event) => event.preventDefault()); // the caret stays where it is
  list.addEventListener("click", (/** @type {Event} */ { target }) => {
    const at = [...list.children].indexOf(/** @type {Element} */ (target).closest("li") ?? list);
    if (at >= 0) take(at);
  });
}

/** @param {HTMLElement} row @param {Member} member */
function fill(row, { user_id, username, display_name }) {
  showAvatar(one(".avatar", row), user_id, display_name);
  say(one(".name", row), display_name);
  say(one(".username", row), `@${username}`);
}
