/** @typedef {import("./chat.js").Chat} Chat */

const FEW = 30;

/** What the last visit saw, so that the next one begins with something to see. @param {Chat} chat */
export function remember({ keep, me, open, rooms, people }) {
  if (!me) return;
  const messages = open?.timeline.later === null ? open.timeline.messages.slice(-FEW) : [];
  keep.set("seen", { rooms: rooms.all, people: people.all, room: open?.id ?? "", messages });
}

/** Begin with it. Everything is loaded anew as soon as there is a connection. @param {Chat} chat */
export function recall(chat) {
  const seen = chat.keep.get("seen");
  chat.me = chat.keep.user;
  if (!chat.me || !seen) return false;
  for (const person of seen.people) chat.people.add(person);
  chat.rooms.restore(seen.rooms);
  chat.outbox.restore();
  return true;
}

/** The messages of the room that was open. @param {Chat} chat */
export function recallMessages({ keep, open }) {
  const seen = keep.get("seen");
  if (!open || !seen || seen.room !== open.id || seen.messages.length === 0 || open.around !== null) return;
  open.timeline.reset({ items: seen.messages, previous: seen.messages[0].seq, next: null });
}
