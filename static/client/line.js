const CONNECT_MS = 10_000;

/**
 * @typedef {object} Ears
 * @property {() => void} opened
 * @property {(object: any) => void} heard
 * @property {(code: number, reason: string) => void} closed
 */

/** One WebSocket: takes and gives whole objects, answers pings, and counts a server that has gone silent as lost. */
export class Line {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #silence;
  #patienceMs = CONNECT_MS;
  #hungUp = new AbortController();
  #socket;
  #ears;

  /**
   * @param {string} url
   * @param {Ears} ears
   */
  constructor(url, ears) {
    const { signal } = this.#hungUp;
    this.#ears = ears;
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener("open", () => ears.opened(), { signal });
    this.#socket.addEventListener("message", ({ data }) => this.#take(data), { signal });
    this.#socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason), { signal });
    this.#listen();
  }

  /** What is said while the socket is closing is lost, as the close will tell. @param {object} object */
  say(object) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(object));
  }

  /** @param {number} ms  how long the server may be silent from now on */
  expectWithin(ms) {
    this.#patienceMs = ms;
    this.#listen();
  }

  /** Nothing more is heard of it, whatever the socket still does. */
  hangUp() {
    clearTimeout(this.#silence);
    this.#hungUp.abort();
    this.#socket.close();
  }

  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(1006, "no answer"), this.#patienceMs);
  }

  /** @param {string} frame  objects parted by newlines; an empty one is a ping */
  #take(frame) {
    this.#listen();
    for (const part of frame.split("\n")) {
      if (this.#hungUp.signal.aborted) return;
      if (part === "{}") this.say({});
      else if (part) this.#ears.heard(JSON.parse(part));
    }
  }

  #end(/** @type {number} */ code, /** @type {string} */ reason) {
    this.hangUp();
    this.#ears.closed(code, reason);
  }
}
