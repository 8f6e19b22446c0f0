/** @typedef {import("./shapes.js").Room} Room */

/** @param {Room} room */
export function unreadIn(room) {
  return Math.max(0, room.last_message_seq - (room.last_read_seq ?? 0));
}

/** Whether I am in it. A public room's card shows itself to everyone. */
export function isMine(/** @type {Room} */ room) {
  return room.role !== undefined;
}

/**
 * What is known of a room after something was told. Its counters never go back.
 * @param {Room | undefined} held
 * @param {Room} told
 * @returns {Room}
 */
export function merged(held, told) {
  if (!held) return told;
  return {
    ...held,
    ...told,
    last_message_seq: Math.max(held.last_message_seq, told.last_message_seq),
    last_read_seq: Math.max(held.last_read_seq ?? 0, told.last_read_seq ?? 0),
  };
}

/** Rooms by name, then direct ones; archived ones last. */
export function inOrder(/** @type {Room[]} */ rooms, /** @type {(room: Room) => string} */ nameOf) {
  const rank = (/** @type {Room} */ room) => (room.archived_at ? 2 : room.kind === "direct" ? 1 : 0);
  return rooms.toSorted((one, other) => rank(one) - rank(other) || nameOf(one).localeCompare(nameOf(other)));
}
