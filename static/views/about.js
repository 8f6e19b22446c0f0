import { Problem } from "../client/problem.js";
import { one, rowOf, say, sayOrHide, showAvatar } from "./element.js";
import { showRows } from "./rows.js";
import { areSure } from "./sure.js";
import { presenceWords } from "./time.js";
import { watchPresence } from "./typing.js";
import { t } from "./words.js";

/** @typedef {import("../models/shapes.js").Member} Member */

/** The open room's members and what I may change of it. @param {import("../models/chat.js").Chat} chat */
export function showAbout(chat) {
  const { directory } = chat;
  const mayRule = () => ["owner", "moderator"].includes(chat.open?.room?.role ?? "") || ["owner", "admin"].includes(chat.me?.role ?? "");

  const show = () => {
    const room = chat.open?.room;
    const isDirect = room?.kind === "direct";
    const isOver = !room || room.archived_at !== null;
    one("#change-room").hidden = isDirect || isOver || !mayRule();
    one("#add-member").hidden = isDirect || isOver || !mayRule();
    one("#archive-room").hidden = isDirect || isOver || !mayRule();
    one("#leave-room").hidden = isDirect || !room;
    say(one("#member-count"), t("about.members", { count: directory.members.length }));
    showRows(one("#members"), directory.members, { key: ({ user_id }) => user_id, make: () => rowOf("member-row"), fill });
  };

  /** @param {HTMLElement} row @param {Member} member */
  const fill = (row, { user_id, username, display_name, role }) => {
    const seen = chat.open?.presence?.of(user_id);
    showAvatar(one(".avatar", row), user_id, display_name);
    say(one(".name", row), display_name);
    say(one(".username", row), `@${username}`);
    say(one(".role", row), role === "member" ? "" : (role ?? ""));
    one(".presence", row).dataset.status = seen?.status ?? "offline";
    sayOrHide(one(".presence", row), seen ? presenceWords(seen) : "");
    const button = one("button", row);
    button.dataset.id = user_id;
    button.hidden = user_id === chat.me?.id || !mayRule() || chat.open?.room?.kind === "direct";
  };

  one("#about").addEventListener("beforetoggle", () => {
    one("#change-room-name").value = chat.open?.room?.name ?? "";
    one("#change-room-topic").value = chat.open?.room?.topic ?? "";
  });
  directory.addEventListener("change", show);
  chat.rooms.addEventListener("change", show);
  watchPresence(chat, show);
}

/** What may be done there. @param {import("../models/chat.js").Chat} chat */
export function aboutActions(chat) {
  const { call } = chat.connection;
  return {
    "leave-room": async () => {
      if (await areSure(t("about.sureToLeave"), t("about.leave"))) await call("rooms.leave", { room_id: chat.open?.id });
      one("#about").close();
    },
    "archive-room": async () => {
      if (await areSure(t("about.sureToArchive"), t("about.archive"))) await call("rooms.archive", { room_id: chat.open?.id });
      one("#about").close();
    },
    "add-member": async (/** @type {{username: string}} */ { username }) => {
      const person = await chat.directory.personCalled(username);
      if (!person) throw new Problem({ code: "invalid", message: "", fields: [{ field: "username", message: t("about.noSuchPerson") }] });
      await call("rooms.add_member", { room_id: chat.open?.id, user_id: person.id });
      if (chat.open) await chat.directory.listMembers(chat.open.id);
    },
  };
}
