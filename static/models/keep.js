/** What this browser keeps of somebody over reloads: never a credential. All of it goes with a log-out. */
export class Keep {
  #prefix = "";
  #storage;

  /** @param {Storage} storage */
  constructor(storage) {
    this.#storage = storage;
    const user = this.user;
    if (user) this.#prefix = prefixOf(user.id);
  }

  /** Who used the page last. @returns {import("./shapes.js").User | null} */
  get user() {
    return parsed(this.#storage.getItem("chat:me"));
  }

  belongTo(/** @type {import("./shapes.js").User} */ user) {
    this.#prefix = prefixOf(user.id);
    this.#write("chat:me", user);
  }

  /** @param {string} name @returns {any} */
  get(name) {
    return this.#prefix ? parsed(this.#storage.getItem(this.#prefix + name)) : null;
  }

  /** @param {string} name @param {unknown} value  null: forget it */
  set(name, value) {
    if (!this.#prefix) return;
    if (value === null) this.#storage.removeItem(this.#prefix + name);
    else this.#write(this.#prefix + name, value);
  }

  /** Everything whose name begins so, by what follows. @param {string} start @returns {[string, any][]} */
  all(start) {
    const names = Object.keys(this.#storage).filter((name) => this.#prefix && name.startsWith(this.#prefix + start));
    return names.map((name) => [name.slice(this.#prefix.length + start.length), parsed(this.#storage.getItem(name))]);
  }

  clear() {
    const mine = Object.keys(this.#storage).filter((name) => this.#prefix && name.startsWith(this.#prefix));
    for (const name of ["chat:me", ...mine]) this.#storage.removeItem(name);
    this.#prefix = "";
  }

  #write(/** @type {string} */ name, /** @type {unknown} */ value) {
    try {
      this.#storage.setItem(name, JSON.stringify(value));
    } catch {
      // it is full or forbidden: the page works, it only forgets more
    }
  }
}

function prefixOf(/** @type {string} */ userId) {
  return `chat:${userId}:`;
}

function parsed(/** @type {string | null} */ text) {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
