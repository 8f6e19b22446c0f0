import { newId } from "../client/id.js";
import { asProblem } from "../client/problem.js";
import { Errand } from "./errand.js";

/**
 * @typedef {object} Post
 * @property {string} client_msg_id
 * @property {string} room_id
 * @property {string} text
 * @property {string} written_at
 * @property {string | null} [reply_to]
 * @property {import("../client/problem.js").Problem | null} problem  why it was refused
 */

/**
 * What was written and is not answered yet. Each post goes out with the same client_msg_id until it is answered, one
 * after another, so that they keep their order; it survives a reload, and other tabs may send it too, since it is stored
 * once. One that is refused stays, with its problem. Tells `change`.
 */
export class Outbox extends EventTarget {
  /** @type {Post[]} */ posts = [];
  sending = new Errand(() => this.#sendAll());
  #call;
  #keep;

  /** @param {import("./shapes.js").Call} call @param {import("./keep.js").Keep} keep */
  constructor(call, keep) {
    super();
    this.#call = call;
    this.#keep = keep;
  }

  /** Take up what an earlier visit has left. */
  restore() {
    const held = new Set(this.posts.map(({ client_msg_id }) => client_msg_id));
    const kept = this.#keep.all("post:").filter(([id, post]) => post && !held.has(id));
    const found = kept.map(([id, post]) => ({ ...post, client_msg_id: id, problem: null }));
    if (found.length) this.#change([...this.posts, ...found].sort((one, other) => one.written_at.localeCompare(other.written_at)));
  }

  /** @param {string} roomId @param {string} text @param {string | null} [replyTo]  a message's id */
  add(roomId, text, replyTo = null) {
    const id = newId();
    const post = { room_id: roomId, text, written_at: this.#now(), reply_to: replyTo };
    this.#keep.set(`post:${id}`, post);
    this.#change([...this.posts, { ...post, client_msg_id: id, problem: null }]);
    this.sending.run();
  }

  discard(/** @type {string} */ clientMsgId) {
    this.#keep.set(`post:${clientMsgId}`, null);
    this.#change(this.posts.filter(({ client_msg_id }) => client_msg_id !== clientMsgId));
  }

  /** Once more, as the same message. @param {string} clientMsgId */
  retry(clientMsgId) {
    this.#refuse(clientMsgId, null);
    this.sending.run();
  }

  /** Behind all others, whatever the clock says. */
  #now() {
    const last = Date.parse(this.posts.at(-1)?.written_at ?? "") || 0;
    return new Date(Math.max(Date.now(), last + 1)).toISOString();
  }

  async #sendAll() {
    for (let post; (post = this.posts.find(({ problem }) => problem === null)); ) await this.#send(post);
  }

  async #send(/** @type {Post} */ { client_msg_id, room_id, text, reply_to }) {
    try {
      await this.#call("messages.post", { client_msg_id, room_id, text, ...(reply_to && { reply_to }) });
      this.discard(client_msg_id);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.temporary || problem.isLogin) throw problem;
      this.#refuse(client_msg_id, problem);
    }
  }

  #refuse(/** @type {string} */ id, /** @type {Post["problem"]} */ problem) {
    this.#change(this.posts.map((post) => (post.client_msg_id === id ? { ...post, problem } : post)));
  }

  #change(/** @type {Post[]} */ posts) {
    this.posts = posts;
    this.dispatchEvent(new Event("change"));
  }
}
