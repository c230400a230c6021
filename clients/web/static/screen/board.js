/** The rows: one element for each, moved by transforms alone, each by one transition at a time. Nothing is measured. */
import { el, percent, setText } from "../page.js";
import { inRow, part } from "./figures.js";
import { fill } from "./portrait.js";

/** A climb is lit for a moment only where the eye can follow it. */
const LIT = new Set(["cards", "large", "rows", "columns", "slim"]);
const LIT_MS = 1600;
/** Portraits are for rows in which a face can be told from another. */
const FACES = new Set(["cards", "large", "rows", "tiles", "columns"]);

function makeRow() {
  const parts = {
    flash: el("i", { class: "flash" }),
    rank: el("span", { class: "rank tabular" }),
    face: el("span", { class: "face" }),
    number: el("span", { class: "number tabular" }),
    name: el("bdi", { class: "name" }),
    khmer: el("bdi", { class: "khmer", lang: "km" }),
    badge: el("span", { class: "badge" }),
    trend: el("i", { class: "trend" }),
    move: el("span", { class: "move tabular" }),
    bar: el("i"),
    votes: el("span", { class: "votes tabular" }),
    share: el("span", { class: "share tabular" }),
  };
  const item = el("li", { class: "row" },
    parts.flash, parts.rank, parts.face,
    el("span", { class: "lane" },
      el("span", { class: "names" }, parts.number, parts.name, parts.khmer, parts.badge, parts.trend),
      el("span", { class: "bar" }, parts.bar),
    ),
    parts.move, parts.votes, parts.share,
  );
  return { item, ...parts, place: -1, shown: null };
}

/** What says where a row is heading: hot, up, down, or nothing. */
function heading({ trend, rank }) {
  if (!rank) return "";
  return { rising_fast: "hot", rising: "up", falling: "down", falling_fast: "down" }[trend] ?? "";
}

/** Draws into `list`; its rows are at most those of the last `show`. */
export class Board {
  #list;
  #strip = el("ol", { class: "strip" });
  #words;
  #rows = new Map();
  #page = 0;
  #look = "";
  #counted = false;

  constructor(list, words) {
    this.#list = list;
    this.#words = words;
    list.append(this.#strip);
  }

  set words(words) {
    this.#words = words;
    for (const row of this.#rows.values()) row.shown = null;
  }

  /**
   * @param {(import("./standing.js").Row & {key?: string, told?: boolean})[]} rows in their order; one that is not `told` keeps its place
   *   and says nothing of who has it
   * @param {import("./layout.js").Arrangement} arrangement
   * @param {{counted: boolean, still: boolean}} how `counted`: figures are shown; `still`: nothing moves
   */
  show(rows, arrangement, { counted, still }) {
    this.#dress(arrangement, counted);
    const most = rows.reduce((found, row) => Math.max(found, Number(row.votes) || 0), 0);
    const kept = new Set(rows.map((row) => row.key ?? row.id));
    for (const [key, { item }] of this.#rows) {
      if (kept.has(key)) continue;
      item.remove();
      this.#rows.delete(key);
    }
    const lit = counted && this.#counted && !still && LIT.has(arrangement.kind);
    this.#counted = counted;
    rows.forEach((data, place) => this.#put(data, place, { arrangement, counted, most, lit }));
    this.turn(Math.min(this.#page, arrangement.pages - 1), arrangement);
  }

  /** Turns to a page; pages count from 0. */
  turn(page, arrangement) {
    this.#page = page;
    this.#strip.style.transform = `translateX(${-page * arrangement.stride}px)`;
  }

  get page() {
    return this.#page;
  }

  /** Sizes change with the number of rows and the layout, never with a board. */
  #dress({ kind, area, width, height }, counted) {
    const look = [kind, counted, area.x, area.y, width, height].join(" ");
    if (look === this.#look) return;
    this.#look = look;
    this.#list.dataset.kind = kind;
    this.#list.classList.toggle("uncounted", !counted);
    const { style } = this.#list;
    style.transform = `translate(${area.x}px, ${area.y}px)`;
    style.width = `${area.width}px`;
    style.height = `${area.height}px`;
    style.setProperty("--w", `${width}px`);
    style.setProperty("--h", `${height}px`);
  }

  #put(data, place, { arrangement, counted, most, lit }) {
    const key = data.key ?? data.id;
    const row = this.#rows.get(key) ?? makeRow();
    const { x, y } = arrangement.at(place);
    row.item.style.transform = `translate(${x}px, ${y}px)`;
    row.bar.style.transform = `scaleX(${counted ? part(data.votes, most).toFixed(4) : 0})`;
    this.#write(row, data, arrangement.kind, counted);
    if (place !== row.place) {
      const climbed = row.place >= 0 && place < row.place;
      row.item.style.zIndex = climbed ? "2" : "1"; // who climbs passes in front
      if (climbed && lit) row.flash.animate([{ opacity: 1 }, { opacity: 0 }], { duration: LIT_MS, easing: "ease-in" });
      row.place = place;
    }
    if (this.#rows.has(key)) return;
    this.#rows.set(key, row);
    this.#strip.append(row.item);
  }

  #write(row, data, kind, counted) {
    const told = data.told ?? true;
    const was = row.shown;
    row.shown = data;
    const { dataset } = row.item;
    dataset.testid = told ? `row-${data.id}` : "";
    dataset.rank = counted ? String(data.rank || "") : "";
    dataset.told = String(told);
    setText(row.rank, told && counted ? data.rank || "" : told ? data.number : data.rank);
    setText(row.votes, told && counted && data.rank ? inRow(data.votes) : "");
    setText(row.share, told && counted && data.rank ? percent(data.share) : "");
    setText(row.number, told && counted ? data.number : "");
    this.#badges(row, data, told && counted && !data.final);
    if (was && was.id === data.id && was.name === data.name && was.photo === data.photo && (was.told ?? true) === told && was.out === data.out) return;
    setText(row.name, told ? data.name : "");
    setText(row.khmer, told ? data.khmer : "");
    row.item.classList.toggle("out", told && data.out);
    fill(row.face, told && FACES.has(kind) ? [data] : []);
  }

  #badges(row, data, counted) {
    const toward = counted ? heading(data) : "";
    const moved = counted && data.rank ? data.change : 0;
    row.trend.dataset.heading = toward;
    setText(row.badge, data.out ? this.#words.out : toward === "hot" ? this.#words.hot : "");
    row.move.dataset.way = moved > 0 ? "up" : moved < 0 ? "down" : "";
    setText(row.move, moved ? Math.abs(moved) : "");
  }
}
