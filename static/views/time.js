import { language, t } from "./words.js";

const locales = navigator.languages.filter((one) => one.startsWith(language)).concat(language);
const CLOCK = new Intl.DateTimeFormat(locales, { hour: "2-digit", minute: "2-digit" });
const DAY_AND_CLOCK = new Intl.DateTimeFormat(locales, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(locales, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const EXACT = new Intl.DateTimeFormat(locales, { dateStyle: "full", timeStyle: "medium" });
const RELATIVE = new Intl.RelativeTimeFormat(locales, { numeric: "auto" });

/** A moment by its local time of day; the exact one on hover. @param {HTMLTimeElement} element @param {string} at  RFC 3339 */
export function showTime(element, at) {
  if (element.dateTime === at) return;
  const moment = new Date(at);
  const isUnderItsDay = element.closest(".message") !== null || isToday(moment);
  element.dateTime = at;
  element.textContent = (isUnderItsDay ? CLOCK : DAY_AND_CLOCK).format(moment);
  element.title = EXACT.format(moment);
}

/** The day over its messages. @param {string} at */
export function dayWords(at) {
  const moment = new Date(at);
  const days = Math.round((new Date(moment).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86_400_000);
  return days === 0 || days === -1 ? capital(RELATIVE.format(days, "day")) : DAY.format(moment);
}

/** @param {{status: string, last_seen_at: string | null}} seen */
export function presenceWords({ status, last_seen_at }) {
  if (status === "online") return t("presence.online");
  return last_seen_at ? t("presence.lastSeen", { when: momentWords(last_seen_at) }) : t("presence.offline");
}

/** @param {string} at */
export function momentWords(at) {
  const moment = new Date(at);
  return (isToday(moment) ? CLOCK : DAY_AND_CLOCK).format(moment);
}

function isToday(/** @type {Date} */ moment) {
  return moment.toDateString() === new Date().toDateString();
}

function capital(/** @type {string} */ words) {
  return words.charAt(0).toLocaleUpperCase(language) + words.slice(1);
}
