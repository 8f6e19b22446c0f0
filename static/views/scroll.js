const NEAR_PX = 100;

/**
 * Keeps the newest message in sight for who is at the end, and everything where it is for who reads further up. Tells
 * `move` when what is in sight has changed.
 */
export class Scroll extends EventTarget {
  isAtEnd = true;
  isOpenEnded = false; // what is shown ends before the newest message: its end is no place to stay at
  #log;

  /** @param {HTMLElement} log */
  constructor(log) {
    super();
    this.#log = log;
    log.addEventListener("scroll", () => this.#moved(), { passive: true });
    new ResizeObserver(() => this.isAtEnd && this.toEnd()).observe(log);
  }

  toEnd() {
    this.isAtEnd = true;
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#tell();
  }

  /** Bring one row into sight. @param {Element} row */
  to(row) {
    row.scrollIntoView({ block: "center" });
    this.#moved();
  }

  /** Change what is shown: the first row in sight stays where it is, whatever comes or goes around it. @param {() => void} change */
  around(change) {
    const anchor = this.isAtEnd ? null : this.#firstInSight();
    const topPx = anchor?.getBoundingClientRect().top ?? 0;
    change();
    if (this.isAtEnd) this.toEnd();
    else if (anchor?.isConnected) this.#log.scrollTop += anchor.getBoundingClientRect().top - topPx;
    this.#tell();
  }

  /** The rows in sight, from the top. @returns {HTMLElement[]} */
  get rows() {
    const { top, bottom } = this.#log.getBoundingClientRect();
    const rows = /** @type {HTMLElement[]} */ ([...this.#log.querySelectorAll("li.message")]);
    const first = lowerBound(rows, (row) => row.getBoundingClientRect().bottom > top + 1);
    const end = lowerBound(rows, (row) => row.getBoundingClientRect().bottom > bottom + 1);
    return rows.slice(first, end);
  }

  #firstInSight() {
    return this.rows[0] ?? this.#log.querySelector("li.message");
  }

  #moved() {
    const restPx = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight;
    this.isAtEnd = !this.isOpenEnded && restPx < NEAR_PX;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("move"));
  }
}

/** The first index from which on something holds. @template T @param {T[]} items @param {(item: T) => boolean} holds */
function lowerBound(items, holds) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(items[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
