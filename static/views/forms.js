import { Problem, asProblem } from "../client/problem.js";
import { act } from "./act.js";
import { one, sayOrHide } from "./element.js";
import { wordsOf } from "./words.js";

/** @type {Record<string, string>} the fields that problems without a list of fields are about */
const FIELD_OF = { username_taken: "username", invite_needed: "invite" };

/** A form's `data-verb` is what submitting it asks for; what is refused is said beside the field, or above the form. */
export function listenToForms() {
  document.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.dataset.verb) return;
    event.preventDefault();
    submit(form, form.dataset.verb);
  });
}

/** @param {HTMLFormElement} form @param {string} verb */
async function submit(form, verb) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const fields = fieldsOf(form);
  try {
    await act(form, verb, fields);
    refuse(form, null);
    const isSame = JSON.stringify(fieldsOf(form)) === JSON.stringify(fields); // what was typed meanwhile stays
    if (isSame && !("stays" in form.dataset)) form.reset();
  } catch (error) {
    refuse(form, asProblem(error));
  } finally {
    form.ariaBusy = null;
  }
}

/** What was filled in. An empty field is one that was not sent, unless it may be emptied. @param {HTMLFormElement} form */
function fieldsOf(form) {
  const mayBeEmpty = (/** @type {string} */ name) => form.querySelector(`[name="${name}"][data-may-be-empty]`) !== null;
  return Object.fromEntries([...new FormData(form)].filter(([name, value]) => value !== "" || mayBeEmpty(name)));
}

/** @param {HTMLFormElement} form @param {Problem | null} problem */
function refuse(form, problem) {
  for (const old of form.querySelectorAll("small.refused")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const about = problem && FIELD_OF[problem.code];
  const fields = about && problem ? [{ field: about, message: wordsOf(problem) }] : (problem?.fields ?? []);
  const loose = fields.filter(({ field, message }) => !refuseField(form, field, message));
  const words = loose.map(({ field, message }) => `${field}: ${message}`);
  if (problem && fields.length === 0) words.push(wordsOf(problem));
  const place = form.querySelector(".refusal");
  if (place) sayOrHide(one(".refusal", form), words.join(" "));
}

/** @param {HTMLFormElement} form @param {string} name @param {string} message */
function refuseField(form, name, message) {
  const field = form.elements.namedItem(name);
  if (!(field instanceof HTMLInputElement) || field.type === "hidden") return false;
  const note = document.createElement("small");
  note.className = "refused";
  note.id = `${field.id}-refused`;
  note.textContent = message;
  field.ariaInvalid = "true";
  field.setAttribute("aria-describedby", note.id);
  field.after(note);
  return true;
}
