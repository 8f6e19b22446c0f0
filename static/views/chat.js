import { showAbout } from "./about.js";
import { announceMessages } from "./announcer.js";
import { listenToButtons } from "./buttons.js";
import { offerNames } from "./completion.js";
import { Composer } from "./composer.js";
import { listenInComposer } from "./composing.js";
import { showConnection } from "./connection.js";
import { notifyDesktop } from "./desktop.js";
import { showDirectory } from "./directory.js";
import { one } from "./element.js";
import { listenToForms } from "./forms.js";
import { showInbox } from "./inbox.js";
import { listenToKeys } from "./keys.js";
import { showLog } from "./log.js";
import { offerMenu } from "./menu.js";
import { showPreferences } from "./preferences.js";
import { listenToPresence } from "./presence.js";
import { showRoomList } from "./room-list.js";
import { followSources } from "./reply.js";
import { showRoom } from "./room.js";
import { Scroll } from "./scroll.js";
import { watchSight } from "./sight.js";
import { offerSwitcher } from "./switcher.js";
import { showTitle } from "./title.js";
import { showTyping } from "./typing.js";
import { pageActions } from "./verbs.js";
import { watchVersion } from "./version.js";
import { walkMessages } from "./walking.js";

/**
 * Put a chat on the page.
 * @param {import("../models/chat.js").Chat} chat
 * @param {import("../models/preferences.js").Preferences} preferences
 * @param {(link: string) => void} go
 * @returns what a person may ask for there
 */
export function showChat(chat, preferences, go) {
  const scroll = new Scroll(one("#log"));
  listenToForms();
  listenToButtons();
  listenToPresence(chat);
  listenToKeys(chat, go);
  for (const show of [showRoomList, showRoom, showDirectory, showAbout, showTitle, announceMessages, offerMenu, offerNames]) show(chat);
  const composer = new Composer(chat);
  listenInComposer(chat, composer);
  showTyping(chat, preferences);
  showLog(chat, scroll);
  watchSight(chat, scroll);
  walkMessages();
  followSources(scroll);
  showConnection(chat.connection);
  watchVersion(chat.connection);
  showInbox(chat.inbox);
  offerSwitcher(chat, go);
  showPreferences(preferences, chat);
  notifyDesktop(chat, preferences, go);
  return pageActions(chat, composer, scroll);
}
