import { Freshness } from "./freshness.js";
import { allOf } from "./pages.js";
import { merged, unreadIn } from "./room.js";

/** @typedef {import("./shapes.js").Room} Room */

/**
 * My rooms, and how much is unread in each. Tells `change`. What is known of a room only grows, so an answer and an
 * event may come in any order.
 */
export class Rooms extends EventTarget {
  freshness = new Freshness();
  /** @type {Map<string, Room>} */ #of = new Map();
  #call;

  constructor(/** @type {import("./shapes.js").Call} */ call) {
    super();
    this.#call = call;
  }

  get all() {
    return [...this.#of.values()];
  }

  get unread() {
    return this.all.reduce((sum, room) => sum + unreadIn(room), 0);
  }

  /** As they were at the last visit, until they are loaded. @param {Room[]} rooms */
  restore(rooms) {
    if (this.#of.size > 0) return;
    this.#of = new Map(rooms.map((room) => [room.id, room]));
    this.#changed();
  }

  get(/** @type {string} */ id) {
    return this.#of.get(id);
  }

  /** All of them anew. */
  async load() {
    /** @type {Room[]} */
    const found = await allOf(this.#call, "rooms.list", {});
    this.#of = new Map(found.map((room) => [room.id, merged(this.#of.get(room.id), room)]));
    this.#changed();
  }

  /** @param {Room} room  one of mine, or news of one */
  put(room) {
    const held = this.#of.get(room.id);
    if (!held && !room.role) return;
    this.#of.set(room.id, merged(held, room));
    this.#changed();
  }

  drop(/** @type {string} */ id) {
    if (this.#of.delete(id)) this.#changed();
  }

  /** @param {string} id @param {number} seq  of its newest message */
  grew(id, seq) {
    const room = this.#of.get(id);
    if (room) this.put({ ...room, last_message_seq: seq });
  }

  /** @param {string} id @param {number} seq  read up to there, here or elsewhere */
  wasRead(id, seq) {
    const room = this.#of.get(id);
    if (room) this.put({ ...room, last_read_seq: seq });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
