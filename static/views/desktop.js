import { safeLink } from "../models/place.js";
import { t } from "./words.js";

/** @typedef {import("../models/shapes.js").Notification} Note */

const LEAD_MS = 5_000; // all tabs have heard of it by then

/**
 * The system's notifications, for who is not looking: one over all tabs, one per room at a time.
 * @param {import("../models/chat.js").Chat} chat
 * @param {import("../models/preferences.js").Preferences} preferences
 * @param {(link: string) => void} go
 */
export function notifyDesktop(chat, preferences, go) {
  const show = (/** @type {Note} */ { id, title, text, click, room_id }) => {
    const shown = new Notification(title || t("inbox.untitled"), { body: text, tag: room_id ?? id, icon: "/icon.svg" });
    shown.addEventListener("click", () => {
      window.focus();
      shown.close();
      const href = safeLink(click, location.href);
      if (href && new URL(href).origin === location.origin) go(href);
    });
  };

  chat.addEventListener("news", (event) => {
    const { detail: note } = /** @type {CustomEvent<Note>} */ (event);
    if (!preferences.all.desktop || Notification.permission !== "granted") return;
    if (chat.attention.isPaid && (!note.room_id || note.room_id === chat.open?.id)) return claim(note, () => {});
    if (chat.attention.isPaid) return;
    void claim(note, () => show(note));
  });
}

/** The first tab takes a notification, the others let it be. @param {Note} note @param {() => void} take */
async function claim({ id }, take) {
  await navigator.locks.request(`notified:${id}`, { ifAvailable: true }, async (lock) => {
    if (!lock) return;
    take();
    await new Promise((resolve) => setTimeout(resolve, LEAD_MS));
  });
}
