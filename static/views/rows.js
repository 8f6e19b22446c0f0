/**
 * Make a list show items in their order: a row is made once for each key, then filled, moved and removed as needed, so
 * that focus, selection and what was read out stay.
 *
 * @template T
 * @param {Element} list
 * @param {T[]} items
 * @param {{key: (item: T) => string | number, make: (item: T) => HTMLElement, fill: (row: HTMLElement, item: T) => void}} how
 */
export function showRows(list, items, { key, make, fill }) {
  const rows = new Map([...list.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.key, /** @type {HTMLElement} */ (row)]));
  const keys = new Set(items.map((item) => String(key(item))));
  for (const [held, row] of rows) if (!held || !keys.has(held)) row.remove();
  let next = list.firstElementChild;
  for (const item of items) {
    const row = rows.get(String(key(item))) ?? make(item);
    row.dataset.key = String(key(item));
    fill(row, item);
    if (row === next) next = next.nextElementSibling;
    else list.insertBefore(row, next);
  }
}
