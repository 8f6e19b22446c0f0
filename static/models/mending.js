/** @typedef {import("./chat.js").Chat} Chat */

/** Load anew what is not as the server has it. @param {Chat} chat */
export async function mend(chat) {
  const { me, rooms, open } = chat;
  if (!me) return;
  await rooms.freshness.renew(() => rooms.load());
  for (const room of rooms.all) if (room.kind === "direct" && !room.other_id) await meet(chat, room);
  await open?.timeline.freshness.renew(() => open.load());
}

/** Find out who the other one in a direct room is. @param {Chat} chat @param {import("./shapes.js").Room} room */
async function meet({ connection, people, rooms, me }, room) {
  const { items } = await connection.call("rooms.members", { room_id: room.id, limit: 2 });
  for (const member of items) people.add(member);
  const other = items.find((/** @type {import("./shapes.js").Member} */ { user_id }) => user_id !== me?.id);
  rooms.put({ ...room, other_id: other?.user_id });
}
