/** Where this client stands in each channel: what it has processed, and so what it asks to recover. */
export class Positions {
  /** @type {Map<string, {epoch: string, offset: number}>} */ #of = new Map();

  /** The `subs` of a connect. */
  get subs() {
    return Object.fromEntries([...this.#of].map(([channel, at]) => [channel, { recover: true, ...at }]));
  }

  /**
   * @param {string} channel
   * @param {{epoch: string, offset: number}} position
   */
  set(channel, { epoch, offset }) {
    this.#of.set(channel, { epoch, offset });
  }

  /** @param {string} channel */
  forget(channel) {
    this.#of.delete(channel);
  }

  /** @param {string[]} channels  the others are not followed any more */
  keepOnly(channels) {
    for (const channel of this.#of.keys()) if (!channels.includes(channel)) this.#of.delete(channel);
  }

  /**
   * Go on to a publication: `next` is to be processed, `known` was, before a `gap` something is missing.
   * @param {string} channel
   * @param {number} offset
   */
  advance(channel, offset) {
    const at = this.#of.get(channel);
    if (!at || offset <= at.offset) return "known";
    if (offset > at.offset + 1) return "gap";
    at.offset = offset;
    return "next";
  }
}
