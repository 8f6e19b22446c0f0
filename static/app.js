/** Starts the page: models, views that show them, verbs that change them, and who is in. */

import { chatActions, entryActions } from "./actions.js";
import { asProblem } from "./client/problem.js";
import { Chat } from "./models/chat.js";
import { Errand } from "./models/errand.js";
import { Keep } from "./models/keep.js";
import { keepUp } from "./models/keeping-up.js";
import { recall, recallMessages, remember } from "./models/memory.js";
import { linkTo } from "./models/place.js";
import { Preferences } from "./models/preferences.js";
import { Session } from "./models/session.js";
import { carryOut } from "./views/act.js";
import { showChat } from "./views/chat.js";
import { Entry } from "./views/entry.js";
import { Places } from "./views/places.js";
import { fillWords, t, wordsOf } from "./views/words.js";

const NO_LOGIN = 3500; // the close code

fillWords();
const session = new Session();
const keep = new Keep(localStorage);
const chat = new Chat(session, keep);
const places = new Places(({ roomId, seq }) => chat.show(roomId, seq), () => chat.open?.reading ?? null);
const entry = new Entry(places.here);
const go = (/** @type {string} */ link) => places.go(link);

const verbs = showChat(chat, new Preferences(localStorage), go);
keepUp(chat);
carryOut(document, { ...entryActions({ session, enter }), ...chatActions(chat, go), ...verbs });

session.addEventListener("ended", (event) => leave(/** @type {CustomEvent<boolean>} */ (event).detail));
chat.addEventListener("stranger", () => location.reload());
chat.connection.addEventListener("state", () => {
  const { state } = chat.connection;
  if (state.name === "closed" && state.code === NO_LOGIN) session.end();
});
document.addEventListener("visibilitychange", () => document.hidden && chat.isIn && remember(chat));
addEventListener("pagehide", () => chat.isIn && remember(chat));

if (places.here.isSetup) entry.open();
else begin();

/** What the last visit saw is there at once; whether the cookie still holds a login is found out meanwhile. */
function begin() {
  const { roomId, seq } = places.here;
  if (recall(chat)) {
    entry.close();
    chat.show(roomId, seq);
    recallMessages(chat);
  }
  void new Errand(resume).run();
}

async function resume() {
  try {
    if (await session.resume()) enter();
    else entry.open();
  } catch (error) {
    if (!chat.me) entry.open(wordsOf(asProblem(error)));
    throw error;
  }
}

function enter() {
  const { roomId, seq } = places.here;
  places.rename(roomId ? linkTo(roomId, seq ?? undefined) : "/"); // codes and invites are used up
  entry.close();
  chat.start();
  if (chat.open?.id !== roomId) chat.show(roomId, seq);
}

/** @param {boolean} isWished */
function leave(isWished) {
  chat.stop();
  if (!isWished) return entry.open(t("entry.ended"));
  keep.clear();
  location.assign("/");
}
