const FIRST_MS = 500;
const MOST_MS = 20_000;
const STEADY_MS = 5_000; // a connection that held so long starts the back-off anew

/**
 * How long to wait before another try: exponential, with full jitter, so that not all clients come back at once.
 * @param {number} attempt  0 for the first
 */
export function delayMs(attempt, random = Math.random) {
  return random() * Math.min(MOST_MS, FIRST_MS * 2 ** attempt);
}

/** @param {number} code  a close code: 3500 to 3999 mean that the server does not want this client back as it is */
export function mayReconnect(code) {
  return code < 3500 || code > 3999;
}

/** The tries of one connection. One that is lost soon after it was made counts as failed. */
export class Backoff {
  #attempt = 0;
  #since = Infinity;

  connected() {
    this.#since = Date.now();
  }

  /** After it was lost: how long to wait. */
  nextMs() {
    if (Date.now() - this.#since > STEADY_MS) this.#attempt = 0;
    this.#since = Infinity;
    return delayMs(this.#attempt++);
  }
}
