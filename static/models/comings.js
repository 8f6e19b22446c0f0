/**
 * @typedef {"joined" | "added" | "left" | "removed" | "renamed"} Kind
 * @typedef {{kind: Kind, at: string, user_id: string, by: string, was: string}} Coming  was: the name before
 */

const MOST = 200;

/** Who came to the room on screen, left it or is called otherwise now, as far as it was heard while it is open. Tells `change`. */
export class Comings extends EventTarget {
  /** @type {Coming[]} */ all = [];

  /** @param {import("./shapes.js").ChatEvent} event @param {string} was  what the member was called before */
  heard({ type, at, by, member: { user_id, display_name } }, was) {
    const kind = kindOf(type, by === user_id, was !== "" && was !== display_name);
    if (!kind || this.all.some((one) => one.kind === kind && one.user_id === user_id && one.at === at)) return;
    this.all = [...this.all, { kind, at, user_id, by, was }].slice(-MOST);
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {string} type @param {boolean} isOwn @param {boolean} isRenamed @returns {Kind | null} */
function kindOf(type, isOwn, isRenamed) {
  if (type === "member.joined") return isOwn ? "joined" : "added";
  if (type === "member.left") return isOwn ? "left" : "removed";
  return isRenamed ? "renamed" : null;
}
