/**
 * What is to be drawn: the show's state and what the host wants become a snapshot. It remembers what a state alone does not
 * say: the figures of earlier boards, and how far a result has been told. No element is touched here.
 */
import { titles } from "../page.js";
import { LAYOUTS, MOST, ROOM } from "./layout.js";
import { HOLD_MS, PACE_MS, PLACES, Reveal, plan } from "./reveal.js";
import { Figures, mayShowCounts, rowOf, standing } from "./standing.js";
import { viewOf } from "./view.js";

/** A release that is older than this when it comes is over: who comes late gets the outcome at once. */
const LATE_MS = 15_000;
/** What was missed has come this long after the link is back. */
const CAUGHT_UP_MS = 3_000;

const NOTHING = new Figures();

/** Hosts send strings. */
export const yes = (value) => value === true || value === "1" || value === "true";
const number = (value, otherwise) =>
  value !== "" && value !== null && Number.isFinite(Number(value)) ? Number(value) : otherwise;

const layoutOf = ({ layout }) => (LAYOUTS.includes(layout) ? layout : "full");

/** How many of the best are told one by one: never more than are seen at once. */
const placesOf = (data) => Math.min(Math.max(1, number(data.places, PLACES)), ROOM[layoutOf(data)]);

/** The line-up: that of the window, else the show's. */
const lineUpOf = ({ window, contestants }) => (window?.contestants?.length ? window.contestants : contestants);

const visibilityOf = ({ window }) => window?.visibility ?? "public";

function lookOf(state, data) {
  const known = titles(state.show);
  return {
    title: data.title || known.show,
    subtitle: data.subtitle || known.episode,
    layout: layoutOf(data),
    lang: data.lang || "en",
    safe: yes(data.safe),
  };
}

function actOf(state) {
  const { performance } = state;
  const contestant = performance && lineUpOf(state).find(({ id }) => id === performance.contestantId);
  if (!contestant) return null;
  const song = performance.songName ? `“${performance.songName}”` : contestant.hometown ?? "";
  return { row: rowOf(contestant, undefined), song };
}

/** 0 is said before the first board of a window whose counts are for all; else nothing is said of what is not told. */
function totalOf(state, figures, counted) {
  if (counted) return figures.total;
  return state.window && state.voting !== "IDLE" && visibilityOf(state) === "public" ? 0 : null;
}

export class Programme {
  #figures = new Figures();
  #reveal = null;
  /** The result that the reveal tells. */
  #result = null;
  /** The window that was on before its result: who opens later has not waited for it. */
  #witnessed = null;
  #releasedMs = null;
  #onAir = false;
  /** When the link was lost, and came back, by the server's clock. */
  #lostMs = null;
  #backMs = null;
  #changed;

  /** @param {() => void} changed called when a reveal has gone on by itself */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether anybody sees it: off air no result goes on by itself. */
  set onAir(onAir) {
    this.#onAir = onAir;
    if (this.#reveal) this.#reveal.onAir = onAir;
  }

  /** RESULTS_READY has this time on it. */
  released(ms) {
    this.#releasedMs = ms;
  }

  /** The link is there, or is not, from now on. What comes just after it is back is as old as it was away, at most. */
  linked(live, nowMs) {
    if (!live) {
      if (this.#backMs !== null || this.#lostMs === null) this.#lostMs = nowMs;
      this.#backMs = null;
    } else if (this.#lostMs !== null) {
      this.#backMs ??= nowMs;
    }
  }

  /**
   * Takes up a state as it comes, on air or not; a result begins to be told.
   * @param {import("../sdk/show.js").ShowState} state
   * @param {import("./stage.js").Data} data
   * @param {number | undefined} nowMs by the server's clock
   */
  follow(state, data, nowMs) {
    const { window, board, result, resultsReleased } = state;
    this.#figures.take(window?.windowId ?? null, window && mayShowCounts(state) ? board : null);
    if (window && !result && !resultsReleased) this.#witnessed = window.windowId;
    if (result === this.#result) return;
    const again = Boolean(result) && this.#result?.windowId === result.windowId;
    const steps = result ? plan(result.results, placesOf(data)) : [];
    this.#result = result;
    // certified by now, or sent again: what is told stays told
    if (again && JSON.stringify(steps) === JSON.stringify(this.#reveal.steps)) return;
    const whole = again ? this.#reveal.done : Boolean(result) && this.#isLate(result, data, nowMs);
    this.#reveal?.end();
    this.#reveal = result ? this.#tell(steps, data) : null;
    if (whole) this.#reveal.finish();
    else if (this.#reveal) this.#reveal.onAir = this.#onAir;
  }

  /** One step on in the result that is being told. @returns {boolean} whether there was one */
  next() {
    return this.#reveal?.next() ?? false;
  }

  /** Steps that are still to be told; 0 when no result is being told. */
  get stepsLeft() {
    return this.#reveal ? this.#reveal.steps.length - this.#reveal.told : 0;
  }

  /** Lets go of its timer. */
  end() {
    this.#reveal?.end();
  }

  /**
   * @param {import("../sdk/show.js").ShowState} state the one that was followed last
   * @param {import("./stage.js").Data} data
   * @param {{seconds: number | null, share: number | null, remainingMs: number | null}} time of the open window
   * @param {{still: boolean, turn: number}} how
   * @returns {import("./scene.js").Snapshot}
   */
  snapshot(state, data, { seconds, share, remainingMs }, { still, turn }) {
    const act = actOf(state);
    // before the first vote nobody is ahead: the line-up is shown, not twelve who are all first
    const counted = this.#figures.known && Number(this.#figures.total) > 0;
    const view = viewOf({
      state, remainingMs, act: act !== null, releasedMs: this.#releasedMs, told: this.#reveal?.done ?? false, wanted: data.view,
    });
    return {
      view, act, still, turn, counted,
      look: lookOf(state, data),
      rehearsal: Boolean(state.show?.rehearsal || state.window?.rehearsal),
      voting: state.voting,
      time: { seconds, share, next: remainingMs ? (share * Math.max(0, remainingMs - 1000)) / remainingMs : share },
      total: totalOf(state, this.#figures, counted),
      contestantCount: state.window?.contestantCount ?? lineUpOf(state).length,
      lineUp: lineUpOf(state).map((contestant) => rowOf(contestant, undefined)),
      ...(this.#result && (view === "reveal" || view === "final") ? this.#outcome(state, view) : this.#ranking(state, counted)),
    };
  }

  #tell(steps, { director, pace, hold }) {
    return new Reveal(steps, {
      changed: this.#changed,
      director: yes(director),
      pace: number(pace, PACE_MS / 1000) * 1000,
      hold: number(hold, HOLD_MS / 1000) * 1000,
    });
  }

  #isLate({ windowId }, { director, retell }, nowMs) {
    if (yes(retell)) return false;
    if (this.#witnessed !== windowId) return true;
    if (yes(director) || nowMs === undefined) return false;
    const away = this.#backMs !== null && nowMs - this.#backMs < CAUGHT_UP_MS && this.#backMs - this.#lostMs > LATE_MS;
    return away || (this.#releasedMs !== null && nowMs - this.#releasedMs > LATE_MS);
  }

  #ranking(state, counted) {
    return { rows: standing(lineUpOf(state), counted ? this.#figures : NOTHING, MOST), counted, reveal: null, final: null };
  }

  #outcome(state, view) {
    const { results, totalVotes, certified } = this.#result;
    const byId = new Map(lineUpOf(state).map((contestant) => [contestant.id, contestant]));
    const rows = results.map((row) => ({ ...rowOf(byId.get(row.contestantId), row), final: true }));
    const { now, holding } = this.#reveal;
    return {
      counted: true,
      rows: view === "final" ? rows.slice(0, MOST) : this.#told(rows),
      reveal: { step: now, rows: (now?.places ?? []).map((place) => rows[place]), holding },
      final: {
        winners: rows.filter((row) => row.rank === 1),
        others: rows.filter((row) => row.rank > 1),
        total: totalVotes,
        certified,
      },
    };
  }

  /** What of the result is told by now. Of the others nothing but their places is in the picture, nor behind it. */
  #told(rows) {
    const { steps, told, now } = this.#reveal;
    if (now?.kind === "rest") return now.places.slice(0, MOST).map((place) => rows[place]);
    const shown = new Set(steps.slice(0, told).flatMap((step) => step.places));
    const rest = steps[0]?.kind === "rest" ? steps[0].places[0] : rows.length;
    return rows.slice(0, Math.min(rest, MOST)).map((row, place) => {
      const key = `place-${place}`;
      return shown.has(place) ? { ...row, key } : { ...rowOf(), key, id: key, rank: place + 1, told: false };
    });
  }
}
