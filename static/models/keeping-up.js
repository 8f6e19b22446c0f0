import { apply, outdate } from "./events.js";

/** @typedef {import("./chat.js").Chat} Chat */

/** Keep a chat as the server has it, through every connection. @param {Chat} chat */
export function keepUp(chat) {
  const { connection } = chat;
  connection.following.addEventListener("event", (event) => apply(chat, detailOf(event)));
  connection.following.addEventListener("joined", (event) => outdate(chat, roomIn(detailOf(event))));
  chat.stream.addEventListener("event", () => chat.inbox.loading.run());
  connection.addEventListener("state", () => {
    if (connection.state.name === "online") goOn(chat, connection.state.user);
  });
}

/** Connected: what had to wait goes on. @param {Chat} chat @param {import("./shapes.js").User} user */
function goOn(chat, user) {
  if (chat.me && chat.me.id !== user.id) return refuse(chat, user);
  chat.me = user;
  chat.keep.belongTo(user);
  chat.outbox.restore();
  chat.people.add(user);
  for (const errand of [chat.outbox.sending, chat.reader.telling, chat.inbox.loading, chat.mending]) errand.run();
}

/** Another tab has logged in as somebody else, who must not send what waits here. @param {Chat} chat @param {import("./shapes.js").User} user */
function refuse(chat, user) {
  chat.keep.belongTo(user);
  chat.stop();
  chat.connection.close(1000, "somebody else has logged in, reload the page");
  chat.dispatchEvent(new Event("stranger"));
}

function detailOf(/** @type {Event} */ event) {
  return /** @type {CustomEvent} */ (event).detail;
}

/** The room of a `room:` channel; of another one, which has to do with the room list only, none. */
function roomIn(/** @type {string} */ channel) {
  return channel.startsWith("room:") ? channel.slice("room:".length) : "";
}
