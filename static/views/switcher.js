import { linkTo } from "../models/place.js";
import { inOrder, unreadIn } from "../models/room.js";
import { one, rowOf, say, showCount } from "./element.js";
import { showRows } from "./rows.js";
import { t } from "./words.js";

const MOST = 12;

/**
 * Go to a room or a person by a part of the name.
 * @param {import("../models/chat.js").Chat} chat
 * @param {(link: string) => void} go
 */
export function offerSwitcher(chat, go) {
  const [dialog, field, list] = [one("#switcher"), one("#switcher-query"), one("#switcher-list")];
  let chosen = 0;

  const found = () => {
    const wanted = field.value.trim().toLocaleLowerCase();
    const rooms = inOrder(chat.rooms.all, (room) => chat.nameOf(room)).filter((room) => chat.nameOf(room).toLocaleLowerCase().includes(wanted));
    return rooms.toSorted((room, other) => Number(unreadIn(other) > 0) - Number(unreadIn(room) > 0)).slice(0, MOST);
  };

  const show = () => {
    const rooms = found();
    chosen = Math.max(0, Math.min(chosen, rooms.length - 1));
    one("#switcher-none").hidden = rooms.length > 0;
    showRows(list, rooms, { key: ({ id }) => id, make: () => rowOf("switch-row"), fill });
    for (const [index, row] of [...list.children].entries()) {
      row.id = `switch-${index}`;
      row.ariaSelected = String(index === chosen);
      if (index === chosen) row.scrollIntoView({ block: "nearest" });
    }
    field.setAttribute("aria-activedescendant", rooms.length ? `switch-${chosen}` : "");
  };

  /** @param {HTMLElement} row @param {import("../models/shapes.js").Room} room */
  const fill = (row, room) => {
    row.dataset.room = room.id;
    say(one(".mark", row), { public: "#", private: "◦", direct: "@" }[room.kind]);
    say(one(".name", row), chat.nameOf(room));
    showCount(one(".count", row), unreadIn(room), t("nav.unread", { count: unreadIn(room) }));
  };

  const choose = (/** @type {HTMLElement | undefined} */ row) => {
    if (!row) return;
    dialog.close();
    go(linkTo(row.dataset.room ?? ""));
  };

  field.addEventListener("input", () => {
    chosen = 0;
    show();
  });
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    chosen += by;
    show();
  });
  one("#switcher-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    choose(list.children[chosen]);
  });
  list.addEventListener("click", (/** @type {Event} */ { target }) => choose(/** @type {Element} */ (target).closest("li") ?? undefined));
  // At once: a "toggle" comes later, and would take away what a quick hand has typed by then.
  dialog.addEventListener("beforetoggle", () => {
    field.value = "";
    chosen = 0;
    show();
  });
}
