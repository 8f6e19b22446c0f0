import { asProblem } from "../client/problem.js";
import { act } from "./act.js";
import { one, sayOrHide } from "./element.js";
import { wordsOf } from "./words.js";

/** A button's `data-verb` is what it asks for, about its `data-id`; `data-dialog` is the dialog that it opens. */
export function listenToButtons() {
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest("button") : null;
    if (button?.dataset.verb) attempt(button, button.dataset.verb, { id: button.dataset.id });
    if (button?.dataset.dialog) openDialog(one(`#${button.dataset.dialog}`));
  });
}

/** @param {HTMLDialogElement} dialog  its `data-opens` is asked for whenever it opens */
export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
  if (dialog.dataset.opens) attempt(dialog, dialog.dataset.opens);
}

/**
 * Ask for something. Trouble is said at the top of the page, or of the dialog that it happens in.
 * @param {Element} element
 * @param {string} verb
 * @param {object} [about]
 */
export async function attempt(element, verb, about) {
  const trouble = one(element.closest("dialog") ? ".refusal" : "#trouble", element.closest("dialog") ?? document);
  try {
    await act(element, verb, about);
    sayOrHide(trouble, "");
  } catch (error) {
    sayOrHide(trouble, wordsOf(asProblem(error)));
  }
}
