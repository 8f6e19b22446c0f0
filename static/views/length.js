import { one, sayOrHide } from "./element.js";
import { t } from "./words.js";

const MOST = 4_000; // characters of a message, as docs/protocol.md has it

/** Text that is too long is told so before it is sent, and stays as it was pasted. @param {HTMLTextAreaElement} field */
export function weigh(field) {
  const count = [...field.value].length;
  const words = count > MOST ? t("composer.tooLong", { count, most: MOST }) : "";
  field.setCustomValidity(words);
  field.ariaInvalid = words ? "true" : null;
  sayOrHide(one("#too-long"), words);
}
