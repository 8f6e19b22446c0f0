import { asProblem } from "../client/problem.js";
import { Comings } from "./comings.js";
import { Presence } from "./presence.js";
import { isMine, unreadIn } from "./room.js";
import { Sources } from "./sources.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./chat.js").Chat} Chat */

const PAGE = 100;
const NEWEST = 50;

/** The room on screen. Tells `change` when it is known what it is; `timeline` tells its messages. */
export class OpenRoom extends EventTarget {
  timeline = new Timeline();
  comings = new Comings();
  sources = new Sources(this.timeline, (id) => this.#call("messages.get", { message_id: id }));
  /** @type {import("./shapes.js").Member[]} */ members = []; // of a large room the first two hundred
  /** @type {import("./shapes.js").Room | null} */ card = null;
  /** @type {import("../client/problem.js").Problem | null} */ problem = null; // why it cannot be shown
  /** @type {Presence | null} */ presence = null; // once it is sure that I am in it
  /** @type {number | null} */ readUpto = null; // above the first message that was unread when I came; null: none was
  isAtEnd = true; // whether the newest message is in sight
  hasCome = false; // it has been loaded once
  /** @type {Promise<void> | null} */ #paging = null;
  #chat;

  /** @param {Chat} chat @param {string} id @param {number | null} [around]  a message's seq to begin at, not at the newest */
  constructor(chat, id, around = null) {
    super();
    this.#chat = chat;
    this.id = id;
    this.around = around;
  }

  /** As my room list has it, or as the public sees it. */
  get room() {
    return this.#chat.rooms.get(this.id) ?? this.card;
  }

  /** The first message in sight, to come back to; null at the newest. */
  get reading() {
    return this.isAtEnd ? null : this.around;
  }

  /** Anew. A problem that will pass is thrown. */
  async load() {
    try {
      const card = /** @type {import("./shapes.js").Room} */ (await this.#call("rooms.get"));
      this.problem = null;
      this.card = card;
      if (isMine(card)) await this.#loadMessages(card);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.temporary || problem.isLogin) throw problem;
      this.problem = problem;
      this.card = null;
      this.#leave();
    } finally {
      this.dispatchEvent(new Event("change"));
    }
  }

  loadEarlier() {
    return this.#alone(async () => {
      const before = this.timeline.earlier;
      if (before === null) return;
      const page = await this.#call("messages.list", { before, limit: PAGE });
      if (this.timeline.earlier === before) this.timeline.prepend(page); // else it was begun anew meanwhile
    });
  }

  loadLater() {
    return this.#alone(async () => {
      const after = this.timeline.later;
      if (after === null) return;
      const page = await this.#call("messages.list", { after, limit: PAGE });
      if (this.timeline.later === after) this.timeline.append(page);
    });
  }

  /** To the newest messages, wherever one reads. */
  async toNewest() {
    this.isAtEnd = true;
    this.around = null;
    if (this.timeline.later !== null) this.timeline.reset(await this.#call("messages.list", { limit: NEWEST }));
  }

  /** Somebody comes back to the page: what came meanwhile is new. */
  comeBack() {
    const { room } = this;
    if (room && isMine(room) && unreadIn(room) > 0) this.readUpto = room.last_read_seq ?? 0;
  }

  close() {
    this.#leave();
  }

  /** Somebody came, left or is called otherwise. @param {import("./shapes.js").ChatEvent} event @param {string} was  what they were called */
  memberChanged(event, was) {
    const others = this.members.filter(({ user_id }) => user_id !== event.member.user_id);
    this.members = event.type === "member.left" ? others : [...others, event.member];
    this.comings.heard(event, was);
  }

  async #loadMessages(/** @type {import("./shapes.js").Room} */ card) {
    this.#arrive(this.room && isMine(this.room) ? this.room : card);
    this.#chat.rooms.put(card);
    this.presence ??= new Presence(this.#chat, this.id);
    const [members, page] = await Promise.all([
      this.#call("rooms.members", { limit: 200 }),
      this.#call("messages.list", this.around === null ? { limit: NEWEST } : { around: this.around, limit: NEWEST }),
    ]);
    this.members = members.items;
    for (const member of members.items) this.#chat.people.add(member);
    this.timeline.reset(page);
  }

  /** For the first time: begin where I have stopped reading. @param {import("./shapes.js").Room} room */
  #arrive(room) {
    if (this.hasCome) return;
    this.hasCome = true;
    const unread = unreadIn(room);
    if (unread === 0) return;
    this.readUpto = room.last_read_seq ?? 0;
    if (unread > NEWEST / 2) this.around ??= this.readUpto + 1;
  }

  #leave() {
    this.presence?.close();
    this.presence = null;
  }

  /** One page at a time; whoever asks meanwhile waits for it. @param {() => Promise<void>} load */
  #alone(load) {
    this.#paging ??= load().finally(() => (this.#paging = null));
    return this.#paging;
  }

  /** @param {string} method @param {object} [data] @returns {Promise<any>} */
  #call(method, data) {
    return this.#chat.connection.call(method, { room_id: this.id, ...data });
  }
}
