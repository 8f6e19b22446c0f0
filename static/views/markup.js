import { blocksOf } from "../models/markup.js";
import { t } from "./words.js";

/** @typedef {import("../models/markup.js").Part} Part */
/** @typedef {import("../models/markup.js").Block} Block */

/** Show a message's text as what it means. Every word of it becomes a text node. @param {HTMLElement} element @param {string} text */
export function showMarkup(element, text) {
  element.replaceChildren(...blocksOf(text).map(elementOf));
}

/** @param {Block} block @returns {HTMLElement} */
function elementOf(block) {
  if (block.kind === "pre") return code(block.text);
  if (block.kind === "list") return made("ul", block.items.map((item) => made("li", item.map(nodeOf))));
  return made(block.kind === "quote" ? "blockquote" : "p", block.parts.map(nodeOf));
}

/** @param {string} text */
function code(text) {
  const copy = made("button", [t("message.copyCode")]);
  copy.className = "quiet";
  copy.addEventListener("click", () => void navigator.clipboard.writeText(text));
  return Object.assign(made("div", [made("pre", [text]), copy]), { className: "code" });
}

/** @param {Part} part @returns {Node} */
function nodeOf(part) {
  switch (part.kind) {
    case "text":
      return document.createTextNode(part.text);
    case "code":
      return made("code", [part.text]);
    case "mention":
      return Object.assign(made("span", [part.text]), { className: "mention" });
    case "link":
      return link(part.href, part.parts);
    default:
      return made(part.kind, part.parts.map(nodeOf));
  }
}

/** @param {string} href @param {Part[]} parts */
function link(href, parts) {
  const element = /** @type {HTMLAnchorElement} */ (made("a", parts.map(nodeOf)));
  return Object.assign(element, { href, rel: "noopener noreferrer nofollow", target: "_blank" });
}

/** @param {string} name @param {(Node | string)[]} children */
function made(name, children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}
