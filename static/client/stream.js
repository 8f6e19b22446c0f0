import { Backoff } from "./backoff.js";
import { addressOf } from "./place.js";

/** What the server may send by name: docs/protocol.md, Events and Streams. */
const EVENTS = [
  "message.posted", "message.edited", "message.deleted", "room.created", "room.updated", "room.archived",
  "member.joined", "member.left", "member.updated", "read.advanced", "presence.changed", "typing.started",
  "typing.stopped", "notification.raised", "notification.updated", "notification.withdrawn", "session.ended",
  "figures.taken", "publication", "stream.open", "stream.lost",
];
const OVER = ["stream.expired", "stream.revoked"]; // a new opening finds out why
const REST_MS = 1000;

/**
 * Channels one-way, over server-sent events. Tells `event` (detail: the event's JSON) for each, `stream.open` included,
 * and goes on behind the last one after every break.
 */
export class Stream extends EventTarget {
  /** @type {EventSource | null} */ #source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #isWanted = false;
  #last = "";
  #backoff = new Backoff();
  #options;

  /**
   * @param {object} options
   * @param {string[]} options.channels  at most 50
   * @param {() => Promise<string>} [options.token]  gets a token, key or ticket; without it the cookie counts
   * @param {string} [options.server]
   */
  constructor(options) {
    super();
    this.#options = options;
  }

  open() {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#connect();
  }

  close() {
    this.#isWanted = false;
    this.#end();
  }

  async #connect() {
    const url = new URL(addressOf("/sse", this.#options.server));
    url.searchParams.set("channels", this.#options.channels.join(","));
    if (this.#last) url.searchParams.set("last_event_id", this.#last);
    try {
      if (this.#options.token) url.searchParams.set("token", await this.#options.token());
    } catch {
      return this.#again();
    }
    if (this.#isWanted && !this.#source) this.#listen(new EventSource(url));
  }

  #listen(/** @type {EventSource} */ source) {
    this.#source = source;
    source.addEventListener("open", () => this.#backoff.connected());
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && this.#again());
    for (const name of EVENTS) source.addEventListener(name, (event) => this.#heard(event));
    for (const name of OVER) source.addEventListener(name, () => this.#again());
  }

  #heard(/** @type {MessageEvent} */ { data, lastEventId }) {
    if (lastEventId) this.#last = lastEventId;
    this.dispatchEvent(new CustomEvent("event", { detail: JSON.parse(data) }));
  }

  /** An EventSource comes back by itself from a lost connection, but not from an answer that is no stream. */
  #again() {
    this.#end();
    if (this.#isWanted) this.#timer = setTimeout(() => this.#connect(), REST_MS + this.#backoff.nextMs());
  }

  #end() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }
}
