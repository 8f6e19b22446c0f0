import { outdate } from "./models/events.js";
import { linkTo } from "./models/place.js";
import { unreadIn } from "./models/room.js";

/** @typedef {import("./models/shapes.js").Room} Room */
/** @typedef {import("./models/chat.js").Chat} Chat */

/**
 * What a visitor may ask for: verb -> what is done.
 * @param {{session: import("./models/session.js").Session, enter: () => void}} app
 */
export function entryActions({ session, enter }) {
  return {
    "log-in": (/** @type {any} */ who) => session.logIn(who).then(enter),
    register: (/** @type {any} */ who) => session.register(who).then(enter),
    "set-up": (/** @type {any} */ owner) => session.setUp(owner).then(enter),
    "log-out": () => session.logOut(),
    reload: () => location.reload(),
  };
}

/** What somebody who is in may ask for. @param {Chat} chat @param {(link: string) => void} go */
export function chatActions(chat, go) {
  const { connection, inbox, directory, outbox } = chat;
  return {
    connect: () => connection.open(),
    "retry-post": (/** @type {{id: string}} */ { id }) => outbox.retry(id),
    "discard-post": (/** @type {{id: string}} */ { id }) => outbox.discard(id),
    "load-earlier": () => chat.open?.loadEarlier(),
    "load-later": () => chat.open?.loadLater(),
    "list-rooms": () => directory.listRooms(),
    "find-people": (/** @type {{query?: string}} */ { query }) => directory.findPeople(query),
    "load-members": () => (chat.open ? directory.listMembers(chat.open.id) : undefined),
    "read-notification": (/** @type {{id: string}} */ { id }) => inbox.read(id),
    "read-all-notifications": () => inbox.readAll(),
    "load-earlier-notifications": () => inbox.loadEarlier(),
    "read-all-rooms": () => {
      for (const room of chat.rooms.all.filter((one) => unreadIn(one) > 0)) {
        chat.rooms.wasRead(room.id, room.last_message_seq);
        chat.reader.mark(room.id, room.last_message_seq);
      }
    },
    ...roomActions(chat, go),
  };
}

/** @param {Chat} chat @param {(link: string) => void} go */
function roomActions(chat, go) {
  const { call } = chat.connection;
  const open = (/** @type {Room} */ room) => {
    chat.rooms.put(room);
    outdate(chat, room.id);
    go(linkTo(room.id));
  };
  return {
    "create-room": async (/** @type {object} */ fields) => open(await call("rooms.create", fields)),
    "open-room": (/** @type {{id: string}} */ { id }) => go(linkTo(id)),
    "join-room": async (/** @type {{id?: string}} */ { id = chat.open?.id }) => open(await call("rooms.join", { room_id: id })),
    "open-direct": async (/** @type {{id: string}} */ { id }) => open(await call("direct.open", { user_id: id })),
    "change-room": async (/** @type {object} */ fields) => {
      await call("rooms.update", { room_id: chat.open?.id, ...fields });
    },
    "remove-member": async (/** @type {{id: string}} */ { id }) => {
      await call("rooms.remove_member", { room_id: chat.open?.id, user_id: id });
      if (chat.open) await chat.directory.listMembers(chat.open.id);
    },
  };
}
