import { asProblem } from "../client/problem.js";

/** @typedef {{username: string, display_name: string}} Person */

/** Who is who. Somebody unknown is asked for once. Tells `change`. */
export class People extends EventTarget {
  /** @type {Map<string, Person>} */ #of = new Map();
  /** @type {Set<string>} */ #asked = new Set();
  #ask;

  /** @param {(id: string) => Promise<import("./shapes.js").User>} ask */
  constructor(ask) {
    super();
    this.#ask = ask;
  }

  get all() {
    return [...this.#of].map(([id, { username, display_name }]) => ({ id, username, display_name }));
  }

  /** @param {({id: string} | {user_id: string}) & Person} person  a user or a member */
  add(person) {
    const id = "id" in person ? person.id : person.user_id;
    const held = this.#of.get(id);
    this.#of.set(id, person);
    if (held?.display_name !== person.display_name) this.dispatchEvent(new Event("change"));
  }

  /** What somebody was called when last heard of; "" for a stranger. */
  knownName(/** @type {string} */ id) {
    return this.#of.get(id)?.display_name ?? "";
  }

  /** What to call somebody; "…" until that is known. */
  nameOf(/** @type {string | undefined} */ id) {
    if (id && !this.#of.has(id)) this.#look(id);
    return this.#of.get(id ?? "")?.display_name ?? "…";
  }

  async #look(/** @type {string} */ id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    try {
      this.add(await this.#ask(id));
    } catch (error) {
      if (asProblem(error).temporary) this.#asked.delete(id); // asked again when next shown
    }
  }
}
