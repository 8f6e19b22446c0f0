import { one, say } from "../element.js";

/** Show what is told this once, to be copied. @param {string} place @param {string} secret */
export function showSecret(place, secret) {
  const box = one(place);
  box.hidden = false;
  say(one("code", box), secret);
  one("button", box).onclick = () => void navigator.clipboard.writeText(secret);
}
