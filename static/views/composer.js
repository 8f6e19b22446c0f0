import { one, say } from "./element.js";
import { weigh } from "./length.js";
import { snippetOf } from "./reply.js";

/** @typedef {import("../models/shapes.js").Message} Message */

/**
 * Where one writes: a new message, a reply, or another wording. Each room keeps its own draft, and what it replies to,
 * also over a reload.
 */
export class Composer {
  #form = one("#composer");
  #field = one("#text");
  /** @type {Message | null} */ #edited = null;
  #roomId = "";
  #chat;

  /** @param {import("../models/chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    this.#field.addEventListener("input", () => this.#wrote());
    this.#form.addEventListener("submit", () => this.#field.focus());
    this.#form.addEventListener("reset", () => queueMicrotask(() => this.#sent()));
    chat.addEventListener("open", () => this.#turn());
  }

  /** What a submit is about: another wording of a message, or a new one. */
  get edited() {
    return this.#edited;
  }

  /** The message that a submit replies to. */
  get source() {
    return this.#edited ? null : this.#chat.drafts.sourceOf(this.#roomId);
  }

  /** @param {Message | null} message  null: to none */
  replyTo(message) {
    this.stopEditing();
    this.#chat.drafts.replyTo(this.#roomId, message);
    this.#show(this.#field.value);
  }

  /** @param {Message} message */
  edit(message) {
    this.#edited = message;
    this.#show(message.text);
  }

  stopEditing() {
    if (!this.#edited) return;
    this.#edited = null;
    this.#show(this.#chat.drafts.of(this.#roomId));
  }

  /** The edit, or else the reply. */
  giveUp() {
    if (this.#edited) this.stopEditing();
    else if (this.source) this.replyTo(null);
  }

  /** Begin an answer. @param {string} text */
  quote(text) {
    const quoted = text.split("\n").map((line) => `> ${line}\n`).join("");
    this.#show(`${quoted}${this.#field.value}`);
    this.#wrote();
  }

  focus() {
    this.#field.focus();
  }

  #wrote() {
    weigh(this.#field);
    if (!this.#edited) this.#chat.drafts.write(this.#roomId, this.#field.value);
    this.#field.dispatchEvent(new CustomEvent(this.#field.value && !this.#edited ? "typed" : "rested", { bubbles: true }));
  }

  #sent() {
    const wasEdit = this.#edited !== null;
    this.#edited = null;
    if (wasEdit) return this.#show(this.#chat.drafts.of(this.#roomId));
    this.#wrote();
    if (this.source) this.replyTo(null);
  }

  /** Another room, another draft. Touch would open a keyboard over what is to be read first. */
  #turn() {
    const { open } = this.#chat;
    const hasKeyboard = !matchMedia("(pointer: coarse)").matches;
    this.#edited = null;
    this.#roomId = open?.id ?? "";
    this.#show(this.#chat.drafts.of(this.#roomId), hasKeyboard);
    const isBusy = () => document.querySelector("dialog[open], #entry:not([hidden])") || document.activeElement?.matches("input, textarea, #log *");
    open?.addEventListener("change", () => hasKeyboard && !isBusy() && this.#field.focus(), { once: true });
  }

  #show(/** @type {string} */ text, isFocused = true) {
    const { source } = this;
    one("#editing").hidden = this.#edited === null;
    one("#replying").hidden = source === null;
    if (source) {
      say(one("#replying b"), this.#chat.people.nameOf(source.sender_id));
      say(one("#replying .snippet"), snippetOf(source));
    }
    this.#field.value = text;
    weigh(this.#field);
    if (isFocused) this.#field.focus();
  }
}
