import { one, rowOf, say, showAvatar } from "../element.js";
import { showRows } from "../rows.js";
import { momentWords } from "../time.js";
import { t } from "../words.js";
import { showSecret } from "./secret.js";

/** @typedef {{id: string, label: string, prefix: string, scopes: string[], last_used_at: string | null}} Key */
/** @typedef {{user: import("../../models/shapes.js").User, keys: Key[]}} Bot */

/** The bots and their keys; a key is shown once, when it is made. @param {import("./people.js").Ask} ask */
export function botActions(ask) {
  const load = async () => {
    const { items } = await ask("GET", "/api/v1/bots");
    showRows(one("#bots"), /** @type {Bot[]} */ (items), { key: ({ user }) => user.id, make: () => rowOf("bot-row"), fill });
  };

  return {
    "list-bots": load,
    "add-bot": async (/** @type {{username: string}} */ bot) => {
      await ask("POST", "/api/v1/bots", bot);
      await load();
    },
    "new-key": async (/** @type {{id: string}} */ { id }) => {
      const { key } = await ask("POST", `/api/v1/bots/${encodeURIComponent(id)}/keys`, {});
      showSecret("#new-secret-key", key);
      await load();
    },
    "revoke-key": async (/** @type {{id: string}} */ { id }) => {
      const [bot, key] = id.split("/");
      await ask("DELETE", `/api/v1/bots/${encodeURIComponent(bot)}/keys/${encodeURIComponent(key)}`);
      await load();
    },
  };
}

/** @param {HTMLElement} row @param {Bot} bot */
function fill(row, { user, keys }) {
  showAvatar(one(".avatar", row), user.id, user.display_name);
  say(one(".name", row), user.display_name);
  say(one(".username", row), `@${user.username}`);
  one(".bot button", row).dataset.id = user.id;
  one(".no-keys", row).hidden = keys.length > 0;
  showRows(one(".keys-of", row), keys, {
    key: ({ id }) => id,
    make: () => rowOf("key-row"),
    fill: (line, { id, label, prefix, scopes, last_used_at }) => {
      say(one("code", line), `${prefix}…`);
      const used = last_used_at ? t("owner.lastUsed", { when: momentWords(last_used_at) }) : t("owner.never");
      say(one("span", line), [label, scopes.join(", "), used].filter(Boolean).join(" · "));
      one("button", line).dataset.id = `${user.id}/${id}`;
    },
  });
}
