import { placeOf } from "../models/place.js";

/** @typedef {import("../models/place.js").Place} Place */

/** Where the page is, as its address says. Links of the page are followed without loading it again; Back leads to where one read. */
export class Places {
  #went;
  #reading;

  /** @param {(place: Place) => void} went @param {() => number | null} reading  the first message in sight; null at the newest */
  constructor(went, reading) {
    this.#went = went;
    this.#reading = reading;
    addEventListener("popstate", ({ state }) => this.#went({ ...this.here, seq: state?.reading ?? this.here.seq }));
    document.addEventListener("click", (event) => this.#follow(event));
  }

  get here() {
    return placeOf(new URL(location.href));
  }

  /** @param {string} link */
  go(link) {
    history.replaceState({ reading: this.#reading() }, "");
    history.pushState(null, "", link);
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    this.#went(this.here);
  }

  /** The same place under another address: what it held is used up. @param {string} link */
  rename(link) {
    history.replaceState(null, "", link);
  }

  /** @param {MouseEvent} event */
  #follow(event) {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.origin !== location.origin || link.pathname !== "/" || link.hash || location.pathname !== "/") return;
    event.preventDefault();
    this.go(link.href);
  }
}
