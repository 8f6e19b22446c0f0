import { t } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, POINTS] = [240, 64, 60];
const NUMBER = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

/** One figure over the last minutes: its name, its value now, a line of what it was. */
export class Chart {
  /** @type {number[]} */ #values = [];
  #value = document.createElement("b");
  #line = document.createElementNS(SVG, "polyline");
  #most = document.createElement("small");
  element = document.createElement("figure");

  /** @param {string} name  its key in the catalogue is owner.<name> */
  constructor(name) {
    const caption = document.createElement("figcaption");
    const svg = document.createElementNS(SVG, "svg");
    caption.textContent = t(`owner.${name}`);
    svg.setAttribute("viewBox", `0 -2 ${WIDTH} ${HEIGHT + 4}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(this.#line);
    this.element.append(caption, this.#value, svg, this.#most);
    this.element.className = "chart";
  }

  /** @param {number | null} value  null while there is nothing to tell: nothing was committed, no rate is known yet */
  add(value) {
    this.#value.textContent = value === null ? "–" : NUMBER.format(value);
    if (value === null) return;
    this.#values = [...this.#values, value].slice(-POINTS);
    const most = Math.max(...this.#values);
    const x = (/** @type {number} */ index) => WIDTH - ((this.#values.length - 1 - index) * WIDTH) / (POINTS - 1);
    const y = (/** @type {number} */ one) => HEIGHT - (most ? (one / most) * HEIGHT : 0);
    this.#line.setAttribute("points", this.#values.map((one, index) => `${x(index).toFixed(1)},${y(one).toFixed(1)}`).join(" "));
    this.#most.textContent = most ? `≤ ${NUMBER.format(most)}` : "";
  }
}
