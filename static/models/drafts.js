/** What was begun in each room and not sent, kept over reloads. Tells `change` when a room gets its first or loses its last word. */
export class Drafts extends EventTarget {
  #keep;

  /** @param {import("./keep.js").Keep} keep */
  constructor(keep) {
    super();
    this.#keep = keep;
  }

  /** @param {string} roomId @returns {string} */
  of(roomId) {
    return this.#keep.get(`draft:${roomId}`) ?? "";
  }

  /** @param {string} roomId @param {string} text */
  write(roomId, text) {
    const was = this.of(roomId);
    if (was === text) return;
    this.#keep.set(`draft:${roomId}`, text || null);
    if (Boolean(was) !== Boolean(text)) this.dispatchEvent(new Event("change"));
  }

  /** The message that is being replied to there, as it was. @param {string} roomId @returns {import("./shapes.js").Message | null} */
  sourceOf(roomId) {
    return this.#keep.get(`reply:${roomId}`);
  }

  /** @param {string} roomId @param {import("./shapes.js").Message | null} message */
  replyTo(roomId, message) {
    this.#keep.set(`reply:${roomId}`, message);
  }
}
