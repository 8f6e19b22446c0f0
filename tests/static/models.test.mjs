import assert from "node:assert/strict";
import { test } from "node:test";

import { Problem } from "../../static/client/problem.js";
import { Comings } from "../../static/models/comings.js";
import { completed, nameBegun, whoMayBeMeant } from "../../static/models/completion.js";
import { entriesOf } from "../../static/models/entries.js";
import { Keep } from "../../static/models/keep.js";
import { blocksOf, partsOf, wordsIn } from "../../static/models/markup.js";
import { Outbox } from "../../static/models/outbox.js";
import { Sources } from "../../static/models/sources.js";
import { safeLink } from "../../static/models/place.js";
import { Timeline } from "../../static/models/timeline.js";
import de from "../../static/words/de.js";
import en from "../../static/words/en.js";

const ANN = { id: "ann", username: "ann", display_name: "Ann" };

function message(seq, more = {}) {
  const minutes = String(seq % 60).padStart(2, "0");
  return {
    id: `m${seq}`, room_id: "r", seq, sender_id: "bob", client_msg_id: null, text: `number ${seq}`,
    mentions: { user_ids: [], room: false }, created_at: `2026-11-22T12:${minutes}:00Z`, edited_at: null, deleted_at: null, ...more,
  };
}

function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => message(first + index));
}

function page(first, last, previous = null, next = null) {
  return { items: range(first, last), previous, next };
}

const idle = () => new Promise((resolve) => setImmediate(resolve));
const seqs = (timeline) => timeline.messages.map(({ seq }) => seq);

/** A browser's storage: like the real one, its keys are its properties. */
function storage() {
  return Object.create({
    getItem(name) { return Object.hasOwn(this, name) ? this[name] : null; },
    setItem(name, value) { this[name] = String(value); },
    removeItem(name) { delete this[name]; },
  });
}

function keepOf(held = storage()) {
  const keep = new Keep(held);
  keep.belongTo(ANN);
  return keep;
}

test("a message that comes by a page and by an event is held once, in its newest version", () => {
  const timeline = new Timeline();
  timeline.reset(page(1, 3));

  timeline.changed(message(2, { text: "edited", edited_at: "2026-11-22T13:00:00Z" }));
  timeline.prepend(page(1, 2));
  timeline.posted(message(3));

  assert.deepEqual(seqs(timeline), [1, 2, 3]);
  assert.equal(timeline.messages[1].text, "edited");
});

test("what is posted beyond a gap waits until the gap is loaded", () => {
  const timeline = new Timeline();
  timeline.reset(page(1, 3, null, 3));

  timeline.posted(message(9));
  assert.deepEqual(seqs(timeline), [1, 2, 3]);
  timeline.append(page(4, 8));

  assert.deepEqual(seqs(timeline), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a long way up lets go of the far end, and the way back down finds all of it", () => {
  const timeline = new Timeline();
  timeline.reset(page(951, 1000, 951));
  while (timeline.earlier !== null) {
    const last = timeline.earlier - 1;
    const first = Math.max(1, last - 99);
    timeline.prepend(page(first, last, first === 1 ? null : first));
    assert.ok(timeline.messages.length <= 400);
  }
  assert.equal(seqs(timeline)[0], 1);

  const seen = new Set(seqs(timeline));
  while (timeline.later !== null) {
    const first = timeline.later + 1;
    const last = Math.min(1000, first + 99);
    timeline.append(page(first, last, first, last === 1000 ? null : last));
    for (const seq of seqs(timeline)) seen.add(seq);
  }

  assert.equal(seen.size, 1000);
  assert.equal(timeline.lastSeq, 1000);
});

test("a post keeps its row's key when it becomes a message", () => {
  const post = { client_msg_id: "x", room_id: "r", text: "hi", written_at: "2026-11-22T12:05:00Z", problem: null };
  const stored = message(7, { sender_id: "ann", client_msg_id: "x" });

  const before = entriesOf({ messages: [], posts: [post], me: "ann", readUpto: null });
  const both = entriesOf({ messages: [stored], posts: [post], me: "ann", readUpto: null });

  assert.equal(before.at(-1).key, both.at(-1).key);
  assert.deepEqual(both.map(({ kind }) => kind), ["day", "message"]);
});

test("days part messages, one sender's are grouped within minutes, a divider stands above the first unread one", () => {
  const messages = [
    message(1, { created_at: "2026-11-20T12:00:00Z" }),
    message(2, { created_at: "2026-11-22T12:00:00Z" }),
    message(3, { created_at: "2026-11-22T12:02:00Z" }),
    message(4, { created_at: "2026-11-22T12:30:00Z" }),
  ];

  const entries = entriesOf({ messages, posts: [], me: "ann", readUpto: 3 });

  assert.deepEqual(entries.map(({ kind }) => kind), ["day", "message", "day", "message", "message", "divider", "message"]);
  assert.deepEqual(entries.filter(({ kind }) => kind === "message").map(({ isFirst }) => isFirst), [true, true, false, true]);
});

test("unsent posts survive a reload and go out once each, in their order, under the same ids", async () => {
  const held = storage();
  let isAway = true;
  const away = async () => {
    if (isAway) throw new Problem({ code: "disconnected", message: "", temporary: true });
  };
  const first = new Outbox(away, keepOf(held));
  for (const text of ["one", "two", "three"]) first.add("r", text);
  await Promise.resolve();

  const sent = [];
  const second = new Outbox(async (_, post) => sent.push(post), keepOf(held));
  second.restore();
  await second.sending.run();
  const third = new Outbox(away, keepOf(held));
  third.restore();

  assert.deepEqual(sent.map(({ text }) => text), ["one", "two", "three"]);
  assert.deepEqual(sent.map(({ client_msg_id }) => client_msg_id), first.posts.map(({ client_msg_id }) => client_msg_id));
  assert.deepEqual(third.posts, []);
  isAway = false; // and the first visit's errand ends
});

test("a refused post stays with its problem, lets the next one go, and is retried as the same message", async () => {
  const ids = [];
  let isRefusing = true;
  const call = async (_, { client_msg_id, text }) => {
    ids.push(client_msg_id);
    if (text === "bad" && isRefusing) throw new Problem({ code: "room_archived", message: "archived", status: 409 });
  };
  const outbox = new Outbox(call, keepOf());
  outbox.add("r", "bad");
  outbox.add("r", "good");
  await idle();
  assert.deepEqual(outbox.posts.map(({ text, problem }) => [text, problem?.code]), [["bad", "room_archived"]]);

  isRefusing = false;
  outbox.retry(outbox.posts[0].client_msg_id);
  await idle();

  assert.deepEqual(outbox.posts, []);
  assert.equal(ids[0], ids.at(-1));
});

test("what is kept belongs to one person and goes with a log-out", () => {
  const held = storage();
  keepOf(held).set("draft:r", "half a thought");
  const other = new Keep(held);
  other.belongTo({ ...ANN, id: "bob" });

  assert.equal(other.get("draft:r"), null);
  const back = keepOf(held);
  assert.equal(back.get("draft:r"), "half a thought");
  back.clear();
  assert.deepEqual(Object.keys(held), []);
});

test("markup is only ever text with a meaning", () => {
  assert.deepEqual(partsOf("a **b** `c` _d_ ~~e~~"), [
    { kind: "text", text: "a " },
    { kind: "strong", parts: [{ kind: "text", text: "b" }] },
    { kind: "text", text: " " },
    { kind: "code", text: "c" },
    { kind: "text", text: " " },
    { kind: "em", parts: [{ kind: "text", text: "d" }] },
    { kind: "text", text: " " },
    { kind: "del", parts: [{ kind: "text", text: "e" }] },
  ]);
  assert.deepEqual(partsOf("<b>no</b>"), [{ kind: "text", text: "<b>no</b>" }]);
  assert.deepEqual(partsOf("snake_case_name 2*3*4"), [{ kind: "text", text: "snake_case_name 2*3*4" }]);
  assert.deepEqual(blocksOf("> q\n- a\n- b\n```js\nx < y\n```\nend").map(({ kind }) => kind), ["quote", "list", "pre", "paragraph"]);
});

test("links lead to pages only, without the punctuation behind them", () => {
  assert.deepEqual(partsOf("(see https://example.org/a.)").map(({ href }) => href), [undefined, "https://example.org/a", undefined]);
  for (const bad of ["javascript:alert(1)", "[x](javascript:alert(1))", "[x](data:text/html,hi)", "vbscript:x"]) {
    assert.ok(partsOf(bad).every(({ kind }) => kind === "text"), bad);
  }
  assert.equal(safeLink("javascript:alert(1)", "https://chat.test/"), null);
  assert.equal(safeLink("/?room=1", "https://chat.test/"), "https://chat.test/?room=1");
});

test("markup of any text takes little time and loses no word", () => {
  for (const hostile of ["**".repeat(2000), "[".repeat(4000), "_a".repeat(2000), "> ".repeat(2000), "`".repeat(3999), "@".repeat(4000), "** a".repeat(1000)]) {
    const texts = JSON.stringify(blocksOf(hostile));
    assert.ok(texts.length > 0);
  }
});

test("both languages have the same words, with the same blanks", () => {
  const blanks = (words) => [...JSON.stringify(words).matchAll(/\{\w+\}/g)].map(String).sort();
  const own = (key) => !key.startsWith("problem.");
  assert.deepEqual(Object.keys(de).filter(own), Object.keys(en).filter(own));
  for (const key of Object.keys(en)) assert.deepEqual([...new Set(blanks(de[key]))], [...new Set(blanks(en[key]))], key);
});

const coming = (minute, name, kind = "joined") => ({ kind, user_id: name, by: name, was: "", at: `2026-11-22T12:${String(minute).padStart(2, "0")}:30Z` });

test("who came and went stands where that was, a run of them in one entry", () => {
  const comings = [coming(1, "cleo"), coming(1, "dan"), coming(2, "eve", "left"), coming(9, "fay")];

  const entries = entriesOf({ messages: range(1, 4), posts: [], me: "ann", readUpto: null, comings });

  assert.deepEqual(entries.map(({ kind }) => kind), ["day", "message", "comings", "message", "comings", "message", "message", "comings"]);
  assert.deepEqual(entries[2].comings.map(({ user_id }) => user_id), ["cleo", "dan"]);
  assert.equal(entries[3].isFirst, true);
});

test("a coming that is heard twice is told once, and a change of role is none", () => {
  const comings = new Comings();
  const event = (type, more = {}) => ({ type, at: "2026-11-22T12:00:00Z", by: "bob", member: { user_id: "bob", display_name: "Bob" }, ...more });

  comings.heard(event("member.joined"), "");
  comings.heard(event("member.joined"), "");
  comings.heard(event("member.updated"), "Bob");
  comings.heard(event("member.updated"), "Robert");
  comings.heard(event("member.left", { by: "ann" }), "Bob");

  assert.deepEqual(comings.all.map(({ kind }) => kind), ["joined", "renamed", "removed"]);
});

test("a name is completed where the caret is, and a mail address is none", () => {
  assert.equal(nameBegun("hello @bo", 9), "bo");
  assert.equal(nameBegun("@", 1), "");
  assert.equal(nameBegun("mail me@example", 15), null);
  assert.equal(nameBegun("@bob says", 9), null);

  assert.deepEqual(completed("hi @bo, look", 6, "bob"), { text: "hi @bob, look", caret: 7 });
  assert.deepEqual(completed("hi @bo look", 6, "bob"), { text: "hi @bob look", caret: 8 });
});

test("who is offered first is whose name begins so", () => {
  const person = (username, display_name = username) => ({ username, display_name });

  const found = whoMayBeMeant([person("jacob"), person("bob"), person("cleo"), person("x1", "Bobby")], "bo");

  assert.deepEqual(found.map(({ username }) => username), ["bob", "x1"]);
  assert.deepEqual(whoMayBeMeant([person("jacob"), person("bob")], "ob").map(({ username }) => username), ["bob", "jacob"]);
});

test("what a reply is to is found in the log, or asked for once, and follows its changes", async () => {
  const timeline = new Timeline();
  timeline.reset(page(2, 3));
  const asked = [];
  const sources = new Sources(timeline, async (id) => (asked.push(id), message(1)));

  assert.equal(sources.of("m2").seq, 2);
  assert.equal(sources.of("m1"), null);
  assert.equal(sources.of("m1"), null);
  await idle();
  sources.changed(message(1, { text: "edited", edited_at: "2026-11-22T13:00:00Z" }));

  assert.equal(sources.of("m1").text, "edited");
  assert.deepEqual(asked, ["m1"]);
});

test("a reply goes out as a reply, also after a reload", async () => {
  const held = storage();
  const waiting = new Outbox(() => new Promise(() => {}), keepOf(held));
  waiting.add("r", "yes", "m1");
  const sent = [];
  const outbox = new Outbox(async (method, data) => void sent.push(data), keepOf(held));

  outbox.restore();
  outbox.sending.run();
  await idle();

  assert.equal(sent[0].reply_to, "m1");
});

test("a message in one line has its words and not its marks", () => {
  assert.equal(wordsIn("**bold _both_** `code`\n> said\n- one\n- two\n```\na = 1\n```\n[here](https://example.org)"), "bold both code said one two a = 1 here");
});
