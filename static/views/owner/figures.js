import { Stream } from "../../client/stream.js";
import { one, say } from "../element.js";
import { t } from "../words.js";
import { Chart } from "./chart.js";

/** @type {Record<string, string>}  a chart's name in the catalogue -> its figure */
const SHOWN = {
  sockets: "sockets",
  streams: "streams",
  messages: "messages_per_s",
  deliveries: "deliveries_per_s",
  commit: "commit_ms",
  lag: "lag_ms",
};

/** The server's figures as they come over one stream, while the page is in sight. */
export function showFigures() {
  const charts = Object.keys(SHOWN).map((name) => new Chart(name));
  one("#figures").append(...charts.map(({ element }) => element));

  const stream = new Stream({ channels: ["server:figures"] });
  stream.addEventListener("event", (event) => {
    const { type, figures } = /** @type {CustomEvent} */ (event).detail;
    if (type !== "figures.taken") return;
    Object.values(SHOWN).forEach((figure, index) => charts[index].add(figures[figure]));
    say(one("#workers"), t("owner.workers", { count: figures.workers }));
  });

  const follow = () => (document.hidden ? stream.close() : stream.open());
  document.addEventListener("visibilitychange", follow);
  follow();
}
