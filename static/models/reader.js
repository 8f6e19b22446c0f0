import { Errand } from "./errand.js";
import { asProblem } from "../client/problem.js";

/** Tells the server how far rooms were read. The newest mark of a room wins; one that did not arrive goes out again. */
export class Reader {
  telling = new Errand(() => this.#tellAll());
  /** @type {Map<string, number>} */ #marks = new Map();
  #call;

  constructor(/** @type {import("./shapes.js").Call} */ call) {
    this.#call = call;
  }

  /** @param {string} roomId @param {number} seq */
  mark(roomId, seq) {
    this.#marks.set(roomId, seq);
    this.telling.run();
  }

  async #tellAll() {
    for (let mark; (mark = this.#marks.entries().next().value); ) await this.#tell(...mark);
  }

  async #tell(/** @type {string} */ roomId, /** @type {number} */ seq) {
    try {
      await this.#call("messages.read", { room_id: roomId, seq });
    } catch (error) {
      if (asProblem(error).temporary) throw error; // else the room is not mine any more
    }
    if (this.#marks.get(roomId) === seq) this.#marks.delete(roomId);
  }
}
