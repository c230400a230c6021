/** The column beside the rows: the state, the time that is left, the total, and one act. */
import { clockText, el, setText } from "../page.js";
import { fitted, inFull, whole } from "./figures.js";
import { fill } from "./portrait.js";

export const LAST_SECONDS = 10;
/** The width of a line of it. */
const WIDTH = 336;
/** The total runs to its newest value in so many steps. */
const STEPS = 12;
const STEP_MS = 50;

/** Draws into an element of its own, `element`. */
export class Column {
  #state = el("p", { class: "state", "data-testid": "state" });
  #digits = el("p", { class: "digits tabular", "data-testid": "countdown" });
  #drain = el("i");
  #drainBox = el("div", { class: "drain" }, this.#drain);
  #total = el("p", { class: "total-number tabular", "data-testid": "total" });
  #totalWord = el("p", { class: "total-word" });
  #totalBox = el("div", { class: "total" }, this.#total, this.#totalWord);
  #heroWord = el("p", { class: "hero-word" });
  #heroFace = el("div", { class: "hero-face" });
  #heroName = el("bdi", { class: "hero-name" });
  #heroLine = el("p", { class: "hero-line" });
  #hero = el("div", { class: "hero" }, this.#heroFace, this.#heroWord, this.#heroName, this.#heroLine);
  #shown = 0n;
  #aim = 0n;
  #timer = null;

  constructor() {
    this.element = el("div", { class: "column" },
      this.#state, this.#digits, this.#drainBox, this.#totalBox, this.#hero);
  }

  /** @param {{state: string, live: boolean}} what the state's words, and whether votes are taken */
  state({ state, live }) {
    setText(this.#state, state);
    this.#state.classList.toggle("live", live);
  }

  /**
   * @param {{seconds: number | null, share: number | null, next: number | null, words: string, waits: boolean, still: boolean}} time `words` when no
   *   time runs, and whether something is waited for; `next` is the share that is left in a second from now
   */
  time({ seconds, share, next, words, waits, still }) {
    const runs = seconds !== null && seconds > 0;
    const last = runs && seconds <= LAST_SECONDS;
    const text = !runs ? words : last ? String(seconds) : clockText(seconds);
    const changed = this.#digits.textContent !== text;
    this.#digits.classList.toggle("words", !runs);
    if (changed) {
      setText(this.#digits, text);
      const size = last ? fitted(text, WIDTH, 470) : runs ? fitted(text, WIDTH + 12, 190, 0.44) : Math.max(76, fitted(text, WIDTH, 104, 0.5));
      this.#digits.style.fontSize = `${size}px`;
      if (last && !still) this.#digits.animate([{ transform: "scale(1.16)" }, { transform: "none" }], { duration: 450, easing: "cubic-bezier(0.2, 0.7, 0.1, 1)" });
    }
    this.#drainBox.hidden = !runs && !waits;
    this.#drainBox.classList.toggle("waits", !runs);
    this.#drain.style.transform = runs ? `scaleX(${still ? share : next})` : "";
  }

  /** @param {{count: number | string | null, word: string, still: boolean}} what null: nothing is told, and nothing is said */
  total({ count, word, still }) {
    const aim = count === null ? null : whole(count);
    this.#totalBox.hidden = aim === null;
    setText(this.#totalWord, word);
    if (aim === null) return;
    if (aim === this.#aim && this.#total.textContent) return;
    this.#aim = aim;
    const exact = typeof count !== "number" || Number.isSafeInteger(count);
    const from = this.#shown;
    clearTimeout(this.#timer);
    const run = (step) => {
      const ends = step >= STEPS || still || aim < from || !exact;
      this.#shown = ends ? aim : from + ((aim - from) * BigInt(step)) / BigInt(STEPS);
      const text = ends ? inFull(count) : inFull(this.#shown);
      setText(this.#total, text);
      this.#total.style.fontSize = `${fitted(text, WIDTH, 88)}px`;
      if (!ends) this.#timer = setTimeout(() => run(step + 1), STEP_MS);
    };
    run(1);
  }

  /** @param {{word: string, rows: import("./standing.js").Row[], line: string, faceless?: boolean} | null} who null: nobody */
  hero(who) {
    this.#hero.hidden = !who;
    // who was in the lead is not left behind where a result is about to be told
    const { word, rows, line, faceless = false } = who ?? { word: "", rows: [], line: "" };
    setText(this.#heroWord, word);
    setText(this.#heroName, rows.map((row) => row.name).join(" & "));
    setText(this.#heroLine, line);
    this.#heroFace.dataset.acts = String(Math.min(4, rows.length));
    this.#hero.classList.toggle("faceless", faceless);
    this.#heroWord.classList.toggle("numeral", /^\d+$/.test(word));
    fill(this.#heroFace, faceless ? [] : rows.slice(0, 4));
  }

  /** Lets go of its timer. */
  end() {
    clearTimeout(this.#timer);
  }
}
