/** The viewer's votes as the ledger has them. Read only when it is looked at: a country that reads its history at once is a load of its own. */
import { el, setText } from "../page.js";

const PATH = "/api/v1/xfactor/voting/history?per_page=50";

export class History {
  /** @param {HTMLDetailsElement} place @param {{token: () => string | null, words: () => object, nameOf: (id: string) => string | null}} given */
  constructor(place, { token, words, nameOf }) {
    this._place = place;
    this._list = place.querySelector("ol");
    this._said = place.querySelector("p");
    this._again = place.querySelector("button");
    this._token = token;
    this._words = words;
    this._nameOf = nameOf;
    this._reading = 0;
    place.addEventListener("toggle", () => place.open && void this.read());
    this._again.addEventListener("click", () => void this.read());
  }

  /** A vote was answered: what is open is read anew, once the ledger has had the time to take it. */
  soon() {
    clearTimeout(this._soon);
    if (this._place.open) this._soon = setTimeout(() => void this.read(), 1_200);
  }

  async read() {
    const reading = ++this._reading;
    const token = this._token();
    const words = this._words();
    this._again.hidden = true;
    if (!token) return this._say(words.historyJoin, []);
    try {
      const answer = await fetch(PATH, { headers: { authorization: `Bearer ${token}` } });
      if (!answer.ok) throw new Error(String(answer.status));
      const { votes } = (await answer.json()).data;
      if (reading === this._reading) this._say(votes.length ? "" : words.historyEmpty, votes);
    } catch {
      // away or busy: what was shown stays, and says that it may be old
      if (reading !== this._reading) return;
      setText(this._said, words.historyFailed);
      this._again.hidden = false;
    }
  }

  _say(text, votes) {
    setText(this._said, text);
    const words = this._words();
    const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this._list.replaceChildren(...votes.map((vote) => el("li", { class: "past" },
      el("span", { class: "past-name" }, el("bdi", {}, this._nameOf(vote.contestant.id) ?? (vote.contestant.name || vote.contestant.id))),
      el("span", { class: "past-what" }, `${words.kind[vote.vote_type] ?? vote.vote_type} ×${vote.vote_count}`, vote.voided ? ` · ${words.void}` : ""),
      el("span", { class: "past-when tabular" }, time.format(new Date(vote.created_at))),
    )));
  }
}
