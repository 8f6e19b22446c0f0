/**
 * A message's text as what it means: a small part of Markdown. It only ever describes text; nothing in it is HTML.
 *
 * @typedef {{kind: "text" | "code" | "mention", text: string}} Plain
 * @typedef {{kind: "strong" | "em" | "del", parts: Part[]}} Marked
 * @typedef {{kind: "link", href: string, parts: Part[]}} Link
 * @typedef {Plain | Marked | Link} Part
 * @typedef {{kind: "paragraph" | "quote", parts: Part[]} | {kind: "pre", text: string} | {kind: "list", items: Part[][]}} Block
 */

const MARKS = /** @type {const} */ ({ "**": "strong", "*": "em", "_": "em", "~~": "del" });
const INLINE =
  /`([^`\n]+)`|(\*\*|~~)(?=\S)([^\n]+?)(?<=\S)\2|(?<![\w*])([*_])(?=\S)([^\n*_]+)(?<=\S)\4(?![\w*])|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>"]+)|(?<![\w@.-])(@[A-Za-z0-9_.-]{2,32})/g;
const TRAILING = /[.,:;!?'")\]]+$/;
const DEEPEST = 4;

/** @param {string} text @returns {Block[]} */
export function blocksOf(text) {
  /** @type {Block[]} */ const blocks = [];
  const fence = /^```[^\n]*\n([\s\S]*?)\n?```[ \t]*$/gm;
  let at = 0;
  for (const found of text.matchAll(fence)) {
    blocks.push(...linesOf(text.slice(at, found.index).replace(/\n$/, "")));
    blocks.push({ kind: "pre", text: found[1] });
    at = found.index + found[0].length + 1;
  }
  return [...blocks, ...linesOf(text.slice(at))];
}

/** The words of it in one line, without their marks. @param {string} text */
export function wordsIn(text) {
  /** @type {(parts: Part[]) => string} */
  const words = (parts) => parts.map((part) => ("parts" in part ? words(part.parts) : part.text)).join("");
  const lines = blocksOf(text).map((block) => {
    if (block.kind === "list") return block.items.map(words).join(" ");
    return block.kind === "pre" ? block.text : words(block.parts);
  });
  return lines.join(" ").replace(/\s+/g, " ").trim();
}

/** Paragraphs, quotes and lists: runs of lines of one kind. @param {string} text @returns {Block[]} */
function linesOf(text) {
  if (text === "") return [];
  /** @type {{kind: string, lines: string[]}[]} */ const runs = [];
  for (const line of text.split("\n")) {
    const [, mark, rest] = /^(> ?|[-*] )(.+)$/.exec(line) ?? [];
    const kind = !mark ? "paragraph" : mark.startsWith(">") ? "quote" : "list";
    if (runs.at(-1)?.kind !== kind) runs.push({ kind, lines: [] });
    runs.at(-1)?.lines.push(mark ? rest : line);
  }
  return runs.map(blockOf);
}

/** @param {{kind: string, lines: string[]}} run @returns {Block} */
function blockOf({ kind, lines }) {
  if (kind === "list") return { kind, items: lines.map((line) => partsOf(line)) };
  return { kind: kind === "quote" ? kind : "paragraph", parts: partsOf(lines.join("\n")) };
}

/** @param {string} text @param {number} [depth] @returns {Part[]} */
export function partsOf(text, depth = 0) {
  /** @type {Part[]} */ const parts = [];
  let at = 0;
  for (const found of depth > DEEPEST ? [] : text.matchAll(INLINE)) {
    if (found.index > at) parts.push({ kind: "text", text: text.slice(at, found.index) });
    const part = partOf(found, depth);
    parts.push(part.part);
    at = found.index + part.length;
  }
  return at < text.length ? [...parts, { kind: "text", text: text.slice(at) }] : parts;
}

/** @param {RegExpExecArray} found @param {number} depth @returns {{part: Part, length: number}} */
function partOf([all, code, pair, paired, single, singled, words, target, url, mention], depth) {
  const length = all.length;
  const mark = /** @type {keyof typeof MARKS | undefined} */ (pair ?? single);
  if (code !== undefined) return { part: { kind: "code", text: code }, length };
  if (mark) return { part: { kind: MARKS[mark], parts: partsOf(paired ?? singled, depth + 1) }, length };
  if (target) return { part: { kind: "link", href: target, parts: [{ kind: "text", text: words }] }, length };
  if (mention) return { part: { kind: "mention", text: mention }, length };
  const bare = url.replace(TRAILING, "");
  return { part: { kind: "link", href: bare, parts: [{ kind: "text", text: bare }] }, length: bare.length };
}
