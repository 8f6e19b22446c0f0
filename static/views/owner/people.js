import { one, rowOf, say, showAvatar } from "../element.js";
import { showRows } from "../rows.js";
import { t } from "../words.js";

/** @typedef {import("../../models/shapes.js").User} User */
/** @typedef {(method: string, path: string, json?: object) => Promise<any>} Ask */

/** Everybody: who they are here, and whether they may come in. @param {Ask} ask @param {User} me */
export function peopleActions(ask, me) {
  /** @type {User[]} */ let people = [];
  let next = /** @type {string | null} */ (null);
  let query = "";

  const load = async (/** @type {string | null} */ after) => {
    const asked = new URLSearchParams({ limit: "50", ...(query && { query }), ...(after && { after }) });
    const page = await ask("GET", `/api/v1/users?${asked}`);
    people = after ? [...people, ...page.items] : page.items;
    next = page.next;
    show();
  };

  const show = () => {
    showRows(one("#people"), people.filter(({ kind }) => kind !== "bot"), { key: ({ id }) => id, make: () => rowOf("user-row"), fill });
    one("#more-people").hidden = next === null;
  };

  /** @param {HTMLElement} row @param {User} user */
  const fill = (row, { id, username, display_name, role, disabled }) => {
    showAvatar(one(".avatar", row), id, display_name);
    say(one(".name", row), display_name);
    say(one(".username", row), `@${username}${disabled ? ` · ${t("owner.disabled")}` : ""}`);
    const [select, button] = [one("select", row), one("button", row)];
    Object.assign(select, { value: role, disabled: id === me.id || (role === "owner" && me.role !== "owner") });
    select.dataset.id = id;
    select.ariaLabel = `${t("owner.role")}: ${display_name}`;
    Object.assign(button.dataset, { id, verb: disabled ? "enable" : "disable" });
    button.hidden = id === me.id;
    say(button, t(disabled ? "owner.enable" : "owner.disable"));
  };

  const change = async (/** @type {string} */ id, /** @type {object} */ changes) => {
    const changed = await ask("PATCH", `/api/v1/users/${encodeURIComponent(id)}`, changes);
    people = people.map((user) => (user.id === id ? changed : user));
    show();
  };

  return {
    "find-people": (/** @type {{query?: string}} */ wanted) => {
      query = wanted.query ?? "";
      return load(null);
    },
    "more-people": () => load(next),
    disable: (/** @type {{id: string}} */ { id }) => change(id, { disabled: true }),
    enable: (/** @type {{id: string}} */ { id }) => change(id, { disabled: false }),
    "change-role": (/** @type {{id: string, value: string}} */ { id, value }) => change(id, { role: value }).finally(show),
  };
}
