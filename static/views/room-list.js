import { linkTo } from "../models/place.js";
import { inOrder, unreadIn } from "../models/room.js";
import { one, rowOf, say, sayOrHide, showAvatar, showCount } from "./element.js";
import { showRows } from "./rows.js";
import { t } from "./words.js";

/** @typedef {import("../models/shapes.js").Room} Room */

const MARKS = { public: "#", private: "◦" };

/** My rooms, what is unread in them, and where a draft waits. @param {import("../models/chat.js").Chat} chat */
export function showRoomList(chat) {
  const show = () => {
    const rooms = inOrder(chat.rooms.all, (room) => chat.nameOf(room));
    const how = { key: (/** @type {Room} */ { id }) => id, make: () => rowOf("place-row"), fill };
    showRows(one("#rooms"), rooms.filter(({ kind }) => kind !== "direct"), how);
    showRows(one("#directs"), rooms.filter(({ kind }) => kind === "direct"), how);
    const elsewhere = rooms.filter(({ id }) => id !== chat.open?.id).reduce((sum, room) => sum + unreadIn(room), 0);
    showCount(one("#elsewhere"), elsewhere, t("nav.unread", { count: elsewhere }));
  };

  /** @param {HTMLElement} row @param {Room} room */
  function fill(row, room) {
    const link = one("a", row);
    const unread = unreadIn(room);
    const mentions = room.kind === "direct" ? 0 : chat.inbox.callsIn(room.id);
    link.href = linkTo(room.id);
    link.ariaCurrent = room.id === chat.open?.id ? "page" : null;
    row.dataset.kind = room.archived_at ? "archived" : room.kind;
    row.classList.toggle("unread", unread > 0);
    if (room.kind === "direct") showAvatar(one(".mark", row), room.other_id ?? "", chat.nameOf(room));
    else say(one(".mark", row), MARKS[room.kind]);
    say(one(".name", row), chat.nameOf(room));
    one(".draft", row).hidden = room.id === chat.open?.id || chat.drafts.of(room.id) === "";
    sayOrHide(one(".mentions", row), mentions ? `@${mentions}` : "");
    one(".mentions", row).title = mentions ? t("nav.mentions", { count: mentions }) : "";
    showCount(one(".count", row), unread, t("nav.unread", { count: unread }));
  }

  for (const model of [chat.rooms, chat.people, chat.drafts, chat.inbox]) model.addEventListener("change", show);
  chat.addEventListener("open", show);
}
