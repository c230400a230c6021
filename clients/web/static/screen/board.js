/**
 * The rows: one element for each on the page that is shown, moved by one transition of its transform; its bar is another.
 * Nothing is measured. The bar and the light over a row come last in it: what is drawn above something that moves by itself
 * would need a layer of its own, and three layers a row are three times the work.
 */
import { el, percent, setText } from "../page.js";
import { inRow, part } from "./figures.js";
import { fill } from "./portrait.js";

/** A climb is lit for a moment where the eye can follow it. */
const LIT = new Set(["cards", "large", "rows", "columns", "slim"]);
const LIT_MS = 1600;
/** Portraits are for rows in which a face can be told from another. */
const FACES = new Set(["cards", "large", "rows", "tiles", "columns"]);
/** Rows come in one after the other. */
const STAGGER_MS = 22;

function makeRow() {
  const parts = {
    rank: el("span", { class: "rank tabular" }),
    face: el("span", { class: "face" }),
    number: el("span", { class: "number tabular" }),
    name: el("bdi", { class: "name" }),
    khmer: el("bdi", { class: "khmer", lang: "km" }),
    badge: el("span", { class: "badge" }),
    trend: el("i", { class: "trend" }),
    move: el("span", { class: "move tabular" }),
    votes: el("span", { class: "votes tabular" }),
    share: el("span", { class: "share tabular" }),
    bar: el("i"),
    flash: el("i", { class: "flash" }),
  };
  const item = el("li", { class: "row" },
    parts.rank, parts.face,
    el("span", { class: "names" }, parts.number, parts.name, parts.khmer, parts.badge, parts.trend),
    parts.move, parts.votes, parts.share,
    el("span", { class: "bar" }, parts.bar), parts.flash,
  );
  return { item, ...parts, place: -1, person: "" };
}

/** What says where a row is heading: hot, up, down, or nothing. */
function heading({ trend, rank }) {
  if (!rank) return "";
  return { rising_fast: "hot", rising: "up", falling: "down", falling_fast: "down" }[trend] ?? "";
}

/** Draws into `list`. It has as many rows as a page, whoever was on earlier ones. */
export class Board {
  #list;
  #words;
  #rows = new Map();
  #look = "";
  #counted = false;

  constructor(list, words) {
    this.#list = list;
    this.#words = words;
  }

  set words(words) {
    this.#words = words;
  }

  /**
   * @param {(import("./standing.js").Row & {key?: string, told?: boolean})[]} rows all of them, in their order; one that is not `told`
   *   keeps its place and says nothing of who has it
   * @param {import("./layout.js").Arrangement} arrangement
   * @param {{page: number, counted: boolean, still: boolean}} how `page` counts from 0; `counted`: figures are shown; `still`: nothing
   *   moves
   */
  show(rows, arrangement, { page, counted, still }) {
    this.#dress(arrangement, counted);
    const most = rows.reduce((found, row) => Math.max(found, Number(row.votes) || 0), 0);
    const shown = rows.slice(page * arrangement.perPage, (page + 1) * arrangement.perPage);
    const kept = new Set(shown.map((row) => row.key ?? row.id));
    for (const [key, { item }] of this.#rows) {
      if (kept.has(key)) continue;
      item.remove();
      this.#rows.delete(key);
    }
    const lit = counted && this.#counted && !still && LIT.has(arrangement.kind);
    this.#counted = counted;
    shown.forEach((data, place) => this.#put(data, place, { arrangement, counted, most, lit }));
  }

  /** Sizes change with the number of rows and the layout, never with a board. */
  #dress({ kind, area, width, height }, counted) {
    const look = [kind, counted, area.x, area.y, width, height].join(" ");
    if (look === this.#look) return;
    this.#look = look;
    // rows of another size do not fly from where they stood: they come in anew
    for (const { item } of this.#rows.values()) item.remove();
    this.#rows.clear();
    this.#list.dataset.kind = kind;
    this.#list.classList.toggle("uncounted", !counted);
    const { style } = this.#list;
    style.transform = `translate(${area.x}px, ${area.y}px)`;
    style.setProperty("--w", `${width}px`);
    style.setProperty("--h", `${height}px`);
  }

  #put(data, place, { arrangement, counted, most, lit }) {
    const key = data.key ?? data.id;
    const known = this.#rows.get(key);
    const row = known ?? makeRow();
    const { x, y } = arrangement.at(place);
    row.item.style.transform = `translate(${x}px, ${y}px)`;
    row.bar.style.transform = `scaleX(${counted ? part(data.votes, most).toFixed(4) : 0})`;
    this.#write(row, data, arrangement.kind, counted);
    if (known && place !== row.place) {
      const climbed = place < row.place;
      row.item.style.zIndex = climbed ? "2" : "1"; // who climbs passes in front
      if (climbed && lit) row.flash.animate([{ opacity: 1 }, { opacity: 0 }], { duration: LIT_MS, easing: "ease-in" });
    }
    row.place = place;
    if (known) return;
    row.item.style.animationDelay = `${place * STAGGER_MS}ms`;
    this.#rows.set(key, row);
    this.#list.append(row.item);
  }

  #write(row, data, kind, counted) {
    const told = data.told ?? true;
    const figures = told && counted && data.rank > 0;
    const { dataset } = row.item;
    dataset.testid = told ? `row-${data.id}` : "";
    dataset.rank = counted ? String(data.rank || "") : "";
    dataset.told = String(told);
    setText(row.rank, counted || !told ? data.rank || "" : data.number);
    setText(row.number, told && counted ? data.number : "");
    setText(row.votes, figures ? inRow(data.votes) : "");
    setText(row.share, figures ? percent(data.share) : "");
    setText(row.name, told ? data.name : "");
    setText(row.khmer, told ? data.khmer : "");
    row.item.classList.toggle("out", told && data.out);
    this.#badges(row, data, figures && !data.final);
    const person = told && FACES.has(kind) ? `${data.id} ${data.photo} ${data.name}` : "";
    if (person === row.person) return;
    row.person = person;
    fill(row.face, person ? [data] : []);
  }

  #badges(row, data, figures) {
    const toward = figures ? heading(data) : "";
    const moved = figures ? data.change : 0;
    row.trend.dataset.heading = toward;
    setText(row.badge, data.out ? this.#words.out : toward === "hot" ? this.#words.hot : "");
    row.move.dataset.way = moved > 0 ? "up" : moved < 0 ? "down" : "";
    setText(row.move, moved ? Math.abs(moved) : "");
  }
}
