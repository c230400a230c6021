/**
 * Lists whose rows stay the same elements while they are shown, so that focus, a lifted guard and a finger on its way
 * keep their row.
 */

/**
 * @template T
 * @param {HTMLElement} list its children are ours alone
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} make a new row
 * @param {(row: HTMLElement, item: T) => void} update what may change in it
 */
export function renderKeyed(list, items, keyOf, make, update) {
  const known = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const rows = items.map((item) => {
    const row = known.get(keyOf(item)) ?? make(item);
    row.dataset.key = keyOf(item);
    update(row, item);
    return row;
  });
  for (const row of [...list.children]) if (!rows.includes(row)) row.remove();
  rows.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
}
