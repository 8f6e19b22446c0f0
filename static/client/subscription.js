import { Problem } from "./problem.js";

/**
 * One channel that a client follows. Tells
 * - `joined` (detail: `{recovered}`) with every connection. `false`: what is known of the channel must be loaded anew;
 * - `publication` (detail: the data), each once and in order where the channel keeps a history;
 * - `refused` (detail: a Problem) or `left` (detail: `{code, reason}`) when it is over.
 */
export class Subscription extends EventTarget {
  /** @type {import("./shapes.js").Position | null} */ #position = null;
  #closed;

  /** @param {string} channel @param {() => void} closed */
  constructor(channel, closed) {
    super();
    this.channel = channel;
    this.#closed = closed;
  }

  /** Follow it no more. */
  close() {
    this.#closed();
  }

  /** What to ask for. */
  get request() {
    return { channel: this.channel, ...(this.#position && { recover: true, ...this.#position }) };
  }

  /** @param {import("./shapes.js").Subscribed} found */
  joined({ epoch, offset, recovered, publications = [] }) {
    const isAnew = !recovered;
    if (isAnew || !this.#position) this.#position = epoch ? { epoch, offset } : null;
    this.#tell("joined", { recovered: Boolean(recovered) });
    for (const publication of publications) this.took(publication);
    if (this.#position) this.#position.offset = offset;
  }

  /** Whether it was the next one, or known already. @param {import("./shapes.js").Publication} publication */
  took({ offset, data }) {
    if (offset && this.#position) {
      if (offset <= this.#position.offset) return true;
      if (offset > this.#position.offset + 1) return false;
      this.#position.offset = offset;
    }
    this.#tell("publication", data);
    return true;
  }

  /** @param {Problem} problem */
  refused(problem) {
    this.#tell("refused", problem);
  }

  /** @param {{code: number, reason: string}} why */
  left(why) {
    this.#tell("left", why);
  }

  #tell(/** @type {string} */ name, /** @type {any} */ detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
