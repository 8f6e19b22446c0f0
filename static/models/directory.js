import { allOf } from "./pages.js";

const FOUND = 50;

/** What one could turn to: public rooms, people, and a room's members. Tells `change`. */
export class Directory extends EventTarget {
  /** @type {import("./shapes.js").Room[]} */ rooms = [];
  /** @type {import("./shapes.js").User[]} */ people = [];
  /** @type {import("./shapes.js").Member[]} */ members = []; // of the room that was asked about last
  #call;

  constructor(/** @type {import("./shapes.js").Call} */ call) {
    super();
    this.#call = call;
  }

  async listRooms() {
    this.rooms = await allOf(this.#call, "rooms.list", { scope: "public" });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} roomId */
  async listMembers(roomId) {
    this.members = await allOf(this.#call, "rooms.members", { room_id: roomId });
    this.dispatchEvent(new Event("change"));
  }

  /** Who is called exactly so. @param {string} username @returns {Promise<import("./shapes.js").User | undefined>} */
  async personCalled(username) {
    const name = username.trim().replace(/^@/, "").toLowerCase();
    const { items } = await this.#call("users.list", { query: name, limit: FOUND });
    return items.find((/** @type {import("./shapes.js").User} */ user) => user.username === name);
  }

  /** @param {string} [query]  part of a name */
  async findPeople(query) {
    const { items } = await this.#call("users.list", { query, limit: FOUND });
    this.people = items;
    this.dispatchEvent(new Event("change"));
  }
}
