/** The pictures without a ranking: the show's title, the act on stage, the final result. */
import { el, percent, setText } from "../page.js";
import { fitted, inFull } from "./figures.js";
import { fill } from "./portrait.js";

/** So many faces stand on the title card in a row or two. */
const FACES = 24;
/** So many others stand below the winner. */
const OTHERS = 12;

/** Draws into `element`. */
export class TitleCard {
  #word = el("p", { class: "card-word" });
  #show = el("h1", { class: "card-title" });
  #subtitle = el("p", { class: "card-subtitle" });
  #faces = el("div", { class: "line-up" });

  constructor() {
    this.element = el("section", { class: "title-card" }, this.#word, this.#show, this.#subtitle, this.#faces);
  }

  show({ title, subtitle, word, rows }) {
    setText(this.#word, word);
    setText(this.#show, title);
    this.#show.style.fontSize = `${Math.max(72, fitted(title, 3000, 220, 0.42))}px`;
    setText(this.#subtitle, subtitle);
    const shown = rows.slice(0, FACES);
    this.#faces.style.setProperty("--faces", String(shown.length > 6 ? Math.ceil(shown.length / 2) : Math.max(4, shown.length)));
    this.#faces.hidden = !shown.length;
    fill(this.#faces, shown);
  }
}

/** What show this is, small, where a picture is about somebody. */
class CardHeading {
  #title = el("b");
  #subtitle = el("span");
  element = el("p", { class: "card-heading" }, this.#title, this.#subtitle);

  show({ title, subtitle }) {
    setText(this.#title, title);
    setText(this.#subtitle, subtitle);
  }
}

/** Draws into `element`. */
export class ActCard {
  #heading = new CardHeading();
  #face = el("div", { class: "act-face" });
  #number = el("p", { class: "act-number tabular" });
  #name = el("bdi", { class: "act-name" });
  #khmer = el("bdi", { class: "act-khmer khmer", lang: "km" });
  #song = el("p", { class: "act-song" });

  constructor() {
    this.element = el("section", { class: "act-card" }, this.#heading.element, this.#face,
      el("div", { class: "act-words" }, this.#number, this.#name, this.#khmer, this.#song));
  }

  show({ row, song, narrow, look }) {
    this.#heading.show(look);
    fill(this.#face, [row]);
    setText(this.#number, row.number);
    setText(this.#name, row.name);
    this.#name.style.fontSize = `${Math.max(56, fitted(row.name, narrow ? 1300 : 2000, narrow ? 92 : 168, 0.46))}px`;
    setText(this.#khmer, row.khmer);
    setText(this.#song, song);
  }
}

/** One line as large as it may be, else two, else four that are cut. */
const sizeOf = (name) => Math.max(60, fitted(name, 1010, 172, 0.46), fitted(name, 1800, 128, 0.46));

/** Draws into `element`. */
export class FinalCard {
  #heading = new CardHeading();
  #face = el("div", { class: "final-face" });
  #word = el("p", { class: "final-word" });
  #name = el("bdi", { class: "final-name", "data-testid": "winner" });
  #khmer = el("bdi", { class: "final-khmer khmer", lang: "km" });
  #share = el("b", { class: "tabular" });
  #of = el("span", { class: "tabular" });
  #seal = el("p", { class: "seal", "data-testid": "seal" });
  #others = el("ol", { class: "others" });
  #shown = "";

  constructor() {
    this.element = el("section", { class: "final-card" }, this.#heading.element, this.#face,
      el("div", { class: "final-words" },
        this.#word, this.#name, this.#khmer, el("p", { class: "final-share" }, this.#share, this.#of), this.#seal),
      this.#others);
  }

  /**
   * @param {{winners: import("./standing.js").Row[], others: import("./standing.js").Row[], total: number | string, certified: boolean,
   *   words: Record<string, string>, look: {title: string, subtitle: string}}} result
   */
  show({ winners, others, total, certified, words, look }) {
    this.#heading.show(look);
    setText(this.#seal, certified ? words.certifiedLong : words.provisional);
    this.#seal.classList.toggle("open", !certified);
    const key = JSON.stringify([winners, others, total, words.winner]);
    if (key === this.#shown) return;
    this.#shown = key;
    const cast = winners.length > 0 && Number(total) > 0;
    const name = winners.map((row) => row.name).join(" & ");
    this.element.classList.toggle("nobody", !cast);
    this.#face.dataset.acts = String(Math.min(4, winners.length));
    fill(this.#face, cast ? winners.slice(0, 4) : []);
    setText(this.#word, cast ? (winners.length > 1 ? words.winners : words.winner) : words.result);
    setText(this.#name, cast ? name : words.noVotes);
    this.#name.style.fontSize = `${sizeOf(cast ? name : words.noVotes)}px`;
    setText(this.#khmer, winners.length === 1 && cast ? winners[0].khmer : "");
    setText(this.#share, cast ? percent(winners[0].share) : "");
    setText(this.#of, cast ? `${winners.length > 1 ? `${words.each} ` : ""}${words.of} ${inFull(total)} ${words.votes}` : "");
    this.#others.replaceChildren(...(cast ? others.slice(0, OTHERS).map(this.#other) : []));
    this.#others.dataset.few = String(others.length <= 6);
  }

  #other(row, place) {
    const item = el("li", {},
      el("span", { class: "place tabular" }, String(row.rank)),
      el("bdi", { class: "who" }, row.name),
      el("span", { class: "share tabular" }, percent(row.share)),
    );
    item.style.setProperty("--i", String(place));
    return item;
  }
}
