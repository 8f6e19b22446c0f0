import { one, rowOf, say } from "./element.js";
import { showRows } from "./rows.js";
import { momentWords } from "./time.js";
import { language, t } from "./words.js";

/** @typedef {{id: string, user_agent: string, address: string, last_seen_at: string, created_at: string, current: boolean}} Login */

/**
 * How the page looks and speaks, and where I am logged in.
 * @param {import("../models/preferences.js").Preferences} preferences
 * @param {import("../models/chat.js").Chat} chat
 */
export function showPreferences(preferences, chat) {
  const form = one("#likes");
  const fill = () => {
    const { theme, typing, desktop } = preferences.all;
    form.elements.theme.value = theme;
    form.elements.language.value = language;
    form.elements.typing.checked = typing;
    form.elements.desktop.checked = desktop && Notification.permission === "granted";
    say(one("#desktop-help"), t(Notification.permission === "denied" ? "preferences.desktopBlocked" : "preferences.desktopHelp"));
  };

  form.addEventListener("change", async () => {
    const { theme, language: wished, typing, desktop } = form.elements;
    const mayNotify = desktop.checked && (await Notification.requestPermission()) === "granted";
    preferences.change({ theme: theme.value, language: wished.value, typing: typing.checked, desktop: mayNotify });
    document.documentElement.dataset.theme = theme.value;
    if (wished.value !== language) location.reload();
    fill();
  });
  one("#preferences").addEventListener("beforetoggle", () => {
    fill();
    one("#profile-name").value = chat.me ? chat.people.nameOf(chat.me.id) : "";
  });
}

/** What may be done there. @param {import("../models/chat.js").Chat} chat */
export function personalActions({ session, connection, people }) {
  const list = async () => showLogins((await session.ask("GET", "/api/v1/auth/sessions")).items);
  return {
    "list-sessions": list,
    "end-session": async (/** @type {{id: string}} */ { id }) => {
      await session.ask("DELETE", `/api/v1/auth/sessions/${encodeURIComponent(id)}`);
      await list();
    },
    "rename-me": async (/** @type {{display_name: string}} */ { display_name }) => {
      people.add(await connection.call("users.update", { display_name }));
    },
  };
}

/** @param {Login[]} logins @param {HTMLElement} list */
export function showLogins(logins, list = one("#sessions")) {
  showRows(list, logins, {
    key: ({ id }) => id,
    make: () => rowOf("session-row"),
    fill: (row, { id, user_agent, address, last_seen_at, created_at, current }) => {
      say(one(".name", row), deviceOf(user_agent));
      say(one(".seen", row), current ? t("preferences.thisOne") : `${address} · ${momentWords(last_seen_at ?? created_at)}`);
      one("button", row).dataset.id = id;
      one("button", row).hidden = current;
    },
  });
}

/** The browser and system in a user agent's words. @param {string} agent */
function deviceOf(agent) {
  const browser = /Firefox|Edg|Chrome|Safari/.exec(agent)?.[0].replace("Edg", "Edge");
  const system = /Android|iPhone|iPad|Windows|Mac OS X|Linux/.exec(agent)?.[0];
  return [browser, system].filter(Boolean).join(", ") || agent.slice(0, 40) || "?";
}
