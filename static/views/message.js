import { linkTo } from "../models/place.js";
import { one, say, showAvatar } from "./element.js";
import { showMarkup } from "./markup.js";
import { fillSource } from "./reply.js";
import { showTime } from "./time.js";
import { t, wordsOf } from "./words.js";

/** @typedef {import("../models/chat.js").Chat} Chat */
/** @typedef {import("../models/entries.js").Said} Said */
/** @typedef {import("../models/entries.js").Unsent} Unsent */

const EMOJI_ONLY = /^(\p{Extended_Pictographic}[\u{fe0f}\u{200d}\u{1f3fb}-\u{1f3ff}]*\s?){1,5}$/u;

/** @type {WeakMap<HTMLElement, string>} */ const shown = new WeakMap();
/** @type {WeakMap<HTMLElement, unknown[]>} */ const filled = new WeakMap();

/** A row is left alone while what it shows is the same: there are hundreds. @param {Chat} chat @param {HTMLElement} row @param {Said} said */
export function fillMessage(chat, row, { message, isFirst }) {
  const source = chat.open?.sources.of(message.reply_to);
  const told = [message, isFirst, chat.me?.id, chat.people.nameOf(message.sender_id), source, source && chat.people.nameOf(source.sender_id)];
  if (filled.get(row)?.every((one, index) => one === told[index])) return;
  filled.set(row, told);
  const isMine = message.sender_id === chat.me?.id;
  const isDeleted = message.deleted_at !== null;
  const calls = message.mentions.room || message.mentions.user_ids.includes(chat.me?.id ?? "");
  row.dataset.seq = String(message.seq);
  row.dataset.id = message.id;
  row.classList.toggle("calls-me", calls && !isMine);
  fill(chat, row, { sender: message.sender_id, at: message.created_at, text: isDeleted ? null : message.text, isFirst });
  fillSource(chat, row, message.reply_to);
  one(".edited", row).hidden = message.edited_at === null || isDeleted;
  one(".when", row).href = linkTo(message.room_id, message.seq);
  one(".fate", row).hidden = true;
}

/** What is not sent yet looks as it will when it is. @param {Chat} chat @param {HTMLElement} row @param {Unsent} unsent */
export function fillPost(chat, row, { post, isFirst }) {
  const { problem, client_msg_id } = post;
  filled.delete(row);
  fill(chat, row, { sender: chat.me?.id ?? "", at: post.written_at, text: post.text, isFirst });
  fillSource(chat, row, post.reply_to);
  row.classList.add("pending");
  row.classList.toggle("refused", problem !== null);
  one(".fate", row).hidden = false;
  say(one(".fate span", row), problem ? t("message.notSent", { reason: wordsOf(problem) }) : t("message.waiting"));
  for (const button of row.querySelectorAll(".fate button")) {
    const { dataset } = Object.assign(/** @type {HTMLButtonElement} */ (button), { hidden: problem === null });
    dataset.id = client_msg_id;
  }
}

/** @param {Chat} chat @param {HTMLElement} row @param {{sender: string, at: string, text: string | null, isFirst: boolean}} told */
function fill(chat, row, { sender, at, text, isFirst }) {
  row.classList.remove("pending", "refused");
  row.classList.toggle("grouped", !isFirst);
  row.classList.toggle("mine", sender === chat.me?.id);
  row.classList.toggle("deleted", text === null);
  say(one(".name", row), chat.people.nameOf(sender));
  showAvatar(one(".avatar", row), sender, chat.people.nameOf(sender));
  showTime(one("time", row), at);
  showText(row, text);
}

/** The text is only built anew when it has changed. @param {HTMLElement} row @param {string | null} text  null: deleted */
function showText(row, text) {
  const place = one(".text", row);
  const key = text ?? "\0";
  if (shown.get(row) === key) return;
  shown.set(row, key);
  place.classList.toggle("large", text !== null && EMOJI_ONLY.test(text));
  if (text === null) say(place, t("message.deleted"));
  else showMarkup(place, text);
}
