import { one, say } from "./element.js";

/** Ask before something that cannot be taken back. @param {string} question @param {string} yes  the button's words @returns {Promise<boolean>} */
export function areSure(question, yes) {
  const dialog = one("#sure");
  say(one("#sure-words"), question);
  say(one("#sure-yes"), yes);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((told) => dialog.addEventListener("close", () => told(dialog.returnValue === "yes"), { once: true }));
}
