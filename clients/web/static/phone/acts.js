/** The acts as a list to vote from: one row each, the same row for the act on stage. */
import { el, percent, photoAddress, setText } from "../page.js";
import { categories, matches, monogram } from "./search.js";
import { languageOf, namesOf } from "./words.js";

/** Fewer are seen at a glance; more are searched. */
const SEARCH_FROM = 16;
/** A long line-up is not sent whole; the rest is asked for once the finger rests. */
const LOOK_AFTER_MS = 350;
const HUES = 6;

/** The photo, its place kept while it loads; a letter where there is none. Decorative: the name stands beside it. */
export function face(act, name, { lazy = true, size = 64 } = {}) {
  const frame = el("span", { class: "face", "aria-hidden": "true", "data-hue": String(hueOf(act.id ?? "")), "data-letter": monogram(name) });
  const src = act.photoUrl ? photoAddress(act.photoUrl) : "";
  if (!src) return frame;
  const image = el("img", { alt: "", decoding: "async", draggable: false, width: size, height: size, loading: lazy ? "lazy" : "eager" });
  frame.classList.add("pictured");
  image.addEventListener("error", () => {
    image.remove();
    frame.classList.remove("pictured");
  });
  image.src = src;
  frame.append(image);
  return frame;
}

const hueOf = (id) => [...id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 997, 7) % HUES;

/** A name that may be in any script and direction, by itself. */
const nameIn = (tag, className, name) => el(tag, { class: className, lang: languageOf(name) }, el("bdi", {}, name));

/** One act's row. `press(act)` votes, `more(act)` asks for the other ways. */
class Row {
  constructor(act, { language, words, press, more, testid, lazy }) {
    this.act = act;
    this._words = words;
    const [name, other] = namesOf(act, language);
    this.name = name;
    this.button = el("button", { class: "vote", type: "button", "data-testid": testid, onclick: () => press(act) });
    this.more = el("button", {
      class: "more", type: "button", hidden: true, "aria-label": words.number(words.more, act.number, name), onclick: () => more(act),
    });
    this.share = el("span", { class: "share tabular" });
    this.mine = el("span", { class: "mine-here" });
    this.note = el("p", { class: "note", hidden: true });
    this.item = el("li", { class: "act" },
      el("div", { class: "picture", "aria-hidden": "true" }, face(act, name, { lazy }), el("span", { class: "number tabular" }, String(act.number))),
      el("div", { class: "who" },
        nameIn("p", "act-name", name),
        other ? nameIn("p", "act-other", other) : null,
        el("p", { class: "act-line" }, this.share, this.mine),
      ),
      el("div", { class: "ways" }, this.button, this.more), this.note,
    );
    this._drawn = "";
  }

  /** @param {{label: string, phase: string, off: boolean, more: boolean, note: string, share: string, mine: number}} now */
  draw(now) {
    const key = JSON.stringify(now);
    if (key === this._drawn) return;
    this._drawn = key;
    const { button } = this;
    button.dataset.phase = now.phase;
    this.item.dataset.phase = now.phase;
    // not `disabled`: a button that is spent keeps the focus and, when pressed, says why
    button.setAttribute("aria-disabled", String(now.off));
    button.setAttribute("aria-label", this._words.number(now.label, this.act.number, this.name));
    setText(button, now.label);
    this.more.hidden = !now.more;
    setText(this.share, now.share);
    setText(this.mine, now.mine ? this._words.you(now.mine) : "");
    this.note.hidden = !now.note;
    setText(this.note, now.note);
  }
}

/** The list, the act on stage, the search. Rows are built anew only when the line-up or the language changes. */
export class Acts {
  /**
   * @param {object} places the elements: `list`, `stage` (another list), `finder`, `field`, `chips`, `found`
   * @param {{press: (act: object) => void, more: (act: object) => void}} ways
   * @param {(query: {search?: string, category?: string}) => Promise<object[]>} look finds acts beyond the list
   */
  constructor(places, ways, look) {
    this._at = places;
    this._ways = ways;
    this._look = look;
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    this._stage = null;
    this._further = [];
    this._total = 0;
    this._key = "";
    this._category = "";
    places.field.addEventListener("input", () => this._filter());
  }

  /**
   * Takes a line-up over.
   * @param {object[]} acts @param {number} total how many there are in all
   * @param {string | null} onStage the id of the act that is on stage
   */
  show(acts, total, onStage, language, words) {
    this._total = total;
    if (acts !== this._acts || language !== this._language) {
      this._acts = acts;
      const key = language + JSON.stringify(acts);
      if (key !== this._key) this._build(acts, language, words);
      this._key = key;
    }
    if (this._onStage !== onStage) this._putOnStage(onStage);
  }

  /** @param {(act: object) => object} standing what `Row.draw` takes */
  draw(standing) {
    this._standing = standing;
    for (const row of this.rows.values()) row.draw(standing(row.act));
    this._stage?.draw(standing(this._stage.act));
  }

  nameOf(id) {
    return this.rows.get(id)?.name ?? id;
  }

  _row(act, testid, lazy) {
    return new Row(act, { language: this._language, words: this._words, testid, lazy, ...this._ways });
  }

  _build(acts, language, words) {
    this._language = language;
    this._words = words;
    this._onStage = undefined;
    this._further = [];
    this.rows = new Map(acts.map((act, place) => [act.id, this._row(act, `vote-${act.id}`, place > 5)]));
    this._at.list.replaceChildren(...[...this.rows.values()].map((row) => row.item));
    this._at.finder.hidden = acts.length < SEARCH_FROM;
    this._at.field.placeholder = words.search;
    const kinds = this._at.finder.hidden ? [] : categories(acts);
    if (!kinds.includes(this._category)) this._category = "";
    this._at.chips.replaceChildren(...(kinds.length > 1 ? ["", ...kinds] : []).map((kind) => el("button", {
      class: "kind", type: "button", "aria-pressed": String(kind === this._category), onclick: (event) => this._choose(kind, event.currentTarget),
    }, kind || words.all)));
    this._filter();
  }

  _choose(kind, chip) {
    this._category = kind;
    for (const each of this._at.chips.children) each.setAttribute("aria-pressed", String(each === chip));
    this._filter();
  }

  _filter() {
    clearTimeout(this._looking);
    this._looking = 0;
    const query = this._at.finder.hidden ? "" : this._at.field.value;
    const missing = this._total - this._acts.length;
    const asked = query.trim() || this._category;
    if (!asked) this._putFurther([]);
    const found = this._sift(query);
    setText(this._at.found, asked ? this._words.found(found) : missing > 0 ? this._words.further(missing) : "");
    if (missing > 0 && asked) this._looking = setTimeout(() => void this._lookFurther(query), LOOK_AFTER_MS);
  }

  /** @returns {number} how many rows are shown */
  _sift(query) {
    let found = 0;
    for (const row of this.rows.values()) {
      row.item.hidden = !matches(row.act, query, this._category);
      if (!row.item.hidden) found += 1;
    }
    return found;
  }

  /** Adds the rows of acts that are not in the list, in the place of those of the search before. */
  async _lookFurther(query) {
    const search = query.trim();
    const wanted = { ...(search.length > 1 && { search }), ...(this._category && { category: this._category }) };
    if (!Object.keys(wanted).length) return;
    const looking = this._looking;
    let acts;
    try {
      acts = await this._look(wanted);
    } catch {
      return; // away or busy: what is in the list was searched
    }
    if (looking !== this._looking) return; // another search has begun
    this._putFurther(acts);
    setText(this._at.found, this._words.found(this._sift(query)));
  }

  _putFurther(acts) {
    for (const row of this._further) {
      this.rows.delete(row.act.id);
      row.item.remove();
    }
    this._further = acts.filter((act) => !this.rows.has(act.id)).map((act) => this._row(act, `vote-${act.id}`, true));
    for (const row of this._further) this.rows.set(row.act.id, row);
    this._at.list.append(...this._further.map((row) => row.item));
    if (this._standing) this.draw(this._standing);
  }

  _putOnStage(id) {
    this._onStage = id;
    const act = this.rows.get(id)?.act;
    this._stage = act ? this._row(act, "vote-on-stage", false) : null;
    this._at.stage.replaceChildren(...(this._stage ? [this._stage.item] : []));
  }
}

/** "12.4%" of an act on a board; empty where there is none. */
export const shareOf = (row) => (row ? percent(row.percentage) : "");
