/** A result told from the bottom to the top. The plan is pure; `Reveal` keeps the place in it. */

/** Milliseconds between two places, and before the first one of all. */
export const PACE_MS = 2500;
export const HOLD_MS = 5000;
/** So many of the best are told one by one: as many as stand below each other in one picture. */
export const PLACES = 12;

/**
 * @typedef {{kind: "rest" | "place" | "winner", rank: number, places: number[]}} Step `places` are indices of the result
 */

/**
 * Those beyond the best come together and first; who shares a place comes with all who share it.
 * @param {{rank: number}[]} results best first
 * @param {number} [most] places told one by one, at least 1
 * @returns {Step[]}
 */
export function plan(results, most = PLACES) {
  const groups = new Map();
  results.forEach(({ rank }, place) => groups.set(rank, [...(groups.get(rank) ?? []), place]));
  const [winners, ...others] = [...groups.entries()];
  if (!winners) return [];
  // who shares the last place that has room, with somebody who has none, is of the rest
  const single = others.filter(([, places]) => places.at(-1) < Math.max(1, most));
  const rest = others.slice(single.length).flatMap(([, places]) => places);
  const steps = rest.length ? [{ kind: "rest", rank: rest[0] + 1, places: rest }] : [];
  for (const [rank, places] of single.reverse()) steps.push({ kind: "place", rank, places });
  steps.push({ kind: "winner", rank: winners[0], places: winners[1] });
  return steps;
}

/** How long it takes from one step to the next: a long breath before the winner. */
export const waitBefore = (step, { pace = PACE_MS, hold = HOLD_MS } = {}) => (step?.kind === "winner" ? hold : pace);

/** Goes through a plan: by itself while it is on air, or one step for each `next()`. */
export class Reveal {
  #timer = null;
  #onAir = false;
  #way;

  /**
   * @param {Step[]} steps
   * @param {object} way
   * @param {() => void} way.changed called after each step
   * @param {boolean} [way.director] only `next()` goes on
   * @param {number} [way.pace] milliseconds
   * @param {number} [way.hold] milliseconds
   */
  constructor(steps, way) {
    this.steps = steps;
    /** How many steps are told. */
    this.told = 0;
    this.#way = way;
  }

  /** Off air nothing goes on by itself: a result is told to those who see it. */
  set onAir(onAir) {
    if (onAir === this.#onAir) return;
    this.#onAir = onAir;
    this.#goOn();
  }

  get done() {
    return this.told >= this.steps.length;
  }

  /** The step told last; undefined before the first. */
  get now() {
    return this.steps[this.told - 1];
  }

  /** The winner is the next one. */
  get holding() {
    return this.steps[this.told]?.kind === "winner" && this.told > 0;
  }

  /** @returns {boolean} whether there was one more step */
  next() {
    if (this.done) return false;
    this.told += 1;
    this.#goOn();
    this.#way.changed();
    return true;
  }

  /** All of it at once, for who comes late. */
  finish() {
    this.told = this.steps.length;
    this.end();
  }

  /** Lets go of its timer. */
  end() {
    clearTimeout(this.#timer);
  }

  #goOn() {
    clearTimeout(this.#timer);
    if (!this.#onAir || this.#way.director || this.done) return;
    this.#timer = setTimeout(() => this.next(), waitBefore(this.steps[this.told], this.#way));
  }
}
