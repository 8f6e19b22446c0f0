import { one } from "./element.js";

const STEPS = /** @type {Record<string, (rows: HTMLElement[], at: number) => number>} */ ({
  ArrowUp: (rows, at) => (at < 0 ? rows.length - 1 : Math.max(0, at - 1)),
  ArrowDown: (rows, at) => Math.min(rows.length - 1, at + 1),
  Home: () => 0,
  End: (rows) => rows.length - 1,
});

/** The arrow keys walk the messages. */
export function walkMessages() {
  const log = one("#log");
  log.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = STEPS[event.key];
    const isRow = event.target === log || (event.target instanceof Element && event.target.matches("li.message"));
    if (!step || !isRow || event.altKey || event.ctrlKey || event.metaKey) return;
    const rows = /** @type {HTMLElement[]} */ ([...log.querySelectorAll("li.message")]);
    const row = rows[step(rows, rows.indexOf(/** @type {HTMLElement} */ (event.target)))];
    if (!row) return;
    event.preventDefault();
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  });
}
