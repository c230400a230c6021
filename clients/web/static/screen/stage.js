/**
 * The stage: what a studio cuts to. Title, act on stage, the ranking as it moves, the result told from the bottom to the
 * top. It draws inside one element or shadow root and nowhere else, asks nobody for anything, and fetches nothing when it
 * is imported. The studio screen and the adapters for graphics hosts all draw with it.
 *
 * When the link is gone it keeps what it shows and says nothing of it; the time goes on by the local clock.
 */
import { EMPTY } from "../sdk/show.js";
import { el, titles } from "../page.js";
import { loadFonts } from "./fonts.js";
import { HEIGHT, LAYOUTS, MOST, WIDTH } from "./layout.js";
import { HOLD_MS, PACE_MS, PLACES, Reveal, plan } from "./reveal.js";
import { Scene } from "./scene.js";
import { Figures, mayShowCounts, rowOf, standing } from "./standing.js";
import { viewOf } from "./view.js";

/** A page of rows stands for so long, and a face that has its turn. */
const TURN_MS = 8000;
/** A release that is older than this when it comes is over: who comes late gets the outcome at once. */
const LATE_MS = 15_000;
const FADE_MS = 450;

const STYLES = ["stage", "board", "cards"].map((name) => new URL(`./${name}.css`, import.meta.url).href);

/**
 * What `update` knows. Hosts send strings, so numbers may be strings; other keys are ignored.
 * @typedef {object} Data
 * @property {string} [title] instead of the show's own
 * @property {string} [subtitle]
 * @property {string} [token] given to the client
 * @property {"night" | "light" | "plain"} [theme]
 * @property {"auto" | "title" | "act" | "board" | "result"} [view] taken while there is something of it to show; `result` never
 *   before its release
 * @property {"full" | "side" | "lower"} [layout]
 * @property {"en" | "km"} [lang]
 * @property {boolean | string} [safe] draws the safe areas
 * @property {boolean | string} [transparent] nothing behind the graphics, for keying
 * @property {boolean | string} [director] a reveal goes on only by `next()`
 * @property {"auto" | "full" | "none"} [motion] auto: as the machine's settings say
 * @property {number | string} [pace] seconds between two places of a reveal
 * @property {number | string} [hold] seconds before its winner
 * @property {number | string} [places] so many of the best are told one by one
 */

const yes = (value) => value === true || value === "1" || value === "true";
const number = (value, otherwise) => (value !== "" && value !== null && Number.isFinite(Number(value)) ? Number(value) : otherwise);

/** Nothing is painted before `play()`. The client stays the caller's, who connects and closes it. */
export class Stage {
  #root;
  #client;
  #links;
  #size;
  #off = [];
  #data = {};
  #scene = new Scene();
  #figures = new Figures();
  #playing = false;
  #frame = 0;
  #fading = 0;
  #turning = null;
  #turn = 0;
  #reveal = null;
  /** The result that the reveal tells. */
  #result = null;
  /** The window that was on before its result: a page that opens later has not waited for it. */
  #witnessed = null;
  #released = null;
  #motion = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {Element | ShadowRoot} root it, or its host, has a size; the picture is fitted into it
   * @param {Data & {client?: import("../sdk/index.js").BroadcastSync | null}} [options] without a client only what `update` says is shown
   */
  constructor(root, { client = null, ...data } = {}) {
    this.#root = root;
    this.#client = client;
    this.#links = STYLES.map((href) => el("link", { rel: "stylesheet", href }));
    loadFonts();
    /** Resolves when the styles are there, or will not come. */
    this.ready = Promise.all(this.#links.map((link) => new Promise((resolve) => {
      link.addEventListener("load", resolve, { once: true });
      link.addEventListener("error", resolve, { once: true });
    })));
    root.append(...this.#links, this.#scene.element);
    this.#size = new ResizeObserver(([{ contentRect }]) => this.#fit(contentRect));
    this.#size.observe(root instanceof ShadowRoot ? root.host : root);
    this.#listen();
    this.update(data);
  }

  /** Comes on. Resolves when it is painted. */
  async play() {
    await this.ready;
    clearTimeout(this.#fading);
    this.#playing = true;
    this.#scene.element.hidden = false;
    this.#draw();
    await new Promise((resolve) => requestAnimationFrame(resolve));
    this.#scene.element.classList.add("played");
  }

  /** Goes off. Resolves when nothing is painted any more. */
  async stop() {
    this.#scene.element.classList.remove("played");
    await new Promise((resolve) => {
      clearTimeout(this.#fading);
      this.#fading = setTimeout(resolve, this.#still ? 0 : FADE_MS);
    });
    this.#playing = false;
    this.#scene.element.hidden = true;
  }

  /**
   * One step on: the next place of a result that is being told, else the next page of a ranking that has several.
   * @returns {boolean} whether there was one
   */
  next() {
    if (this.#reveal && !this.#reveal.done) return this.#reveal.next();
    if (this.#scene.pages < 2) return false;
    this.#startTurning();
    this.#turned();
    return true;
  }

  /** How many steps `next()` still has in the result that is being told; 0 when none is. */
  get stepsLeft() {
    return this.#reveal ? this.#reveal.steps.length - this.#reveal.told : 0;
  }

  /** @param {Data} data what is given replaces what was */
  update(data) {
    if (data.token && data.token !== this.#data.token) this.#client?.setToken(data.token);
    this.#data = { ...this.#data, ...data };
    this.#scene.element.dataset.theme = this.#data.theme || "night";
    this.#scene.keyed = yes(this.#data.transparent);
    this.#changed();
  }

  /** Takes everything out of the root again, and lets go of the client. */
  dispose() {
    this.#playing = false;
    for (const off of this.#off) off();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#fading);
    clearInterval(this.#turning);
    this.#reveal?.end();
    this.#scene.end();
    this.#size.disconnect();
    for (const element of [...this.#links, this.#scene.element]) element.remove();
  }

  // --- what makes it draw ---------------------------------------------------------------------------------------

  #listen() {
    const changed = () => this.#changed();
    this.#motion.addEventListener("change", changed);
    this.#off.push(() => this.#motion.removeEventListener("change", changed));
    this.#startTurning();
    if (!this.#client) return;
    this.#off.push(
      this.#client.on("change", changed),
      this.#client.on("second", changed),
      this.#client.on("message", ({ type, timestamp }) => {
        if (type === "RESULTS_READY") this.#released = Date.parse(timestamp);
      }),
    );
  }

  #startTurning() {
    clearInterval(this.#turning);
    this.#turning = setInterval(() => this.#turned(), TURN_MS);
  }

  #turned() {
    this.#turn += 1;
    this.#changed();
  }

  #fit({ width, height }) {
    const scale = Math.min(width / WIDTH, height / HEIGHT);
    this.#scene.element.style.transform =
      `translate(${(width - WIDTH * scale) / 2}px, ${(height - HEIGHT * scale) / 2}px) scale(${scale})`;
  }

  /** Many messages may come between two frames; they are drawn once. */
  #changed() {
    this.#follow();
    if (!this.#playing || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#playing) this.#draw();
    });
  }

  // --- what it knows --------------------------------------------------------------------------------------------

  get #state() {
    return this.#client?.state ?? EMPTY;
  }

  get #still() {
    const { motion } = this.#data;
    return motion === "none" || (motion !== "full" && this.#motion.matches);
  }

  get #contestants() {
    const { window, contestants } = this.#state;
    return window?.contestants?.length ? window.contestants : contestants;
  }

  /** Boards are taken up as they come, on air or not; a result begins to be told. */
  #follow() {
    const { window, board, result, resultsReleased } = this.#state;
    this.#figures.take(window?.windowId ?? null, mayShowCounts(this.#state) ? board : null);
    if (window && !result && !resultsReleased) this.#witnessed = window.windowId;
    if (result === this.#result) return;
    const again = result && this.#result?.windowId === result.windowId;
    const done = again && this.#reveal.done;
    this.#result = result;
    if (again && JSON.stringify(plan(result.results, this.#places)) === JSON.stringify(this.#reveal.steps)) return;
    this.#reveal?.end();
    this.#reveal = result ? this.#tell(result) : null;
    if (done || (result && !again && this.#isLate(result))) this.#reveal.finish();
  }

  get #places() {
    return Math.max(1, number(this.#data.places, PLACES));
  }

  #tell(result) {
    return new Reveal(plan(result.results, this.#places), {
      changed: () => this.#changed(),
      director: yes(this.#data.director),
      pace: number(this.#data.pace, PACE_MS / 1000) * 1000,
      hold: number(this.#data.hold, HOLD_MS / 1000) * 1000,
    });
  }

  #isLate({ windowId }) {
    if (this.#witnessed !== windowId) return true;
    const now = this.#client?.clock?.now();
    return !yes(this.#data.director) && this.#released !== null && now !== undefined && now - this.#released > LATE_MS;
  }

  // --- what it draws --------------------------------------------------------------------------------------------

  #draw() {
    this.#scene.show(this.#snapshot());
  }

  #snapshot() {
    const state = this.#state;
    const client = this.#client;
    const act = this.#act();
    const view = viewOf({
      state, remainingMs: client?.remainingMs ?? null, act: act !== null, releasedMs: this.#released, told: this.#reveal?.done ?? false,
      wanted: this.#data.view,
    });
    const counted = this.#figures.known && mayShowCounts(state);
    return {
      view,
      look: this.#look(),
      still: this.#still,
      rehearsal: Boolean(state.show?.rehearsal ?? state.window?.rehearsal),
      voting: state.voting,
      time: this.#time(),
      total: counted ? this.#figures.total : (state.window?.visibility ?? "public") === "public" && state.window ? 0 : null,
      act,
      turn: this.#turn,
      counted,
      lineUp: this.#contestants.map((contestant) => rowOf(contestant, undefined)),
      ...this.#ranking(view, counted),
    };
  }

  #look() {
    const known = titles(this.#state.show);
    const { title, subtitle, layout, lang, safe } = this.#data;
    return {
      title: title || known.show,
      subtitle: subtitle || known.episode,
      layout: LAYOUTS.includes(layout) ? layout : "full",
      lang: lang || "en",
      safe: yes(safe),
    };
  }

  #time() {
    const { seconds = null, share = null, remainingMs = null } = this.#client ?? {};
    return { seconds, share, next: remainingMs ? (share * Math.max(0, remainingMs - 1000)) / remainingMs : share };
  }

  #act() {
    const { performance } = this.#state;
    const contestant = performance && this.#contestants.find(({ id }) => id === performance.contestantId);
    if (!contestant) return null;
    return { row: rowOf(contestant, undefined), song: performance.songName ? `“${performance.songName}”` : contestant.hometown ?? "" };
  }

  #ranking(view, counted) {
    if (!this.#result || (view !== "reveal" && view !== "final")) {
      const rows = standing(this.#contestants, this.#figures, MOST);
      return { rows: counted ? rows : rows.map((row) => ({ ...row, rank: 0 })), reveal: null, final: null };
    }
    const byId = new Map(this.#contestants.map((contestant) => [contestant.id, contestant]));
    const rows = this.#result.results.map((row) => ({ ...rowOf(byId.get(row.contestantId), row), final: true }));
    return {
      counted: true,
      rows: view === "final" ? rows.slice(0, MOST) : this.#told(rows),
      reveal: this.#reveal && {
        step: this.#reveal.now,
        rows: (this.#reveal.now?.places ?? []).map((place) => rows[place]),
        holding: this.#reveal.holding,
      },
      final: {
        winners: rows.filter((row) => row.rank === 1),
        others: rows.filter((row) => row.rank > 1),
        total: this.#result.totalVotes,
        certified: this.#result.certified,
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
      return shown.has(place) ? { ...row, key } : { ...rowOf(undefined, undefined), key, id: key, rank: place + 1, told: false };
    });
  }
}
