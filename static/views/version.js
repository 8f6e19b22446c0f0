import { one } from "./element.js";

/** Say that the server has become another one, which may bring another page; nothing is reloaded unasked. @param {import("../client/client.js").Client} connection */
export function watchVersion(connection) {
  let first = "";
  connection.addEventListener("state", () => {
    const { version } = connection.state;
    if (!version) return;
    first ||= version;
    one("#new-version").hidden = version === first;
  });
}
