/** @typedef {{username: string, display_name: string}} Person */

const BEFORE_CARET = /(?:^|[^\w@.-])@([A-Za-z0-9_.-]{0,32})$/;

/** The name that is being written at the caret, without its `@`; null where none is. @param {string} text @param {number} caret */
export function nameBegun(text, caret) {
  return BEFORE_CARET.exec(text.slice(0, caret))?.[1] ?? null;
}

/** Whoever may be meant: first those whose name begins so, then those who have it in their name. @template {Person} T @param {T[]} people @param {string} begun @returns {T[]} */
export function whoMayBeMeant(people, begun) {
  const wanted = begun.toLocaleLowerCase();
  const rank = (/** @type {Person} */ { username, display_name }) => {
    const names = [username, display_name].map((name) => name.toLocaleLowerCase());
    return names.some((name) => name.startsWith(wanted)) ? 0 : names.some((name) => name.includes(wanted)) ? 1 : 2;
  };
  return people.filter((person) => rank(person) < 2).toSorted((one, other) => rank(one) - rank(other) || one.username.localeCompare(other.username));
}

/** The text with the whole name, and where the caret stands behind it. @param {string} text @param {number} caret @param {string} username */
export function completed(text, caret, username) {
  const start = caret - (nameBegun(text, caret)?.length ?? 0);
  const rest = text.slice(caret);
  const before = text.slice(0, start) + username + (/^(\w|$)/.test(rest) ? " " : "");
  return { text: before + rest, caret: before.length + Number(rest.startsWith(" ")) };
}
