import { one, sayOrHide } from "./element.js";

const FORMS = ["log-in", "register", "set-up"];

/** The way in: one of its forms, by what the address carries or the visitor chose. */
export class Entry {
  #place;

  /** @param {import("../models/place.js").Place} place */
  constructor(place) {
    this.#place = place;
    one("#set-up [name=code]").defaultValue = place.code;
    one("#register [name=invite]").defaultValue = place.invite;
    one("#invited").hidden = place.invite === "";
    addEventListener("hashchange", () => this.#choose());
  }

  /** Over the page, if somebody was in: it waits behind. @param {string} [why]  words for them */
  open(why = "") {
    for (const dialog of document.querySelectorAll("dialog[open]")) /** @type {HTMLDialogElement} */ (dialog).close();
    sayOrHide(one("#farewell"), why);
    one("#chat").inert = true;
    one("#entry").hidden = false;
    this.#choose();
  }

  close() {
    one("#entry").hidden = true;
    one("#chat").hidden = false;
    one("#chat").inert = false;
  }

  #choose() {
    if (one("#entry").hidden) return;
    const { isSetup, invite } = this.#place;
    const chosen = location.hash.slice(1);
    const shown = isSetup ? "set-up" : chosen === "log-in" || chosen === "register" ? chosen : invite ? "register" : "log-in";
    for (const id of FORMS) one(`#${id}`).hidden = id !== shown;
    one(`#${shown} input:not([type=hidden])`).focus();
  }
}
