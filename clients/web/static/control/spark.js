/** Two minutes of votes a second as a line. Pure. */

/** How far the line reaches back, seconds. */
export const SPAN_S = 120;
/** Samples further apart than this are not joined: the desk saw nothing in between. */
const GAP_S = 2.5;
const STEPS = [1, 2, 5, 10];

/** The samples of the last SPAN_S seconds. */
export class History {
  constructor() {
    /** @type {{at: number, value: number}[]} `at` in seconds, growing */
    this.samples = [];
  }

  /** Takes a sample; one that is not newer than the last is no sample. */
  add(at, value) {
    if (!Number.isFinite(value) || at <= (this.samples.at(-1)?.at ?? -Infinity)) return;
    this.samples.push({ at, value: Math.max(0, value) });
    while (this.samples[0].at < at - SPAN_S) this.samples.shift();
  }
}

/** The top of the scale: the next 1, 2 or 5 times a power of ten that holds `most`, and never below 10. */
export function topOf(most) {
  if (!(most > 10)) return 10;
  const power = 10 ** Math.floor(Math.log10(most));
  return STEPS.map((step) => step * power).find((top) => top >= most);
}

/**
 * The line as the data of an SVG path, now at the right edge and 0 at the bottom; empty without samples.
 * @param {{at: number, value: number}[]} samples
 * @param {{now: number, width: number, height: number, top: number}} frame `now` in seconds
 */
export function linePath(samples, { now, width, height, top }) {
  let last = -Infinity;
  const parts = [];
  for (const { at, value } of samples) {
    if (at < now - SPAN_S) continue;
    const x = round(width * (1 - Math.max(0, now - at) / SPAN_S));
    const y = round(height * (1 - Math.min(1, value / top)));
    // a lone sample is a dot: a line of no length with round ends
    parts.push(at - last > GAP_S ? `M${x} ${y}h0` : `L${x} ${y}`);
    last = at;
  }
  return parts.join("");
}

const round = (n) => Math.round(n * 10) / 10;
