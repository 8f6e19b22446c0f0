/** @typedef {{isSetup: boolean, code: string, invite: string, roomId: string | null, seq: number | null}} Place */

/** Where an address of this page leads to. @param {URL} url @returns {Place} */
export function placeOf({ pathname, searchParams }) {
  const seq = Number.parseInt(searchParams.get("seq") ?? "", 10);
  return {
    isSetup: pathname === "/setup",
    code: searchParams.get("code") ?? "",
    invite: searchParams.get("invite") ?? "",
    roomId: searchParams.get("room"),
    seq: Number.isSafeInteger(seq) ? seq : null,
  };
}

/** @param {string} roomId @param {number} [seq] */
export function linkTo(roomId, seq) {
  return `/?room=${encodeURIComponent(roomId)}${seq === undefined ? "" : `&seq=${seq}`}`;
}

/** A notification's link, if it is one to follow: to a page. @param {string | null} click @param {string} base */
export function safeLink(click, base) {
  if (!click || !URL.canParse(click, base)) return null;
  const { protocol, href } = new URL(click, base);
  return ["http:", "https:"].includes(protocol) ? href : null;
}
