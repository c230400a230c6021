/** The picture of an act. */
import { el } from "../page.js";
import { monogram } from "./figures.js";

/** Photos are named as seen from the server that this module came from: a graphics host is another one. */
function address(photo) {
  try {
    const url = new URL(photo, import.meta.url);
    return url.protocol === "https:" || url.origin === new URL(import.meta.url).origin ? url.href : "";
  } catch {
    return "";
  }
}

/**
 * The photo, and the monogram behind it for as long as there is none, or for good. Decorative: the name always stands
 * beside it.
 * @param {import("./standing.js").Row} row
 */
export function portrait(row) {
  const frame = el("span", { class: "portrait", "data-monogram": monogram(row.name) || row.number, "data-number": row.number });
  const src = row.photo ? address(row.photo) : "";
  if (!src) return frame;
  const image = el("img", { alt: "", decoding: "async", draggable: false });
  image.addEventListener("error", () => image.remove(), { once: true });
  image.src = src;
  frame.append(image);
  return frame;
}

/** Puts portraits into a box, unless they are there already. */
export function fill(box, rows) {
  const wanted = rows.map((row) => `${row.id} ${row.photo} ${row.name}`).join("\n");
  if (box.dataset.of === wanted) return;
  box.dataset.of = wanted;
  box.replaceChildren(...rows.map(portrait));
}
