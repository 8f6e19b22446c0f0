import { asProblem } from "../client/problem.js";

/** @typedef {import("./shapes.js").Message} Message */

/** The messages that others reply to, wherever they stand in the room. Tells `change`. */
export class Sources extends EventTarget {
  /** @type {Map<string, Message | null>} */ #of = new Map(); // null: it is asked for, or not to be had
  #timeline;
  #ask;

  /** @param {import("./timeline.js").Timeline} timeline @param {(id: string) => Promise<Message>} ask */
  constructor(timeline, ask) {
    super();
    this.#timeline = timeline;
    this.#ask = ask;
  }

  /** null until it is known. @param {string | null} [id] @returns {Message | null} */
  of(id) {
    if (!id) return null;
    const held = this.#timeline.get(id);
    if (held) return held;
    if (!this.#of.has(id)) void this.#look(id);
    return this.#of.get(id) ?? null;
  }

  /** A message was edited or deleted. @param {Message} message */
  changed(message) {
    if (this.#of.has(message.id)) this.#put(message);
  }

  async #look(/** @type {string} */ id) {
    this.#of.set(id, null);
    try {
      this.#put(await this.#ask(id));
    } catch (error) {
      if (asProblem(error).temporary) this.#of.delete(id); // asked again when next shown
    }
  }

  #put(/** @type {Message} */ message) {
    this.#of.set(message.id, message);
    this.dispatchEvent(new Event("change"));
  }
}
