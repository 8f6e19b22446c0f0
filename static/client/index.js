/**
 * The chat server's client for browsers: one ES module, no dependencies. A page of any origin that the server allows
 * (`CHAT_ALLOWED_ORIGINS`) imports it from the server itself:
 *
 *     import { Client } from "https://chat.example.org/client/index.js";
 *
 *     const client = new Client({ token: async () => (await fetch("/my-chat-token")).text() });
 *     const room = client.subscribe("room:06h0997ni27dr4ubvbq0q4ah");
 *     room.addEventListener("publication", ({ detail }) => console.log(detail.type, detail.message?.text));
 *     client.open();
 *     await client.call("messages.post", { room_id: "06h0997ni27dr4ubvbq0q4ah", text: "hello", client_msg_id: newId() });
 *
 * - `Client`: a WebSocket that is made again whenever it is lost, with growing pauses and jitter, unless the server's
 *   close code says that it must not. Subscriptions come back with it and recover exactly what was missed, or tell that
 *   they could not (`joined` with `recovered: false`: load the state anew).
 * - `Stream`: the same channels one-way over server-sent events.
 * - `Login`: logs in with a password and keeps an access token fresh, for pages without a back end that makes tokens.
 * - `Problem`: whatever goes wrong. `code` is stable (docs/protocol.md, Errors); `temporary` says that the same request
 *   may succeed later; `isLogin` that a login is what is missing.
 * - `newId`: a `client_msg_id`. Repeat a post with the same one until it is answered: it is stored once.
 */

export { Client } from "./client.js";
export { Login } from "./login.js";
export { Problem } from "./problem.js";
export { Stream } from "./stream.js";
export { Subscription } from "./subscription.js";
export { newId } from "./id.js";
