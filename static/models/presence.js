/** @typedef {{status: "online" | "offline", last_seen_at: string | null}} Seen */

const RESEND_MS = 5_000;

/** Who is there and who types in the room on screen. Tells `change`. */
export class Presence extends EventTarget {
  /** @type {Map<string, Seen>} */ #of = new Map();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */ #typing = new Map();
  online = 0;
  #toldAt = -Infinity;
  #chat;
  #channel;

  /** @param {import("./chat.js").Chat} chat @param {string} roomId */
  constructor(chat, roomId) {
    super();
    this.roomId = roomId;
    this.#chat = chat;
    this.#channel = chat.connection.subscribe(`presence:${roomId}`);
    this.#channel.addEventListener("joined", () => void this.#load());
    this.#channel.addEventListener("publication", (event) => this.#apply(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {string} [userId] */
  of(userId) {
    return this.#of.get(userId ?? "") ?? null;
  }

  /** Who types, but me. */
  get typing() {
    return [...this.#typing.keys()].filter((id) => id !== this.#chat.me?.id);
  }

  /** I type: the others hear of it at most every few seconds. */
  type() {
    if (performance.now() - this.#toldAt < RESEND_MS) return;
    this.#toldAt = performance.now();
    this.#say("typing.start");
  }

  /** I have sent it, or thought better of it. */
  rest() {
    if (this.#toldAt === -Infinity) return;
    this.#toldAt = -Infinity;
    this.#say("typing.stop");
  }

  close() {
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#channel.close();
  }

  #say(/** @type {string} */ method) {
    this.#chat.connection.call(method, { room_id: this.roomId }).catch(() => {}); // nothing is lost with it
  }

  async #load() {
    try {
      const { items = [], online } = await this.#chat.session.ask("GET", `/api/v1/rooms/${encodeURIComponent(this.roomId)}/presence`);
      for (const { user_id, status, last_seen_at } of items ?? []) this.#of.set(user_id, { status, last_seen_at });
      this.online = online;
      this.#changed();
    } catch {
      // not a member any more, or away: then there is nothing to show
    }
  }

  #apply(/** @type {any} */ { type, presence, typing }) {
    if (type === "presence.changed") {
      if (presence.user_id) this.#of.set(presence.user_id, { status: presence.status, last_seen_at: presence.last_seen_at });
      this.online = presence.online ?? this.online;
    }
    if (typing) this.#heardTyping(typing, type === "typing.started");
    this.#changed();
  }

  #heardTyping(/** @type {{user_id: string, expires_in: number}} */ { user_id, expires_in }, /** @type {boolean} */ isOn) {
    clearTimeout(this.#typing.get(user_id));
    this.#typing.delete(user_id);
    if (isOn) this.#typing.set(user_id, setTimeout(() => this.#heardTyping({ user_id, expires_in }, false), expires_in * 1000));
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
