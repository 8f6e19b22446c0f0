/** The server that this module came from. */
const HOME = new URL("..", import.meta.url).href;

/** An address of a server. @param {string} path @param {string} [server] */
export function addressOf(path, server = HOME) {
  return new URL(path, server).href;
}

/** The server's WebSocket. @param {string} [server] */
export function socketOf(server) {
  return addressOf("/ws", server).replace(/^http/, "ws");
}
