import { safeLink } from "../models/place.js";
import { one, rowOf, say, sayOrHide, showCount } from "./element.js";
import { showRows } from "./rows.js";
import { showTime } from "./time.js";
import { t } from "./words.js";

const URGENT = 4; // of 5

/** My notifications. @param {import("../models/inbox.js").Inbox} inbox */
export function showInbox(inbox) {
  const show = () => {
    const items = inbox.items.filter(isWanted);
    showCount(one("#notified"), inbox.unread, t("nav.unread", { count: inbox.unread }));
    one("#bell").ariaLabel = [t("inbox.title"), inbox.unread && t("nav.unread", { count: inbox.unread })].filter(Boolean).join(", ");
    one("#read-all").hidden = inbox.unread === 0;
    one("#earlier-notifications").hidden = !inbox.hasEarlier;
    one("#no-notifications").hidden = items.length > 0;
    showRows(one("#notifications"), items, { key: ({ id }) => id, make: () => rowOf("notification-row"), fill });
  };
  inbox.addEventListener("change", show);
  for (const id of ["#only-unread", "#only-urgent"]) one(id).addEventListener("change", show);
}

/** By what is ticked above the list. @param {import("../models/shapes.js").Notification} notification */
function isWanted({ read_at, priority }) {
  return !(one("#only-unread").checked && read_at !== null) && !(one("#only-urgent").checked && priority < URGENT);
}

/** @param {HTMLElement} row @param {import("../models/shapes.js").Notification} notification */
function fill(row, { id, title, text, click, created_at, read_at, priority }) {
  row.classList.toggle("unread", read_at === null);
  say(one(".title", row), title || t("inbox.untitled"));
  say(one(".text", row), text);
  showTime(one("time", row), created_at);
  sayOrHide(one(".priority", row), priority >= URGENT ? t("inbox.urgent") : "");
  const href = safeLink(click, location.href);
  if (href) one(".title", row).href = href;
  const button = one("button", row);
  button.hidden = read_at !== null;
  button.dataset.id = id;
}
