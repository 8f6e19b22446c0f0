/** @typedef {import("./chat.js").Chat} Chat */
/** @typedef {import("./shapes.js").ChatEvent} ChatEvent */

/**
 * What each kind of event changes. The list of notifications comes by a stream of its own.
 * @type {Record<string, (chat: Chat, event: ChatEvent) => void>}
 */
const CHANGES = {
  "message.posted": posted,
  "message.edited": messageChanged,
  "message.deleted": messageChanged,
  "room.updated": roomChanged,
  "room.archived": roomChanged,
  "member.joined": joined,
  "member.left": left,
  "member.updated": memberChanged,
  "read.advanced": ({ rooms }, { room_id, read }) => rooms.wasRead(room_id, read.last_read_seq),
  "notification.raised": (chat, { notification }) => chat.dispatchEvent(new CustomEvent("news", { detail: notification })),
};

/** @param {Chat} chat @param {ChatEvent} event */
export function apply(chat, event) {
  CHANGES[event.type]?.(chat, event);
}

/** @param {Chat} chat @param {ChatEvent} event */
function posted(chat, { room_id, message }) {
  chat.rooms.grew(room_id, message.seq);
  chat.dispatchEvent(new CustomEvent("posted", { detail: { message } }));
  if (message.sender_id === chat.me?.id) chat.rooms.wasRead(room_id, message.seq); // posting reads
  if (chat.open?.id === room_id) chat.open.timeline.posted(message, chat.open.isAtEnd);
}

/** @param {Chat} chat @param {ChatEvent} event */
function messageChanged({ open }, { room_id, message }) {
  if (open?.id !== room_id) return;
  open.timeline.changed(message);
  open.sources.changed(message);
}

/** @param {Chat} chat @param {ChatEvent} event */
function roomChanged({ rooms }, { room }) {
  rooms.put(room);
}

/** @param {Chat} chat @param {ChatEvent} event */
function memberChanged(chat, event) {
  const was = chat.people.knownName(event.member.user_id);
  chat.people.add(event.member);
  if (chat.open?.id === event.room_id) chat.open.memberChanged(event, was);
}

/** @param {Chat} chat @param {ChatEvent} event */
function joined(chat, event) {
  const { room_id, member } = event;
  memberChanged(chat, event);
  if (member.user_id === chat.me?.id && !chat.rooms.get(room_id)) outdate(chat, room_id);
}

/** @param {Chat} chat @param {ChatEvent} event */
function left(chat, event) {
  const { room_id, member } = event;
  memberChanged(chat, event);
  if (member.user_id !== chat.me?.id) return;
  chat.rooms.drop(room_id);
  outdate(chat, room_id);
}

/** @param {Chat} chat @param {string} roomId  it must be loaded anew, and the room list with it */
export function outdate(chat, roomId) {
  chat.rooms.freshness.outdate();
  if (chat.open?.id === roomId) chat.open.timeline.freshness.outdate();
  chat.mending.run();
}
