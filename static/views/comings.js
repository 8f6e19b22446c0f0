import { one, say } from "./element.js";
import { t } from "./words.js";

/** @typedef {import("../models/comings.js").Coming} Coming */

const FEW = 2; // more than so many in a row are told by their number

/** Who came and went between two messages, quietly. @param {import("../models/chat.js").Chat} chat @param {HTMLElement} row @param {Coming[]} comings */
export function fillComings({ people }, row, comings) {
  const words = comings.map(({ kind, user_id, by, was }) => t(`coming.${kind}`, { name: people.nameOf(user_id), by: people.nameOf(by), was }));
  const isMany = words.length > FEW;
  const [few, many] = [one("p", row), one("details", row)];
  few.hidden = isMany;
  many.hidden = !isMany;
  if (!isMany) return say(few, words.join(" · "));
  say(one("summary", many), t("coming.many", { count: words.length }));
  say(one("span", many), words.join(" · "));
}
