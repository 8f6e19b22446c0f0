import { delayMs } from "./backoff.js";
import { asProblem } from "./problem.js";

const RENEW_AT = 0.8; // of its life

/** An access token: in memory only, renewed before it expires. `ended` is called when the login is over. */
export class Token {
  #value = "";
  #renewAt = 0;
  /** @type {Promise<void> | null} */ #renewing = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #ask;
  #ended;

  /** @param {() => Promise<{access_token: string, expires_in: number}>} ask  for the next one @param {() => void} ended */
  constructor(ask, ended) {
    this.#ask = ask;
    this.#ended = ended;
  }

  get isHeld() {
    return this.#value !== "";
  }

  /** One that is good for a while. */
  async fresh() {
    if (Date.now() > this.#renewAt) await this.renew();
    return this.#value;
  }

  /** @param {{access_token: string, expires_in: number}} tokens  as the server answers them */
  hold({ access_token, expires_in }) {
    const lifeMs = expires_in * 1000 * RENEW_AT;
    this.#value = access_token;
    this.#renewAt = Date.now() + lifeMs;
    this.#renewIn(lifeMs);
  }

  drop() {
    clearTimeout(this.#timer);
    this.#value = "";
    this.#renewAt = 0;
  }

  /** Ask for the next one. Whoever asks meanwhile waits for the same answer. */
  renew() {
    this.#renewing ??= this.#renewed().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renewed() {
    const before = this.#value;
    try {
      const tokens = await this.#ask();
      if (this.#value === before) this.hold(tokens); // else somebody logged in or out meanwhile
    } catch (error) {
      if (asProblem(error).isLogin && this.#value === before) this.#ended();
      throw error;
    }
  }

  #renewIn(/** @type {number} */ ms, attempt = 0) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.renew().catch(() => this.#again(attempt)), ms);
  }

  #again(/** @type {number} */ attempt) {
    if (this.isHeld) this.#renewIn(1000 + delayMs(attempt), attempt + 1);
  }
}
