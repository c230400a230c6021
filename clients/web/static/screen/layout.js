/**
 * Where everything stands, in pixels of a 1920 x 1080 picture. Pure: nothing is ever measured, so nothing waits for layout.
 *
 * Safe areas are those of EBU R 95: graphics within 90 % of each side, action within 93 %.
 */

export const WIDTH = 1920;
export const HEIGHT = 1080;
export const GRAPHICS_SAFE = { x: 96, y: 54, width: 1728, height: 972 };
export const ACTION_SAFE = { x: 67.2, y: 37.8, width: 1785.6, height: 1004.4 };

/** The place of the rows in each layout of the picture; the rest of it is in the styles. */
const AREAS = {
  full: { x: 96, y: 150, width: 1280, height: 876 },
  side: { x: 1344, y: 276, width: 480, height: 750 },
  lower: { x: 496, y: 886, width: 1328, height: 140 },
};
export const LAYOUTS = Object.keys(AREAS);

/** How many rows each layout has room for at once, at the most. */
export const ROOM = { full: 48, side: 12, lower: 6 };

/** More rows than this are not drawn: at eight seconds a page nobody would wait for them. */
export const MOST = 200;

/** How so many rows are drawn in a full picture: nothing is smaller than 26 px of 1080. Without figures a row is short. */
function full(count, counted) {
  if (count <= 3) return { kind: "cards", columns: Math.max(1, count), lines: 1, gap: 32, tallest: 876 };
  if (count <= 6 && !counted) return { kind: "cards", columns: count === 4 ? 2 : 3, lines: 2, gap: 24, tallest: 876 };
  if (count <= 12 && !counted) return { kind: "tiles", columns: 2, lines: Math.ceil(count / 2), gap: 14, tallest: 204 };
  if (count <= 7) return { kind: "large", columns: 1, lines: count, gap: 14, tallest: 160 };
  if (count <= 12) return { kind: "rows", columns: 1, lines: count, gap: 8, tallest: 84 };
  if (count <= 24) return { kind: "columns", columns: 2, lines: Math.ceil(count / 2), gap: 8, tallest: 84 };
  return { kind: "wall", columns: 3, lines: 16, gap: 7, tallest: 84 };
}

function grid(count, layout, counted) {
  if (layout === "side") return { kind: "slim", columns: 1, lines: 12, gap: 6, tallest: 62 };
  if (layout === "lower") return { kind: "slim", columns: 3, lines: 2, gap: 8, tallest: 66 };
  return full(count, counted);
}

/**
 * @typedef {object} Arrangement
 * @property {"cards" | "large" | "rows" | "tiles" | "columns" | "wall" | "slim"} kind
 * @property {{x: number, y: number, width: number, height: number}} area
 * @property {number} width of a cell
 * @property {number} height of a cell
 * @property {number} perPage
 * @property {number} pages at least 1
 * @property {(place: number) => {x: number, y: number}} at where a place of a page stands in the area; places count from 0, down each
 *   column, then to the right; cards to the right, then down
 */

/**
 * @param {number} count how many rows there are
 * @param {"full" | "side" | "lower"} layout
 * @param {boolean} counted they have figures
 * @returns {Arrangement}
 */
export function arrange(count, layout = "full", counted = true) {
  const area = AREAS[layout];
  const { kind, columns, lines, gap, tallest } = grid(count, layout, counted);
  const between = columns > 1 ? Math.max(gap, 24) : 0;
  const width = (area.width - between * (columns - 1)) / columns;
  const height = Math.min(tallest, (area.height - gap * (lines - 1)) / lines);
  const perPage = columns * lines;
  const across = kind === "cards";
  const at = (place) => {
    const column = across ? place % columns : Math.floor(place / lines);
    const line = across ? Math.floor(place / columns) : place % lines;
    return { x: column * (width + between), y: line * (height + gap) };
  };
  return { kind, area, width, height, perPage, pages: Math.max(1, Math.ceil(count / perPage)), at };
}
