/** @typedef {import("./shapes.js").Message} Message */
/** @typedef {import("./outbox.js").Post} Post */
/** @typedef {import("./comings.js").Coming} Coming */
/**
 * @typedef {{kind: "day", key: string, at: string}} Day
 * @typedef {{kind: "divider", key: "divider"}} Divider
 * @typedef {{kind: "message", key: string, message: Message, isFirst: boolean}} Said  isFirst: of one sender's group
 * @typedef {{kind: "post", key: string, post: Post, isFirst: boolean}} Unsent
 * @typedef {{kind: "comings", key: string, comings: Coming[]}} Passed  a run of them between two messages
 * @typedef {Day | Divider | Said | Unsent | Passed} Entry
 */

const GROUP_MS = 5 * 60_000;
const NEVER = "9999";

/**
 * What stands in a room's log, from top to bottom: messages under their days, "new messages" above the first unread one,
 * and at the end what is not sent yet; who came and went where that was. A post and the message that becomes of it have
 * the same key.
 * @param {{messages: Message[], posts: Post[], me: string, readUpto: number | null, comings?: Coming[]}} told
 * @returns {Entry[]}
 */
export function entriesOf({ messages, posts, me, readUpto, comings = [] }) {
  /** @type {Entry[]} */ const entries = [];
  let before = { sender: "", at: "" };
  let passed = 0;
  const pass = (/** @type {string} */ until) => {
    const start = passed;
    while (passed < comings.length && comings[passed].at < until) passed += 1;
    if (passed === start) return;
    entries.push({ kind: "comings", key: `coming ${comings[start].at} ${comings[start].user_id}`, comings: comings.slice(start, passed) });
    before = { sender: "", at: before.at };
  };
  for (const message of messages) {
    const { sender_id: sender, created_at: at } = message;
    pass(at);
    if (dayOf(at) !== dayOf(before.at)) entries.push({ kind: "day", key: `day ${dayOf(at)}`, at });
    const isFirst = entries.at(-1)?.kind === "day" || Boolean(message.reply_to) || beginsGroup(before, { sender, at });
    const isUnread = readUpto !== null && message.seq > readUpto && sender !== me;
    if (isUnread && !entries.some(({ kind }) => kind === "divider")) entries.push({ kind: "divider", key: "divider" });
    entries.push({ kind: "message", key: keyOf(message, me), message, isFirst: isFirst || entries.at(-1)?.kind === "divider" });
    before = { sender, at };
  }
  pass(NEVER);
  const stored = new Set(messages.filter(({ sender_id }) => sender_id === me).map(({ client_msg_id }) => client_msg_id));
  for (const post of posts) {
    if (stored.has(post.client_msg_id)) continue;
    const isFirst = Boolean(post.reply_to) || beginsGroup(before, { sender: me, at: post.written_at });
    entries.push({ kind: "post", key: `post ${post.client_msg_id}`, post, isFirst });
    before = { sender: me, at: post.written_at };
  }
  return entries;
}

function keyOf(/** @type {Message} */ { id, sender_id, client_msg_id }, /** @type {string} */ me) {
  return sender_id === me && client_msg_id ? `post ${client_msg_id}` : id;
}

/** @param {{sender: string, at: string}} before @param {{sender: string, at: string}} now */
function beginsGroup(before, now) {
  return before.sender !== now.sender || Date.parse(now.at) - Date.parse(before.at) > GROUP_MS;
}

/** In the reader's own time zone. */
function dayOf(/** @type {string} */ at) {
  return at && new Date(at).toDateString();
}
