import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { delayMs, mayReconnect } from "../../static/client/backoff.js";
import { Client, Problem } from "../../static/client/index.js";

/** A server's end of sockets: what was sent to it, and what it says. */
class FakeSocket extends EventTarget {
  static all = [];
  sent = [];

  constructor(url) {
    super();
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {}

  opens() {
    this.dispatchEvent(new Event("open"));
  }

  says(...objects) {
    const data = objects.map((one) => JSON.stringify(one)).join("\n");
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  closes(code, reason = "") {
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}

globalThis.WebSocket = FakeSocket;
const turns = () => new Promise((resolve) => setImmediate(resolve));
const SERVER = "http://chat.test";

/** A client that is online, the socket it has, and what it has told. */
async function online(options = {}) {
  FakeSocket.all = [];
  const client = new Client({ server: SERVER, token: "t", ...options });
  client.open();
  const socket = await greeted();
  return { client, socket };
}

async function greeted() {
  const socket = FakeSocket.all.at(-1);
  socket.opens();
  await turns();
  socket.says({ id: socket.sent[0].id, connect: { client: "c", version: "1", ping: 25, pong: true, subs: {} } });
  return socket;
}

function heardBy(subscription) {
  const heard = [];
  subscription.addEventListener("publication", ({ detail }) => heard.push(detail));
  return heard;
}

test("a back-off grows, has a limit, and is spread by chance", () => {
  assert.equal(delayMs(0, () => 1), 500);
  assert.equal(delayMs(3, () => 1), 4000);
  assert.equal(delayMs(30, () => 1), 20_000);
  assert.equal(delayMs(3, () => 0.25), 1000);
});

test("close codes from 3500 to 3999 mean that one must not come back", () => {
  assert.deepEqual([1006, 3001, 3012, 3499, 3500, 3999, 4000].map(mayReconnect), [true, true, true, true, false, false, true]);
});

test("a client introduces itself with its token and answers pings", async () => {
  const { client, socket } = await online({ token: async () => "fresh", rooms: true });

  socket.says({});

  assert.equal(socket.url, "ws://chat.test/ws");
  assert.deepEqual(socket.sent[0].connect, { subs: {}, data: { subscribe: "rooms" }, token: "fresh" });
  assert.deepEqual(socket.sent.at(-1), {});
  client.close();
});

test("calls are answered by id, fail with a problem, and are given up with the connection", async () => {
  const { client, socket } = await online();
  const [good, bad, lost] = ["a", "b", "c"].map((method) => client.call(method));
  const [first, second] = socket.sent.slice(1);

  socket.says({ id: second.id, error: { code: 403, message: "no", reason: "not_a_member" } }, { id: first.id, rpc: { data: 7 } });

  assert.equal(await good, 7);
  await assert.rejects(bad, (problem) => problem instanceof Problem && problem.code === "not_a_member" && !problem.temporary);
  socket.closes(1006);
  await assert.rejects(lost, { code: "disconnected", temporary: true });
  client.close();
});

test("a call that nobody answers fails as temporary after its time", async () => {
  const { client } = await online();
  mock.timers.enable({ apis: ["setTimeout"] });
  const asked = client.call("messages.post", {}, 5000);

  mock.timers.tick(5000);

  await assert.rejects(asked, { code: "timeout", temporary: true });
  mock.timers.reset();
  client.close();
});

test("a call without a connection fails at once", async () => {
  await assert.rejects(new Client({ server: SERVER }).call("rooms.list"), { code: "disconnected", temporary: true });
});

test("a lost connection is made again and its subscriptions recover from where they stood", async () => {
  const { client, socket } = await online();
  const room = client.subscribe("room:1");
  const heard = heardBy(room);
  socket.says({ id: socket.sent.at(-1).id, subscribe: { epoch: "e", offset: 4, recovered: false } });
  socket.says({ push: { channel: "room:1", pub: { offset: 5, data: "five" } } });

  socket.closes(3001);
  client.open();
  const next = await greeted();

  assert.deepEqual(next.sent.at(-1).subscribe, { channel: "room:1", recover: true, epoch: "e", offset: 5 });
  const publications = [{ offset: 6, data: "six" }, { offset: 7, data: "seven" }];
  next.says(
    { id: next.sent.at(-1).id, subscribe: { epoch: "e", offset: 7, recovered: true, publications } },
    { push: { channel: "room:1", pub: { offset: 7, data: "seven" } } },
    { push: { channel: "room:1", pub: { offset: 8, data: "eight" } } },
  );
  assert.deepEqual(heard, ["five", "six", "seven", "eight"]);
  client.close();
});

test("a hole in a channel is mended by a connection that recovers", async () => {
  const { client, socket } = await online();
  const heard = heardBy(client.subscribe("room:1"));
  socket.says({ id: socket.sent.at(-1).id, subscribe: { epoch: "e", offset: 4, recovered: false } });

  socket.says({ push: { channel: "room:1", pub: { offset: 6, data: "six" } } });

  assert.equal(client.state.name, "offline");
  assert.deepEqual(heard, []);
  client.close();
});

test("what could not be recovered is told, and the new position counts", async () => {
  const { client, socket } = await online();
  const room = client.subscribe("room:1");
  const joined = [];
  room.addEventListener("joined", ({ detail }) => joined.push(detail.recovered));

  socket.says({ id: socket.sent.at(-1).id, subscribe: { epoch: "e", offset: 4, recovered: false } });
  socket.says({ push: { channel: "room:1", unsubscribe: { code: 2500, reason: "insufficient state" } } });
  socket.says({ id: socket.sent.at(-1).id, subscribe: { epoch: "f", offset: 90, recovered: false } });

  assert.deepEqual(joined, [false, false]);
  assert.deepEqual(room.request, { channel: "room:1", recover: true, epoch: "f", offset: 90 });
  client.close();
});

test("a removal ends a subscription for good, and so does a refusal", async () => {
  const { client, socket } = await online();
  const told = [];
  const one = client.subscribe("room:1");
  const other = client.subscribe("room:2");
  one.addEventListener("left", ({ detail }) => told.push(detail.code));
  other.addEventListener("refused", ({ detail }) => told.push(detail.code));

  socket.says({ id: socket.sent.at(-2).id, subscribe: { epoch: "e", offset: 4, recovered: false } });
  socket.says({ id: socket.sent.at(-1).id, error: { code: 103, message: "permission denied", reason: "permission_denied" } });
  socket.says({ push: { channel: "room:1", unsubscribe: { code: 2000, reason: "removed" } } });
  socket.closes(1006);
  client.open();
  const next = await greeted();

  assert.deepEqual(told, ["permission_denied", 2000]);
  assert.equal(next.sent.length, 1);
  client.close();
});

test("an expired token is asked for anew, an invalid one ends it", async () => {
  const { client, socket } = await online();

  socket.closes(3005, "connection expired");
  assert.equal(client.state.name, "offline");
  client.open();
  FakeSocket.all.at(-1).closes(3500, "session_revoked");

  assert.deepEqual(client.state, { name: "closed", code: 3500, reason: "session_revoked" });
});
