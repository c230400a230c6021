/** Who stands where: boards and the line-up become rows. Pure. */
import { nameOf } from "./figures.js";

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string} name
 * @property {string} khmer
 * @property {string} number
 * @property {string} photo
 * @property {number} rank 0: not ranked, and then there are no figures
 * @property {number | string} votes
 * @property {number} share percent
 * @property {number} change places gained
 * @property {string} trend
 * @property {boolean} out
 */

/** Boards of long line-ups come in parts: what a part does not say stays as it was. */
export class Figures {
  #window = null;
  #board = null;
  #rows = new Map();
  total = 0;

  /** Takes a board up; another window, or none to tell of, and all is forgotten. */
  take(windowId, board) {
    if (windowId !== this.#window || !board) this.#forget();
    this.#window = windowId;
    if (!board || board === this.#board) return;
    this.#board = board;
    this.total = board.totalVotes;
    for (const row of board.results) this.#rows.set(row.contestantId, { ...this.#rows.get(row.contestantId), ...row });
  }

  #forget() {
    this.#rows.clear();
    this.#board = null;
    this.total = 0;
  }

  get known() {
    return this.#rows.size > 0;
  }

  of(id) {
    return this.#rows.get(id);
  }

  /** @returns {Iterable<string>} contestants that a board has told of */
  ids() {
    return this.#rows.keys();
  }
}

/**
 * @param {object | undefined} contestant of the line-up
 * @param {object | undefined} figures of a board
 * @returns {Row}
 */
export function rowOf(contestant = undefined, figures = undefined) {
  const khmer = nameOf(contestant?.khmerName);
  const number = String(contestant?.number ?? "");
  return {
    id: contestant?.id ?? figures?.contestantId ?? "",
    name: nameOf(contestant?.name ?? figures?.contestantName) || khmer || (number && `#${number}`),
    khmer,
    number,
    photo: contestant?.photoUrl ?? figures?.contestantPhoto ?? "",
    rank: figures?.rank ?? 0,
    votes: figures?.voteCount ?? 0,
    share: figures?.percentage ?? 0,
    change: figures?.change ?? 0,
    trend: figures?.trend ?? "stable",
    out: contestant !== undefined && contestant.status !== undefined && contestant.status !== "active",
  };
}

const LAST = Number.MAX_SAFE_INTEGER;
const byPlace = (a, b) => (a.rank || LAST) - (b.rank || LAST) || Number(a.number || LAST) - Number(b.number || LAST);

/**
 * The line-up in the order of the board; without a board in the order of its numbers.
 * @param {object[]} contestants
 * @param {Figures} figures
 * @param {number} most
 * @returns {Row[]}
 */
export function standing(contestants, figures, most) {
  const rows = contestants.map((contestant) => rowOf(contestant, figures.of(contestant.id)));
  const known = new Set(rows.map((row) => row.id));
  for (const id of figures.ids()) {
    // who is neither in the line-up nor on a board with names has none that could be shown
    if (!known.has(id) && figures.of(id).contestantName) rows.push(rowOf(undefined, figures.of(id)));
  }
  return rows.sort(byPlace).slice(0, most);
}

/**
 * Counts are for whom? Until its release nothing of a hidden window is shown, whatever has come.
 * @param {import("../sdk/show.js").ShowState} state
 */
export const mayShowCounts = (state) => Boolean(state.result) || (state.window?.visibility ?? "public") !== "hidden";
