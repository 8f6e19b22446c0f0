import { Freshness } from "./freshness.js";

/** @typedef {import("./shapes.js").Message} Message */
/** @typedef {import("./shapes.js").MessagePage} MessagePage */

const MANY = 400; // so many messages are held before the far end is let go
const FEW = 300; // and so many are left then
const AHEAD = 300;

/**
 * One room's messages, without a hole from the first to the last that are held. Tells `change`. A message comes by a
 * page and by events, in any order: its newest version stays.
 */
export class Timeline extends EventTarget {
  freshness = new Freshness();
  /** @type {number | null} */ earlier = null; // the cursor to what lies before, null at the beginning
  /** @type {number | null} */ later = null; // the cursor to what lies behind, null when it reaches the newest
  /** @type {Message[]} */ messages = [];
  /** @type {Message[]} */ #indexed = [];
  /** @type {Map<string, Message>} */ #byId = new Map();
  /** @type {Message[]} */ #ahead = []; // posted beyond the gap to the newest

  /** @param {string} id */
  get(id) {
    if (this.#indexed !== this.messages) {
      this.#indexed = this.messages;
      this.#byId = new Map(this.messages.map((message) => [message.id, message]));
    }
    return this.#byId.get(id);
  }

  get lastSeq() {
    return this.messages.at(-1)?.seq ?? 0;
  }

  /** Begin anew with a page. Of what was held only what joins on to it stays. */
  reset(/** @type {MessagePage} */ { items, previous, next }) {
    const first = items[0]?.seq ?? 0;
    const last = next === null ? Infinity : (items.at(-1)?.seq ?? 0);
    this.#ahead = this.messages.filter(({ seq }) => seq > last);
    this.messages = joined(items, this.messages.filter(({ seq }) => seq >= first && seq <= last));
    this.earlier = previous;
    this.later = next;
    this.#changed();
  }

  prepend(/** @type {MessagePage} */ { items, previous }) {
    this.messages = joined(items, this.messages);
    this.earlier = previous;
    this.#shrinkEnd();
    this.#changed();
  }

  append(/** @type {MessagePage} */ { items, next }) {
    this.messages = joined(joined(this.messages, items), next === null ? this.#ahead : []);
    this.later = next;
    this.#shrinkStart();
    this.#changed();
  }

  /**
   * A message was posted. Beyond a gap to the newest it waits until that is loaded.
   * @param {Message} message
   * @param {boolean} [isEndInSight]  then what lies far above may go
   */
  posted(message, isEndInSight = true) {
    if (this.later !== null) this.#ahead = [...this.#ahead, message].slice(-AHEAD);
    else this.messages = joined(this.messages, [message]);
    if (isEndInSight && this.later === null) this.#shrinkStart();
    this.#changed();
  }

  /** A message was edited or deleted. */
  changed(/** @type {Message} */ message) {
    if (!this.freshness.isStale && !this.messages.some(({ seq }) => seq === message.seq)) return;
    this.messages = joined(this.messages, [message]);
    this.#changed();
  }

  #shrinkStart() {
    if (this.messages.length <= MANY) return;
    this.messages = this.messages.slice(-FEW);
    this.earlier = this.messages[0].seq;
  }

  #shrinkEnd() {
    if (this.messages.length <= MANY) return;
    if (this.later === null) this.#ahead = this.messages.slice(FEW).slice(-AHEAD);
    this.messages = this.messages.slice(0, FEW);
    this.later = this.lastSeq;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Both lists in the order of seq, of each message the newer version. */
function joined(/** @type {Message[]} */ some, /** @type {Message[]} */ others) {
  const bySeq = new Map(some.map((message) => [message.seq, message]));
  for (const message of others) {
    const held = bySeq.get(message.seq);
    if (!held || version(message) > version(held)) bySeq.set(message.seq, message);
  }
  return [...bySeq.values()].sort((one, other) => one.seq - other.seq);
}

function version(/** @type {Message} */ { edited_at, deleted_at }) {
  return deleted_at ? Infinity : edited_at ? Date.parse(edited_at) : 0;
}
