import { aboutActions } from "./about.js";
import { addressOf, messageOf } from "./menu.js";
import { personalActions } from "./preferences.js";
import { areSure } from "./sure.js";
import { t } from "./words.js";

/**
 * What somebody who is in may ask for and what needs the page: the composer, the clipboard, a question before.
 * @param {import("../models/chat.js").Chat} chat
 * @param {import("./composer.js").Composer} composer
 * @param {import("./scroll.js").Scroll} scroll
 */
export function pageActions(chat, composer, scroll) {
  const { call } = chat.connection;
  const toNewest = async () => {
    await chat.open?.toNewest();
    scroll.toEnd();
  };
  const post = async (/** @type {{text?: string}} */ { text = "" }) => {
    const { open } = chat;
    if (!open || !text.trim()) return;
    if (composer.edited) return void (await call("messages.edit", { room_id: open.id, message_id: composer.edited.id, text }));
    open.presence?.rest();
    chat.outbox.add(open.id, text, composer.source?.id);
    toNewest().catch(() => {}); // away: it is shown as soon as that is over
  };
  const ofMessage = (/** @type {(message: import("../models/shapes.js").Message) => unknown} */ work) => async (/** @type {{id: string}} */ { id }) => {
    const message = messageOf(chat, id);
    if (message) await work(message);
  };
  return {
    post,
    "to-newest": toNewest,
    "stop-editing": () => composer.stopEditing(),
    "stop-replying": () => composer.replyTo(null),
    reply: ofMessage((message) => composer.replyTo(message)),
    edit: ofMessage((message) => composer.edit(message)),
    quote: ofMessage(({ text }) => composer.quote(text)),
    "copy-text": ofMessage(({ text }) => navigator.clipboard.writeText(text)),
    "copy-link": ofMessage((message) => navigator.clipboard.writeText(addressOf(message))),
    "ask-to-delete": ofMessage(async ({ id, room_id }) => {
      if (await areSure(t("message.sureToDelete"), t("menu.delete"))) await call("messages.delete", { room_id, message_id: id });
      composer.focus();
    }),
    ...aboutActions(chat),
    ...personalActions(chat),
  };
}
