/** Whether what was loaded still holds. What goes stale while it is being loaded is stale afterwards too. */
export class Freshness {
  #wanted = 1;
  #got = 0;

  get isStale() {
    return this.#got < this.#wanted;
  }

  outdate() {
    this.#wanted += 1;
  }

  /** @param {() => Promise<void>} load  called only when something is stale */
  async renew(load) {
    if (!this.isStale) return;
    const wanted = this.#wanted;
    await load();
    this.#got = wanted;
  }
}
