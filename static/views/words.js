/** @typedef {import("../words/en.js").default} Words */

const LANGUAGES = ["en", "de"];
/** @type {Record<string, string>} */
const ATTRIBUTES = { "t-label": "aria-label", "t-title": "title", "t-placeholder": "placeholder" };

export const language = chosen();
document.documentElement.lang = language;
/** @type {Record<string, string | string[]>} */
const catalogue = (await (language === "de" ? import("../words/de.js") : import("../words/en.js"))).default;

/**
 * Words of the page in the visitor's language.
 * @param {string} key
 * @param {Record<string, string | number>} [values]  `count` chooses between one and many
 */
export function t(key, values = {}) {
  const found = catalogue[key] ?? key;
  const words = typeof found === "string" ? found : found[values.count === 1 ? 0 : 1];
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** What to tell a person of a problem. @param {import("../client/problem.js").Problem} problem */
export function wordsOf(problem) {
  return catalogue[`problem.${problem.code}`] ? t(`problem.${problem.code}`) : problem.words;
}

/** Put the words where the page has left room for them, its templates included. @param {Document | DocumentFragment} root */
export function fillWords(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(keyOf(element, "t"));
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of root.querySelectorAll(`[data-${name}]`)) element.setAttribute(attribute, t(keyOf(element, name)));
  }
  for (const template of root.querySelectorAll("template")) fillWords(template.content);
}

function keyOf(/** @type {Element} */ element, /** @type {string} */ name) {
  return element.getAttribute(`data-${name}`) ?? "";
}

/** As chosen in the preferences (theme.js has put it there), else as the browser likes it. */
function chosen() {
  const wished = [localStorage.getItem("chat:preferences")?.match(/"language":"(\w+)"/)?.[1] ?? "", ...navigator.languages];
  return wished.map((one) => one.slice(0, 2)).find((one) => LANGUAGES.includes(one)) ?? "en";
}
