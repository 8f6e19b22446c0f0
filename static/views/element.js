/**
 * The one element that a selector finds.
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any}
 */
export function one(selector, root = document) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`nothing is ${selector}`);
  return found;
}

/** A new row of a kind that the page has a template for. @param {string} id @returns {HTMLElement} */
export function rowOf(id) {
  return one(`#${id}`).content.firstElementChild.cloneNode(true);
}

/** Text is only touched when it changes: what listens to the page reads it out. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Say something where it belongs, or hide the place when there is nothing to say. @param {HTMLElement} element @param {string} text */
export function sayOrHide(element, text) {
  say(element, text);
  element.hidden = text === "";
}

/** A number that is worth a look, or nothing. @param {HTMLElement} element @param {number} count @param {string} words  what it counts */
export function showCount(element, count, words) {
  sayOrHide(element, count ? String(count) : "");
  element.title = count ? words : "";
}

/** Somebody's initial on a colour of their own. @param {HTMLElement} element @param {string} id @param {string} name */
export function showAvatar(element, id, name) {
  say(element, [...name.trim()][0]?.toUpperCase() ?? "");
  element.dataset.hue = String([...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 8, 0));
}
