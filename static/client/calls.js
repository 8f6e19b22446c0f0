import { Problem, problemIn } from "./problem.js";

/**
 * @typedef {object} Waiting
 * @property {(answer: any) => void} answered
 * @property {(problem: Problem) => void} failed
 * @property {ReturnType<typeof setTimeout>} [timer]
 */

/** Commands that wait for their replies, by id. */
export class Calls {
  #last = 0;
  /** @type {Map<number, Waiting>} */ #waiting = new Map();

  /**
   * The command with an id of its own. What it comes to is told at once, before anything that stands behind the reply.
   * @param {object} command
   * @param {Waiting} waiting
   * @param {number} [timeoutMs]  then it fails, and a reply that comes later is not heard
   */
  numbered(command, waiting, timeoutMs) {
    const id = (this.#last += 1);
    if (timeoutMs) waiting.timer = setTimeout(() => this.#taken(id)?.failed(tooLate()), timeoutMs);
    this.#waiting.set(id, waiting);
    return { id, ...command };
  }

  /** @param {any} reply */
  settle({ id, error, ...answer }) {
    const waiting = this.#taken(id);
    if (error) waiting?.failed(problemIn(error));
    else waiting?.answered(Object.values(answer)[0]);
  }

  /** The connection is gone: nobody knows whether the server has heard them. */
  abandon() {
    for (const id of [...this.#waiting.keys()]) this.#taken(id)?.failed(disconnected());
  }

  #taken(/** @type {number} */ id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }
}

export function disconnected() {
  return new Problem({ code: "disconnected", message: "The server cannot be reached.", temporary: true });
}

function tooLate() {
  return new Problem({ code: "timeout", message: "The server did not answer in time.", temporary: true });
}
