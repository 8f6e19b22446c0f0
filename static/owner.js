/** Starts the owner's page: people, invites, bots and keys, sessions, and how the server does right now. */

import { asProblem } from "./client/problem.js";
import { Session } from "./models/session.js";
import { act, carryOut } from "./views/act.js";
import { attempt, listenToButtons } from "./views/buttons.js";
import { one, sayOrHide } from "./views/element.js";
import { listenToForms } from "./views/forms.js";
import { botActions } from "./views/owner/bots.js";
import { showFigures } from "./views/owner/figures.js";
import { peopleActions } from "./views/owner/people.js";
import { showSecret } from "./views/owner/secret.js";
import { showLogins } from "./views/preferences.js";
import { fillWords, t, wordsOf } from "./views/words.js";

const DAY_S = 86_400;

fillWords();
const session = new Session();
const ask = session.ask.bind(session);
begin().catch((error) => sayOrHide(one("#trouble"), wordsOf(asProblem(error))));

async function begin() {
  if (!(await session.resume())) return sayOrHide(one("#trouble"), t("owner.logIn"));
  const me = await ask("GET", "/api/v1/users/me");
  if (!["owner", "admin"].includes(me.role)) return sayOrHide(one("#trouble"), t("owner.notAllowed"));
  one("#owner").hidden = false;
  listenToForms();
  listenToButtons();
  carryOut(document, { ...peopleActions(ask, me), ...botActions(ask), ...ownActions() });
  document.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLSelectElement && target.dataset.id) void attempt(target, "change-role", { id: target.dataset.id, value: target.value });
  });
  showFigures();
  for (const verb of ["find-people", "list-bots", "list-sessions"]) await act(one("#owner"), verb);
}

function ownActions() {
  const list = async () => showLogins((await ask("GET", "/api/v1/auth/sessions")).items);
  return {
    "list-sessions": list,
    "end-session": async (/** @type {{id: string}} */ { id }) => {
      await ask("DELETE", `/api/v1/auth/sessions/${encodeURIComponent(id)}`);
      await list();
    },
    invite: async (/** @type {{role: string, max_uses: string, days: string}} */ { role, max_uses, days }) => {
      const wanted = { role, max_uses: Number(max_uses), expires_in_s: Number(days) * DAY_S };
      const { url } = await ask("POST", "/api/v1/invites", wanted);
      showSecret("#new-invite", new URL(url, location.href).href);
    },
  };
}
