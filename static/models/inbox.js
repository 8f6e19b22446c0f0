import { Errand } from "./errand.js";

const PAGE = 50;
const MOST = 200;

/** My notifications, the newest of them, and how many of all are unread. Tells `change`. */
export class Inbox extends EventTarget {
  /** @type {import("./shapes.js").Notification[]} */ items = [];
  unread = 0;
  hasEarlier = false;
  loading = new Errand(() => this.#load());
  #seeing = new Errand(() => this.#readSeen());
  #seenRoom = "";
  #limit = PAGE;
  #call;

  constructor(/** @type {import("./shapes.js").Call} */ call) {
    super();
    this.#call = call;
  }

  /** How many unread ones are about a room. @param {string} roomId */
  callsIn(roomId) {
    return this.items.filter(({ room_id, read_at }) => room_id === roomId && read_at === null).length;
  }

  async loadEarlier() {
    this.#limit = MOST;
    await this.#load();
  }

  async read(/** @type {string} */ id) {
    await this.#call("notifications.update", { notification_id: id, read: true });
  }

  async readAll() {
    await this.#call("notifications.read_all");
  }

  /** What happened in a room that is on screen has been seen. */
  see(/** @type {string} */ roomId) {
    this.#seenRoom = roomId;
    this.#seeing.run();
  }

  async #readSeen() {
    const seen = this.items.filter(({ room_id, read_at }) => room_id === this.#seenRoom && read_at === null);
    for (const { id } of seen) await this.read(id);
  }

  async #load() {
    const page = await this.#call("notifications.list", { limit: this.#limit });
    this.items = page.items.toReversed();
    this.unread = page.unread;
    this.hasEarlier = page.items.length === this.#limit && this.#limit < MOST;
    this.dispatchEvent(new Event("change"));
  }
}
