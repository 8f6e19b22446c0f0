import { delayMs } from "./backoff.js";
import { Subscription } from "./subscription.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */

const RESUBSCRIBE = 2500; // unsubscribe codes from here on mean: read it anew
const AT_LEAST_MS = 500;

/** The channels that the client itself asks for, subscribed on each connection. */
export class Channels {
  /** @type {Map<string, Subscription>} */ #of = new Map();
  /** @type {Conversation | null} */ #conversation = null;
  #mend;

  /** @param {() => void} mend  what was missed can only be recovered by another connection */
  constructor(mend) {
    this.#mend = mend;
  }

  has(/** @type {string} */ channel) {
    return this.#of.has(channel);
  }

  /** The same channel twice is the same subscription. @param {string} channel */
  add(channel) {
    const held = this.#of.get(channel);
    if (held) return held;
    const made = new Subscription(channel, () => this.#remove(made));
    this.#of.set(channel, made);
    this.#subscribe(made);
    return made;
  }

  connected(/** @type {Conversation} */ conversation) {
    this.#conversation = conversation;
    for (const one of this.#of.values()) this.#subscribe(one);
  }

  disconnected() {
    this.#conversation = null;
  }

  /** @param {any} push */
  pushed({ channel, pub, unsubscribe }) {
    const one = this.#of.get(channel);
    if (!one) return;
    if (pub && !one.took(pub)) this.#mend();
    if (unsubscribe?.code >= RESUBSCRIBE) this.#subscribe(one);
    else if (unsubscribe && this.#of.delete(channel)) one.left(unsubscribe);
  }

  #subscribe(/** @type {Subscription} */ one, attempt = 0) {
    const conversation = this.#conversation;
    const isStill = () => conversation === this.#conversation && this.#of.get(one.channel) === one;
    conversation?.tell({ subscribe: one.request }, {
      answered: (found) => isStill() && one.joined(found),
      failed: (problem) => {
        if (!isStill() || problem.code === "disconnected") return;
        if (problem.temporary) setTimeout(() => isStill() && this.#subscribe(one, attempt + 1), AT_LEAST_MS + delayMs(attempt));
        else if (this.#of.delete(one.channel)) one.refused(problem);
      },
    });
  }

  #remove(/** @type {Subscription} */ one) {
    if (this.#of.get(one.channel) !== one) return;
    this.#of.delete(one.channel);
    const unheard = { answered: () => {}, failed: () => {} };
    this.#conversation?.tell({ unsubscribe: { channel: one.channel } }, unheard);
  }
}
