import { delayMs } from "../client/backoff.js";
import { asProblem } from "../client/problem.js";

const AT_LEAST_MS = 1000;

/** Work that must get done: once more when it is asked for meanwhile, and later again when it could not be done now. */
export class Errand {
  #isWanted = false;
  #isRunning = false;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #work;

  /** @param {() => Promise<void>} work  it may be repeated */
  constructor(work) {
    this.#work = work;
  }

  async run() {
    clearTimeout(this.#timer);
    this.#isWanted = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      await this.#untilDone();
    } catch (error) {
      const problem = asProblem(error);
      if (!problem.temporary && !problem.isLogin) throw problem;
      this.#timer = setTimeout(() => this.run(), AT_LEAST_MS + delayMs(this.#failures++));
    } finally {
      this.#isRunning = false;
    }
  }

  async #untilDone() {
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#work();
    }
    this.#failures = 0;
  }
}
