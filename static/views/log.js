import { entriesOf } from "../models/entries.js";
import { one, showCount } from "./element.js";
import { fillRow, makeRow } from "./log-row.js";
import { showRows } from "./rows.js";
import { Scroll } from "./scroll.js";
import { t } from "./words.js";

/** @typedef {import("../models/chat.js").Chat} Chat */

/** The messages of the room that is open, and what I have not sent yet. @param {Chat} chat @param {Scroll} scroll */
export function showLog(chat, scroll) {
  const list = one("#messages");
  let linked = /** @type {number | null} */ (null); // the message that a link leads to, until it was shown
  let isNew = true; // the room: it still has to begin somewhere

  const entries = () => {
    const { open, me } = chat;
    const { messages = [], later = null } = open?.timeline ?? {};
    const posts = later === null ? chat.outbox.posts.filter(({ room_id }) => room_id === open?.id) : [];
    return entriesOf({ messages, posts, me: me?.id ?? "", readUpto: open?.readUpto ?? null, comings: later === null ? open?.comings.all : [] });
  };

  const show = () => {
    const { open } = chat;
    const { messages = [], earlier = null, later = null } = open?.timeline ?? {};
    scroll.around(() => {
      showRows(list, entries(), { key: ({ key }) => key, make: makeRow, fill: (row, entry) => fillRow(chat, row, entry) });
      one("#earlier").hidden = earlier === null;
      one("#beginning").hidden = earlier !== null || !open?.card;
      one("#later").hidden = later === null;
      one("#skeleton").hidden = messages.length > 0 || open === null || open.card !== null;
    });
    scroll.isOpenEnded = later !== null;
    scroll.isAtEnd &&= later === null;
    if (messages.length && (isNew || linked)) begin();
    countBelow();
  };

  const begin = () => {
    const row = linked && list.querySelector(`[data-seq="${linked}"]`);
    const divider = isNew && list.querySelector(".divider");
    if (row) row.classList.add("linked");
    if (row || (divider && linked === null)) scroll.to(row || divider);
    if (row || chat.open?.card) [linked, isNew] = [null, false];
  };

  const countBelow = () => {
    const { open } = chat;
    one("#to-newest").hidden = !open?.card || scroll.isAtEnd;
    const unread = open?.room && (open.room.last_message_seq ?? 0) - (open.room.last_read_seq ?? 0);
    showCount(one("#to-newest .count"), Math.max(0, unread ?? 0), t("nav.unread", { count: unread ?? 0 }));
  };

  chat.addEventListener("open", () => {
    linked = chat.open?.around ?? null;
    isNew = true;
    list.replaceChildren();
    scroll.isOpenEnded = false;
    scroll.toEnd();
    for (const model of [chat.open, chat.open?.timeline, chat.open?.comings, chat.open?.sources]) model?.addEventListener("change", show);
    show();
  });
  chat.people.addEventListener("change", show);
  chat.outbox.addEventListener("change", show);
  chat.rooms.addEventListener("change", countBelow);
  scroll.addEventListener("move", countBelow);
}
