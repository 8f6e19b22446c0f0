import { Calls } from "./calls.js";
import { Line } from "./line.js";

const GRACE_MS = 10_000; // a ping may be so late
const LONGEST_MS = 2 ** 31 - 1; // a longer timer fires at once
const NO_LOGIN = 3500;
const EXPIRED = 3005;
const BROKEN = 1006;

/**
 * @typedef {object} Partner
 * @property {() => Promise<object>} greeting  the first command: who one is, and what to recover
 * @property {() => Promise<string>} [token]  a fresh access token, for when the connection's time is over
 * @property {(found: any) => void} connected
 * @property {(push: any) => void} pushed
 * @property {(code: number, reason: string) => void} lost
 */

/** One connection from its first command to its end: commands and their answers, and its renewal. */
export class Conversation {
  #calls = new Calls();
  #isOver = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #renewal;
  #partner;
  #line;

  /** @param {string} url @param {Partner} partner */
  constructor(url, partner) {
    this.#partner = partner;
    this.#line = new Line(url, {
      opened: () => void this.#greet(),
      heard: (object) => (object.push ? partner.pushed(object.push) : this.#calls.settle(object)),
      closed: partner.lost,
    });
  }

  /** @param {object} command @param {number} timeoutMs @returns {Promise<any>} */
  ask(command, timeoutMs) {
    return new Promise((answered, failed) => this.tell(command, { answered, failed }, timeoutMs));
  }

  /**
   * As `ask`, but what it comes to is told before anything that stands behind the reply.
   * @param {object} command
   * @param {import("./calls.js").Waiting} waiting
   * @param {number} [timeoutMs]
   */
  tell(command, waiting, timeoutMs) {
    this.#line.say(this.#calls.numbered(command, waiting, timeoutMs));
  }

  end() {
    this.#isOver = true;
    clearTimeout(this.#renewal);
    this.#line.hangUp();
    this.#calls.abandon();
  }

  async #greet() {
    try {
      const connect = await this.#partner.greeting();
      if (this.#isOver) return;
      this.tell({ connect }, { answered: (found) => this.#connected(found), failed: (problem) => this.#refused(problem) });
    } catch (error) {
      if (!this.#isOver) this.#refused(/** @type {import("./problem.js").Problem} */ (error)); // no token was to be had
    }
  }

  #refused(/** @type {import("./problem.js").Problem} */ problem) {
    if (problem.code === "disconnected") return;
    const hasExpired = problem.code === "token_has_expired" || problem.code === "token_expired";
    this.#partner.lost(hasExpired ? EXPIRED : problem.isLogin ? NO_LOGIN : BROKEN, problem.message);
  }

  #connected(/** @type {any} */ found) {
    if (found.ping) this.#line.expectWithin(found.ping * 1000 + GRACE_MS);
    this.#renewIn(found);
    this.#partner.connected(found);
  }

  #renewIn(/** @type {{expires: boolean, ttl: number}} */ { expires, ttl }) {
    if (expires) this.#renewal = setTimeout(() => this.#renew(), Math.min(ttl * 1000, LONGEST_MS));
  }

  async #renew() {
    if (!this.#partner.token) return;
    try {
      this.#renewIn(await this.ask({ refresh: { token: await this.#partner.token() } }, GRACE_MS));
    } catch {
      // the server will close it as expired, and the next connection asks for a token again
    }
  }
}
