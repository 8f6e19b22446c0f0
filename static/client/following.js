import { Positions } from "./positions.js";

/** @typedef {import("./shapes.js").Subscribed} Subscribed */
/** @typedef {import("./shapes.js").Publication} Publication */

const RESUBSCRIBE = 2500; // unsubscribe codes from here on mean: read it anew

/**
 * The channels that the server follows for us. Tells `event` (detail: the event, each once and in order) and `joined`
 * (detail: the channel), after which what was known of the channel must be loaded anew. Where the connection must be
 * made again to recover, `mend` is called.
 */
export class Following extends EventTarget {
  #positions = new Positions();
  #mend;

  /** @param {() => void} mend */
  constructor(mend) {
    super();
    this.#mend = mend;
  }

  get subs() {
    return this.#positions.subs;
  }

  /** @param {Record<string, Subscribed>} subs  of a connect's answer */
  connected(subs) {
    this.#positions.keepOnly(Object.keys(subs));
    for (const [channel, found] of Object.entries(subs)) this.#join(channel, found);
  }

  /** @param {any} push */
  pushed({ channel, pub, subscribe, unsubscribe }) {
    if (pub) this.#take(channel, pub);
    if (subscribe) this.#join(channel, subscribe);
    if (unsubscribe?.code >= RESUBSCRIBE) this.#mend();
    else if (unsubscribe) this.#positions.forget(channel);
  }

  #join(/** @type {string} */ channel, /** @type {Subscribed} */ found) {
    this.#positions.set(channel, found);
    if (!found.recovered) this.dispatchEvent(new CustomEvent("joined", { detail: channel }));
    for (const publication of found.publications ?? []) this.#take(channel, publication);
  }

  #take(/** @type {string} */ channel, /** @type {Publication} */ { offset = 0, data }) {
    const step = this.#positions.advance(channel, offset);
    if (step === "next") this.dispatchEvent(new CustomEvent("event", { detail: data }));
    if (step === "gap") this.#mend();
  }
}
