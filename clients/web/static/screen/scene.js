/** Everything that is drawn, as elements: `show` makes them say what a snapshot says. */
import { count, el, percent, setText } from "../page.js";
import { Board } from "./board.js";
import { ActCard, FinalCard, TitleCard } from "./cards.js";
import { Column } from "./column.js";
import { inRow } from "./figures.js";
import { arrange } from "./layout.js";
import { wordsOf } from "./words.js";

/** Views that show the rows. */
const LISTS = new Set(["waiting", "open", "closed", "reveal"]);

/**
 * @typedef {object} Snapshot
 * @property {import("./view.js").View} view
 * @property {{title: string, subtitle: string, layout: "full" | "side" | "lower", lang: string, safe: boolean}} look
 * @property {boolean} still nothing moves
 * @property {boolean} rehearsal
 * @property {"IDLE" | "OPEN" | "CLOSING" | "CLOSED"} voting
 * @property {{seconds: number | null, share: number | null, next: number | null}} time
 * @property {number | string | null} total null: not told
 * @property {boolean} counted the rows have figures
 * @property {(import("./standing.js").Row & {key?: string, told?: boolean})[]} rows
 * @property {number} contestantCount of a long line-up the rows are not all
 * @property {import("./standing.js").Row[]} lineUp
 * @property {{row: import("./standing.js").Row, song: string} | null} act
 * @property {number} turn counts pages and faces that take turns
 * @property {{step: import("./reveal.js").Step | undefined, rows: import("./standing.js").Row[], holding: boolean} | null} reveal
 * @property {object | null} final what `FinalCard.show` takes, without the words
 */

export class Scene {
  #words = wordsOf("en");
  #language = "";
  #title = el("p", { class: "heading-title" });
  #subtitle = el("p", { class: "heading-subtitle" });
  #pages = el("p", { class: "heading-pages tabular" });
  #heading = el("div", { class: "heading" }, this.#title, this.#subtitle, this.#pages);
  #rows = el("ol", { class: "rows" });
  #mark = el("p", { class: "rehearsal", "data-testid": "rehearsal" });
  #titleCard = new TitleCard();
  #actCard = new ActCard();
  #finalCard = new FinalCard();
  #column = new Column();
  #board = new Board(this.#rows, this.#words);
  #ranking = el("section", { class: "ranking" }, this.#heading, this.#rows, this.#column.element);
  /** How many pages the rows have now. */
  pages = 1;

  constructor() {
    this.element = el("div", { class: "stage", hidden: true },
      el("div", { class: "light", "aria-hidden": "true" }),
      this.#titleCard.element, this.#actCard.element, this.#ranking, this.#finalCard.element, this.#mark,
      el("div", { class: "safe action", "aria-hidden": "true" }), el("div", { class: "safe graphics", "aria-hidden": "true" }));
  }

  /** @param {Snapshot} now */
  show(now) {
    const { look, view } = now;
    this.#speak(look.lang);
    const { dataset, classList } = this.element;
    dataset.view = view;
    dataset.layout = look.layout;
    classList.toggle("holding", view === "reveal" && Boolean(now.reveal?.holding));
    classList.toggle("still", now.still);
    classList.toggle("safe-areas", look.safe);
    classList.toggle("rehearsing", now.rehearsal);
    classList.toggle("last", view === "open" && now.time.seconds !== null && now.time.seconds > 0 && now.time.seconds <= 10);
    const whole = look.layout === "full";
    const listed = LISTS.has(view) || (view === "final" && !whole);
    this.#on(this.#titleCard.element, view === "title" && whole);
    this.#on(this.#actCard.element, view === "act" && look.layout !== "side");
    this.#on(this.#ranking, listed);
    this.#on(this.#finalCard.element, view === "final" && whole);
    this.#on(this.#mark, now.rehearsal);
    setText(this.#mark, this.#words.rehearsal);
    if (view === "title") this.#showTitle(now);
    if (view === "act" && now.act) this.#actCard.show({ ...now.act, look, narrow: look.layout !== "full" || this.keyed });
    if (listed) this.#showRanking(now);
    if (view === "final" && now.final) this.#finalCard.show({ ...now.final, look, words: this.#words });
  }

  set keyed(keyed) {
    this.element.classList.toggle("keyed", keyed);
  }

  get keyed() {
    return this.element.classList.contains("keyed");
  }

  end() {
    this.#column.end();
  }

  #on(section, on) {
    section.classList.toggle("on", on);
  }

  #speak(language) {
    if (language === this.#language) return;
    this.#language = language;
    this.#words = wordsOf(language);
    this.#board.words = this.#words;
    this.element.lang = language;
  }

  #showTitle({ look, lineUp }) {
    const waits = lineUp.length > 0;
    this.#titleCard.show({
      title: look.title || this.#words.standBy,
      subtitle: look.subtitle,
      word: look.title && waits ? this.#words.soon : "",
      rows: lineUp,
    });
  }

  #showRanking(now) {
    const { look, rows, still, counted } = now;
    setText(this.#title, look.title);
    setText(this.#subtitle, look.subtitle);
    const arrangement = arrange(rows.length, look.layout, counted);
    this.pages = arrangement.pages;
    const page = now.turn % arrangement.pages;
    this.#board.show(rows, arrangement, { page, counted, still });
    this.#pages.hidden = arrangement.pages < 2;
    const first = page * arrangement.perPage;
    setText(this.#pages, `${first + 1}–${Math.min(rows.length, first + arrangement.perPage)} ${this.#words.of} ${count(Math.max(rows.length, now.contestantCount))}`);
    this.#showColumn(now);
  }

  #showColumn(now) {
    const { view, time, total, still } = now;
    const words = this.#words;
    const open = view === "open";
    const outcome = view === "reveal" || view === "final";
    const won = view === "final" && Number(total) > 0;
    const result = !won ? words.result : now.final.winners.length > 1 ? words.winners : words.winner;
    const voting = { waiting: words.soon, open: words.open }[view] ?? words.closed;
    this.#column.state({ state: outcome ? result : voting, live: open });
    this.#column.time({ ...(open ? time : { seconds: null, share: null, next: null }), words: this.#timeWords(now), waits: view === "closed", still });
    this.#column.total({ count: total, word: open ? words.votesSoFar : words.votesReceived, still });
    this.#column.hero(this.#hero(now));
  }

  #timeWords({ view, reveal, voting, final, total }) {
    const words = this.#words;
    if (view === "final") return final && Number(total) > 0 ? final.winners.map((row) => row.name).join(" & ") : words.noVotes;
    if (view === "waiting") return "";
    if (view !== "reveal") return voting === "CLOSED" ? words.follows : words.counting;
    if (reveal?.holding) return words.winnerNext;
    if (reveal?.step?.kind === "rest") return `${reveal.step.rank}–${reveal.step.rank + reveal.step.places.length - 1}`;
    if (reveal?.step?.kind === "place") return `${words.place} ${reveal.step.rank}`;
    return words.counted;
  }

  /** The one act that the column is about. While nobody may be ahead of others, all take turns. */
  #hero({ view, act, rows, counted, reveal, final, turn, lineUp, total }) {
    const words = this.#words;
    if (view === "reveal") return this.#heroOfReveal(reveal);
    if (view === "final") return final ? { word: "", rows: final.winners, line: final.winners[0] ? percent(final.winners[0].share) : "" } : null;
    if (view !== "open" && view !== "waiting") return null;
    if (act) return { word: words.onStage, rows: [act.row], line: act.song };
    const ahead = counted && Number(total) > 0 ? rows.filter((row) => row.rank === 1) : [];
    if (ahead.length && ahead.length <= 4) {
      const word = ahead.length > 1 ? words.leaders : words.leader;
      return { word, rows: ahead, line: percent(ahead[0].share), faceless: rows.length <= 3 };
    }
    const next = lineUp.length ? lineUp[turn % lineUp.length] : null;
    return next ? { word: next.number, rows: [next], line: next.khmer } : null;
  }

  #heroOfReveal(reveal) {
    if (!reveal?.rows.length || reveal.holding || reveal.step?.kind !== "place") return null;
    const [row] = reveal.rows;
    return { word: "", rows: reveal.rows, line: `${percent(row.share)} · ${inRow(row.votes)} ${this.#words.votes}` };
  }
}
