// Drives npm's `centrifuge` by lines of JSON on stdin, and tells its events as lines of JSON on stdout.
import { createInterface } from "node:readline";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
const tell = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
const failed = (what) => (error) => tell("failed", { what, code: error.code, message: error.message });

const client = new Centrifuge(url, { token, websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 200 });
client.on("connected", ({ client, data }) => tell("connected", { client, data }));
client.on("disconnected", ({ code, reason }) => tell("disconnected", { code, reason }));
client.on("subscribed", ({ channel, recoverable, recovered }) => tell("server subscribed", { channel, recoverable, recovered }));
client.on("publication", ({ channel, data, offset }) => tell("server publication", { channel, data, offset }));

function subscribe({ channel }) {
  const subscription = client.newSubscription(channel);
  subscription.on("subscribed", ({ recovered, recoverable }) => tell("subscribed", { channel, recovered, recoverable }));
  subscription.on("unsubscribed", ({ code, reason }) => tell("unsubscribed", { channel, code, reason }));
  subscription.on("publication", ({ data, offset }) => tell("publication", { channel, data, offset }));
  subscription.subscribe();
}

const orders = {
  subscribe,
  rpc: ({ method, data }) => client.rpc(method, data).then(({ data }) => tell("rpc", { method, data }), failed("rpc")),
  publish: ({ channel, data }) => client.publish(channel, data).catch(failed("publish")),
  history: ({ channel, limit }) =>
    client.history(channel, { limit }).then(({ publications }) => tell("history", { publications }), failed("history")),
  presence: ({ channel }) =>
    client.presence(channel).then(
      ({ clients }) => tell("presence", { users: Object.values(clients).map((info) => info.user) }),
      failed("presence"),
    ),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    orders[order.do](order);
  })
  .on("close", () => {
    client.disconnect();
    process.exit(0);
  });
client.connect();
