import { one, say, showAvatar } from "./element.js";

const PLAIN = "/icon.svg";
const DOTTED = "/icon-unread.svg";

/** Who I am, and in the tab's title, icon and badge how much is unread. @param {import("../models/chat.js").Chat} chat */
export function showTitle(chat) {
  const show = () => {
    const count = chat.rooms.unread;
    const room = chat.open?.room;
    document.title = `${count ? `(${count}) ` : ""}${room ? `${chat.nameOf(room)} – ` : ""}chat-server`;
    const icon = one("link[rel=icon]");
    const href = count ? DOTTED : PLAIN;
    if (icon.getAttribute("href") !== href) icon.href = href;
    navigator.setAppBadge?.(count).catch(() => {}); // only an installed page has one
    say(one("#me"), chat.me ? chat.people.nameOf(chat.me.id) : "");
    if (chat.me) showAvatar(one("#my-avatar"), chat.me.id, chat.people.nameOf(chat.me.id));
    one("#to-owner").hidden = !["owner", "admin"].includes(chat.me?.role ?? "");
  };
  for (const model of [chat, chat.rooms, chat.people]) {
    model.addEventListener("change", show);
    model.addEventListener("open", show);
  }
}
