import { one, say } from "./element.js";
import { t } from "./words.js";

/**
 * Who writes in the room on screen, and that I do.
 * @param {import("../models/chat.js").Chat} chat
 * @param {import("../models/preferences.js").Preferences} preferences
 */
export function showTyping(chat, preferences) {
  const show = () => {
    const names = (chat.open?.presence?.typing ?? []).map((id) => chat.people.nameOf(id));
    say(one("#typing"), wordsFor(names));
  };
  watchPresence(chat, show);
  one("#text").addEventListener("typed", () => preferences.all.typing && chat.open?.presence?.type());
  one("#text").addEventListener("rested", () => chat.open?.presence?.rest());
}

/** Call back whenever presence in the room on screen has changed. @param {import("../models/chat.js").Chat} chat @param {() => void} show */
export function watchPresence(chat, show) {
  let watched = chat.open?.presence ?? null;
  const watch = () => {
    const { presence = null } = chat.open ?? {};
    if (presence !== watched) presence?.addEventListener("change", show);
    watched = presence;
    show();
  };
  chat.addEventListener("open", () => {
    chat.open?.addEventListener("change", watch);
    chat.open?.timeline.addEventListener("change", watch);
    watch();
  });
}

/** @param {string[]} names */
function wordsFor([name, other, ...more]) {
  if (more.length) return t("typing.many");
  if (other) return t("typing.two", { name, other });
  return name ? t("typing.one", { name }) : "";
}
