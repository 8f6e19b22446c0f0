import { one, say } from "./element.js";
import { t } from "./words.js";

const TICK_MS = 250;
const PATIENCE_MS = 5_000; // a short break is not worth a word

/** How the connection is: a dot always, words only when it lasts. @param {import("../client/client.js").Client} connection */
export function showConnection(connection) {
  const dot = one("#connection");
  const banner = one("#banner");
  let lostAt = 0;

  const show = () => {
    const { state } = connection;
    if (state.name === "online") lostAt = 0;
    else lostAt ||= Date.now();
    dot.dataset.state = state.name;
    dot.title = wordsFor(state);
    banner.hidden = lostAt === 0 || (state.name !== "closed" && Date.now() - lostAt < PATIENCE_MS);
    if (!banner.hidden) say(one("span", banner), wordsFor(state));
    one("#try-now").hidden = state.name === "connecting";
  };
  connection.addEventListener("state", show);
  setInterval(() => connection.state.name !== "online" && show(), TICK_MS);
  show();
}

/** @param {import("../models/shapes.js").ConnectionState} state */
function wordsFor({ name, reason, retryAt = 0 }) {
  if (name === "closed" && reason) return t("connection.closedBecause", { reason });
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  return name === "offline" && seconds > 0 ? t("connection.retryIn", { seconds }) : t(`connection.${name}`);
}
