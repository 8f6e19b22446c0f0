import { isMine } from "../models/room.js";
import { one, rowOf, say, showAvatar } from "./element.js";
import { showRows } from "./rows.js";
import { t } from "./words.js";

/** @typedef {{id: string}} WithId */

const key = (/** @type {WithId} */ { id }) => id;

/** Public rooms to join, and people to write to. @param {import("../models/chat.js").Chat} chat */
export function showDirectory(chat) {
  chat.directory.addEventListener("change", () => {
    const { rooms } = chat.directory;
    const people = chat.directory.people.filter(({ id }) => id !== chat.me?.id);
    one("#no-public-rooms").hidden = rooms.length > 0;
    one("#nobody").hidden = people.length > 0;
    showRows(one("#public-room-list"), rooms, { key, make: () => rowOf("public-room-row"), fill: fillRoom });
    showRows(one("#people-list"), people, { key, make: () => rowOf("person-row"), fill: fillPerson });
  });
}

/** @param {HTMLElement} row @param {import("../models/shapes.js").Room} room */
function fillRoom(row, room) {
  say(one(".name", row), room.name);
  say(one(".topic", row), room.topic);
  const button = one("button", row);
  button.dataset.verb = isMine(room) ? "open-room" : "join-room";
  button.dataset.id = room.id;
  say(button, t(isMine(room) ? "room.open" : "room.join"));
}

/** @param {HTMLElement} row @param {import("../models/shapes.js").User} user */
function fillPerson(row, user) {
  showAvatar(one(".avatar", row), user.id, user.display_name);
  say(one(".name", row), user.display_name);
  say(one(".username", row), `@${user.username}`);
  one("button", row).dataset.id = user.id;
}
