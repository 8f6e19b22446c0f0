/** The page of components: the same ones twice, light and dark. */

import { one } from "./views/element.js";

const COLOURS = ["paper", "side", "raised", "shade", "pressed", "line", "edge", "ink", "soft", "pale", "accent", "tint", "call", "on-call", "alarm", "alarm-tint", "good"];

for (const article of document.querySelectorAll("article")) {
  article.append(one("#all").content.cloneNode(true));
  one(".swatches", article).append(...COLOURS.map(swatch));
  one(".type", article).append(...[6, 5, 4, 3, 2, 1].map(line));
  one(".avatars", article).append(...[0, 1, 2, 3, 4, 5, 6, 7].map(avatar));
}

function swatch(/** @type {string} */ name) {
  const element = made("span", "swatch", name);
  element.style.setProperty("--of", `var(--${name})`);
  return element;
}

function line(/** @type {number} */ step) {
  const element = made("p", "", `Step ${step}: say it plainly`);
  element.style.fontSize = `var(--text-${step})`;
  return element;
}

function avatar(/** @type {number} */ hue) {
  const element = made("span", "avatar", "ABCDEFGH"[hue]);
  element.dataset.hue = String(hue);
  return element;
}

/** @param {string} name @param {string} kind @param {string} text */
function made(name, kind, text) {
  return Object.assign(document.createElement(name), { className: kind, textContent: text });
}
