/** @typedef {"system" | "light" | "dark"} Theme */

const NAME = "chat:preferences";
const DEFAULTS = { theme: /** @type {Theme} */ ("system"), language: "", typing: true, desktop: false };

/** How this browser likes the page, whoever uses it. Tells `change`. */
export class Preferences extends EventTarget {
  #storage;

  /** @param {Storage} storage */
  constructor(storage) {
    super();
    this.#storage = storage;
  }

  get all() {
    try {
      return { ...DEFAULTS, ...JSON.parse(this.#storage.getItem(NAME) ?? "{}") };
    } catch {
      return DEFAULTS;
    }
  }

  /** @param {Partial<typeof DEFAULTS>} changes */
  change(changes) {
    this.#storage.setItem(NAME, JSON.stringify({ ...this.all, ...changes }));
    this.dispatchEvent(new Event("change"));
  }
}
