import { Backoff, mayReconnect } from "./backoff.js";
import { disconnected } from "./calls.js";
import { Channels } from "./channels.js";
import { Conversation } from "./conversation.js";
import { Following } from "./following.js";
import { socketOf } from "./place.js";

/** @typedef {import("./shapes.js").ConnectionState} ConnectionState */

const ANSWER_MS = 15_000;
const PROBE_MS = 3_000;

/**
 * @typedef {object} ClientOptions
 * @property {string} [server]  its address, like "https://chat.example.org"; otherwise where this module came from
 * @property {string | (() => Promise<string>)} [token]  an access token, API key or ticket, or what gets a fresh one
 *   for each connection; without it the cookie says who one is (pages of the server's own origin)
 * @property {() => Promise<string>} [renewal]  what gets an access token to prolong a connection by the cookie
 * @property {boolean} [rooms]  follow all rooms of the user, now and as memberships change: `following` tells
 */

/**
 * A connection to the server, made again whenever it is lost. Tells `state`; a subscription tells what comes in its
 * channel, `following` what comes in the channels that the server subscribed.
 */
export class Client extends EventTarget {
  /** @type {ConnectionState} */ state = { name: "closed", code: 1000, reason: "" };
  following = new Following(() => this.drop());
  #channels = new Channels(() => this.drop());
  /** @type {Conversation | null} */ #conversation = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #backoff = new Backoff();
  #options;

  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    super();
    this.#options = options;
  }

  /** Connect, now. Nothing happens when it is under way already. */
  open() {
    if (this.#conversation) return;
    clearTimeout(this.#timer);
    this.#change({ name: "connecting" });
    this.#conversation = new Conversation(socketOf(this.#options.server), {
      greeting: () => this.#greeting(),
      token: this.#options.renewal ?? (this.#options.token ? this.#token : undefined),
      connected: (found) => this.#connected(found),
      pushed: (push) => (this.#channels.has(push.channel) ? this.#channels : this.following).pushed(push),
      lost: (code, reason) => this.#lost(code, reason),
    });
  }

  /** The network says that it is gone, or something is missing: connect again, and recover. */
  drop() {
    if (this.#conversation) this.#lost(1006, "");
  }

  /** After a sleep nobody has told yet whether the line is still there: ask, and connect again if nobody answers. */
  async probe() {
    if (this.state.name !== "online" || !this.#conversation) return;
    const asked = this.#conversation;
    try {
      await asked.ask({ rpc: { method: "users.me", data: {} } }, PROBE_MS);
    } catch {
      if (asked === this.#conversation) this.drop();
    }
  }

  /** Until it is opened again. */
  close(code = 1000, reason = "") {
    clearTimeout(this.#timer);
    this.#end();
    this.#change({ name: "closed", code, reason });
  }

  /**
   * One RPC. It fails at once while there is no connection, and with a temporary problem when the connection is lost
   * meanwhile or nobody answers in time: then nobody knows whether it was carried out.
   * @type {import("./shapes.js").Call}
   */
  call = async (method, data = {}, timeoutMs = ANSWER_MS) => {
    if (!this.#conversation || this.state.name !== "online") throw disconnected();
    return (await this.#conversation.ask({ rpc: { method, data } }, timeoutMs)).data;
  };

  /** Follow a channel, through every connection, until the subscription is closed. @param {string} channel */
  subscribe(channel) {
    return this.#channels.add(channel);
  }

  #token = async () => {
    const { token } = this.#options;
    return typeof token === "function" ? token() : (token ?? "");
  };

  async #greeting() {
    const { token, rooms } = this.#options;
    const asked = { subs: this.following.subs, ...(rooms && { data: { subscribe: "rooms" } }) };
    return token ? { ...asked, token: await this.#token() } : asked;
  }

  #connected(/** @type {any} */ found) {
    this.#backoff.connected();
    this.#change({ name: "online", user: found.data?.user, version: found.version });
    this.following.connected(found.subs ?? {});
    if (this.#conversation) this.#channels.connected(this.#conversation);
  }

  #lost(/** @type {number} */ code, /** @type {string} */ reason) {
    if (!mayReconnect(code)) return this.close(code, reason);
    this.#end();
    const waitMs = this.#backoff.nextMs();
    this.#timer = setTimeout(() => this.open(), waitMs);
    this.#change({ name: "offline", retryAt: Date.now() + waitMs });
  }

  #end() {
    const ended = this.#conversation;
    this.#conversation = null;
    this.#channels.disconnected();
    ended?.end();
  }

  #change(/** @type {ConnectionState} */ state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
