/**
 * The stage: title card, act on stage, the ranking as it moves, the reveal. It draws inside one element or shadow root
 * and nowhere else, asks nobody for anything, and fetches nothing when it is imported. The studio screen and the
 * adapters for graphics hosts all draw with it.
 */
import { EMPTY } from "../sdk/show.js";
import { clockText, count, el, firsts, namesTogether, percent, portrait, setText, titles } from "../page.js";

const LAST_SECONDS = 10;
const MOVE_MS = 900;
/** Up to this many rows are drawn large. */
const FEW = 7;
/** More acts than this do not fit a screen that people read from a sofa; the rest is below the line. */
const MOST = 12;
/** The picture is drawn at this size and scaled as one. */
const WIDTH = 1920;
const HEIGHT = 1080;

const STYLES = new URL("./stage.css", import.meta.url).href;

/** The parts; no text of the show is ever parsed as HTML. */
const MARKUP = `
<div class="light" aria-hidden="true"></div>

  <section class="title-card" data-part="title-card">
    <p class="title-episode" data-part="title-episode"></p>
    <h1 class="title-show" data-part="title-show"></h1>
    <div class="line-up" data-part="line-up"></div>
  </section>

  <section class="performer" data-part="performer" hidden>
    <div class="performer-photo" data-part="performer-photo"></div>
    <div class="performer-words">
      <p class="performer-number tabular" data-part="performer-number"></p>
      <p class="performer-name" data-part="performer-name"></p>
      <p class="performer-khmer khmer" data-part="performer-khmer" lang="km"></p>
      <p class="performer-song" data-part="performer-song"></p>
    </div>
  </section>

  <section class="board" data-part="board">
    <div class="side">
      <div class="side-title">
        <p class="side-show" data-part="side-show"></p>
        <p class="side-episode" data-part="side-episode"></p>
      </div>
      <div class="clock">
        <p class="lines" data-part="state" data-testid="state">Lines open</p>
        <p class="digits tabular" data-part="countdown" data-testid="countdown">0:00</p>
        <div class="drain"><i data-part="drain"></i></div>
      </div>
      <div class="total" data-part="votes-so-far">
        <p class="total-number tabular" data-part="total" data-testid="total">0</p>
        <p class="total-word" data-part="total-word">votes so far</p>
      </div>
      <div class="on-stage" data-part="on-stage" hidden>
        <div data-part="on-stage-photo"></div>
        <div>
          <p class="on-stage-word">On stage</p>
          <p class="on-stage-name" data-part="on-stage-name"></p>
          <p class="on-stage-song" data-part="on-stage-song"></p>
        </div>
      </div>
    </div>
    <ol class="rows" data-part="rows"></ol>
  </section>

  <section class="reveal" data-part="reveal" hidden>
    <div class="reveal-photo" data-part="reveal-photo"></div>
    <div class="reveal-words">
      <p class="reveal-word" data-part="reveal-word">Winner</p>
      <p class="reveal-name" data-part="winner" data-testid="winner"></p>
      <p class="reveal-khmer khmer" data-part="winner-khmer" lang="km"></p>
      <p class="reveal-share tabular"><b data-part="winner-share"></b> <span data-part="winner-of"></span></p>
      <p class="seal" data-part="seal"></p>
    </div>
    <ol class="podium" data-part="podium"></ol>
  </section>
`;

/** Nothing is painted before `play()`. The client stays the caller's: it connects and closes it. */
export class Stage {
  #root;
  #client;
  #stage;
  #off = [];
  #data = {};
  #playing = false;
  #frame = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  /** contestant id -> its row's parts */
  #rows = new Map();
  #totalShown = 0;
  #totalAim = 0;
  #revealed = null;
  #lineUp = "";
  #size;

  /**
   * @param {Element | ShadowRoot} root its host, or it, has a size; the picture is fitted into it
   * @param {object} [options]
   * @param {import("../sdk/index.js").BroadcastSync | null} [options.client] null: only what `update` says is shown
   * @param {string} [options.theme]
   * @param {boolean} [options.transparent] nothing behind the graphics, for keying
   * @param {boolean} [options.director] a reveal goes on only by `next()`
   */
  constructor(root, { client = null, theme = "night", transparent = false, director = false } = {}) {
    this.#root = root;
    this.#client = client;
    this.#data = { theme, director };
    this.#stage = el("div", { class: "stage", "data-theme": theme, hidden: true });
    this.#stage.classList.toggle("keyed", transparent);
    this.#stage.innerHTML = MARKUP;
    const styles = el("link", { rel: "stylesheet", href: STYLES });
    /** Resolves when the styles are there. */
    this.ready = new Promise((resolve) => {
      styles.addEventListener("load", resolve, { once: true });
      styles.addEventListener("error", resolve, { once: true });
    });
    root.append(styles, this.#stage);
    const box = root instanceof ShadowRoot ? root.host : root;
    this.#size = new ResizeObserver(([{ contentRect: { width, height } }]) => this.#fit(width, height));
    this.#size.observe(box);
    if (client) this.#off = [client.on("change", () => this.#changed()), client.on("second", () => this.#changed())];
  }

  /** Comes on. Resolves when it is painted. */
  async play() {
    await this.ready;
    this.#playing = true;
    this.#stage.hidden = false;
    this.#render();
    this.#tick();
  }

  /** Goes off: nothing is painted any more. */
  async stop() {
    this.#playing = false;
    cancelAnimationFrame(this.#frame);
    this.#stage.hidden = true;
  }

  /** One step on: the next place of a reveal. @returns {boolean} whether there was one */
  next() {
    return false;
  }

  /**
   * @param {{title?: string, subtitle?: string, token?: string, theme?: string}} data what is given replaces what was;
   *   keys that the stage does not know are ignored
   */
  update(data) {
    if (data.token && data.token !== this.#data.token) this.#client?.setToken(data.token);
    this.#data = { ...this.#data, ...data };
    this.#stage.dataset.theme = this.#data.theme;
    this.#changed();
  }

  /** Takes everything out of the root again, and lets go of the client. */
  dispose() {
    void this.stop();
    this.#off.forEach((off) => off());
    this.#size.disconnect();
    this.#root.replaceChildren();
  }

  #part(name) {
    return this.#stage.querySelector(`[data-part="${name}"]`);
  }

  #fit(width, height) {
    const scale = Math.min(width / WIDTH, height / HEIGHT);
    this.#stage.style.transform =
      `translate(${(width - WIDTH * scale) / 2}px, ${(height - HEIGHT * scale) / 2}px) scale(${scale})`;
  }

  #changed() {
    if (this.#playing) this.#render();
  }

  #tick() {
    if (this.#state.voting === "OPEN") this.#renderTime();
    this.#renderTotal();
    this.#frame = requestAnimationFrame(() => this.#tick());
  }

  get #state() {
    return this.#client?.state ?? EMPTY;
  }

  get #contestants() {
    const { window, contestants } = this.#state;
    return window?.contestants?.length ? window.contestants : contestants;
  }

  #byContestant(id) {
    return this.#contestants.find((c) => c.id === id);
  }

  /** idle, stage, open, closed, reveal */
  #view() {
    const { voting, result, performance, window } = this.#state;
    if (voting === "OPEN") return this.#client?.remainingMs === 0 ? "closed" : "open";
    if (performance && this.#byContestant(performance.contestantId)) return "stage";
    if (result) return "reveal";
    return window && voting !== "IDLE" ? "closed" : "idle";
  }

  // --- the board --------------------------------------------------------------------------------------------------

  #makeRow(contestant) {
    const parts = {
      rank: el("span", { class: "rank tabular" }),
      bar: el("i"),
      votes: el("span", { class: "votes tabular" }),
      share: el("span", { class: "share tabular" }),
    };
    const item = el("li", { class: "row", "data-testid": `row-${contestant.id}` },
      parts.rank,
      portrait(contestant),
      el("div", { class: "lane" },
        el("p", { class: "name" }, contestant.name, contestant.khmerName ? el("span", { class: "khmer", lang: "km" }, contestant.khmerName) : null),
        el("div", { class: "bar" }, parts.bar),
      ),
      parts.votes,
      parts.share,
    );
    item.classList.toggle("out", contestant.status !== "active");
    return { item, ...parts, place: 0 };
  }

  /** The board, or the line-up without votes while there is none. */
  #standing() {
    const { board } = this.#state;
    const known = this.#contestants;
    if (board?.results.length) return board.results.slice(0, MOST);
    return known.slice(0, MOST).map((c) => ({ contestantId: c.id, contestantName: c.name, contestantPhoto: c.photoUrl, voteCount: 0, percentage: 0, rank: 0 }));
  }

  /** FLIP: note where the rows are, reorder them, and let each run from its old place to its new one. */
  #renderRows() {
    const list = this.#part("rows");
    const now = this.#standing();
    const before = new Map([...this.#rows].map(([id, row]) => [id, row.item.isConnected ? row.item.getBoundingClientRect().top : null]));
    for (const id of [...this.#rows.keys()]) {
      if (!now.some((row) => row.contestantId === id)) {
        this.#rows.get(id).item.remove();
        this.#rows.delete(id);
      }
    }
    const most = Math.max(1, ...now.map((row) => row.voteCount));
    now.forEach((data, place) => {
      const id = data.contestantId;
      if (!this.#rows.has(id)) {
        this.#rows.set(id, this.#makeRow(this.#byContestant(id) ?? { id, number: "", name: data.contestantName, photoUrl: data.contestantPhoto, status: "active" }));
      }
      const row = this.#rows.get(id);
      const climbed = row.item.isConnected && place < row.place && data.rank > 0;
      row.item.dataset.rank = data.rank || "";
      setText(row.rank, data.rank || "");
      setText(row.votes, data.rank ? count(data.voteCount) : "");
      setText(row.share, data.rank ? percent(data.percentage) : "");
      row.bar.style.transform = `scaleX(${data.voteCount / most})`;
      if (list.children[place] !== row.item) list.insertBefore(row.item, list.children[place] ?? null);
      if (climbed) {
        row.item.classList.remove("up");
        requestAnimationFrame(() => row.item.classList.add("up"));
        row.item.addEventListener("animationend", () => row.item.classList.remove("up"), { once: true });
      }
      row.place = place;
    });
    list.classList.toggle("few", now.length <= FEW);
    if (this.#still.matches) return;
    for (const [id, row] of this.#rows) {
      const old = before.get(id);
      const delta = old === null || old === undefined ? 0 : old - row.item.getBoundingClientRect().top;
      if (!delta) continue;
      row.item.style.zIndex = delta > 0 ? "2" : "1"; // who climbs passes in front
      row.item.animate(
        [{ transform: `translateY(${delta}px)` }, { transform: "none" }],
        { duration: MOVE_MS, easing: "cubic-bezier(0.45, 0, 0.1, 1)" },
      );
    }
  }

  // --- the rest ----------------------------------------------------------------------------------------------------

  #fill(box, contestant) {
    const wanted = contestant ? `${contestant.id} ${contestant.photoUrl}` : "";
    if (box.dataset.of === wanted) return;
    box.dataset.of = wanted;
    box.replaceChildren(...(contestant ? [portrait(contestant)] : []));
  }

  #renderTitle() {
    const known = titles(this.#state.show);
    const title = { show: this.#data.title ?? known.show, episode: this.#data.subtitle ?? known.episode };
    setText(this.#part("title-show"), title.show || "Stand by");
    setText(this.#part("title-episode"), title.episode);
    setText(this.#part("side-show"), title.show);
    setText(this.#part("side-episode"), title.episode);
    const key = JSON.stringify(this.#contestants);
    if (key === this.#lineUp) return;
    this.#lineUp = key;
    this.#rows.clear();
    this.#part("rows").replaceChildren();
    this.#part("line-up").replaceChildren(...this.#contestants.slice(0, MOST).map((c) => portrait(c)));
  }

  #renderStage() {
    const { performance } = this.#state;
    const act = performance && this.#byContestant(performance.contestantId);
    this.#part("on-stage").hidden = !act;
    if (!act) return;
    this.#fill(this.#part("performer-photo"), act);
    setText(this.#part("performer-number"), act.number);
    setText(this.#part("performer-name"), act.name);
    setText(this.#part("performer-khmer"), act.khmerName ?? "");
    setText(this.#part("performer-song"), performance.songName ? `“${performance.songName}”` : act.hometown ?? "");
    this.#fill(this.#part("on-stage-photo"), act);
    setText(this.#part("on-stage-name"), act.name);
    setText(this.#part("on-stage-song"), performance.songName ? `“${performance.songName}”` : "");
  }

  #renderReveal() {
    const { result } = this.#state;
    if (!result || this.#revealed === result.windowId + result.certified) return;
    this.#revealed = result.windowId + result.certified;
    const first = result.results[0];
    if (!first) return;
    const winners = firsts(result.results, (id) => this.#byContestant(id));
    const names = namesTogether(winners.map((act) => act.name));
    this.#part("reveal-photo").dataset.acts = String(Math.min(4, winners.length));
    this.#part("reveal-photo").replaceChildren(...winners.slice(0, 4).map((act) => portrait(act)));
    setText(this.#part("reveal-word"), winners.length > 1 ? "Equal first" : "Winner of the vote");
    setText(this.#part("winner"), names);
    this.#part("winner").classList.toggle("long", names.length > 22);
    this.#part("winner").classList.toggle("many", winners.length > 2);
    setText(this.#part("winner-khmer"), winners.length === 1 ? winners[0].khmerName ?? "" : "");
    setText(this.#part("winner-share"), percent(first.percentage));
    setText(this.#part("winner-of"), `${winners.length > 1 ? "each " : ""}of ${count(result.totalVotes)} votes`);
    this.#part("seal").classList.toggle("open", !result.certified);
    setText(this.#part("seal"), result.certified
      ? "Certified: the ledger, recounted, agrees with the tally"
      : "Provisional: the count is being checked");
    const others = result.results.filter((row) => row.rank > 1).slice(0, MOST - winners.length);
    this.#part("podium").replaceChildren(...others.map((row, i) => {
      const item = el("li", {},
        el("span", { class: "place tabular" }, String(row.rank)),
        el("span", { class: "who" }, row.contestantName),
        el("span", { class: "tabular" }, percent(row.percentage)),
      );
      item.style.setProperty("--i", String(others.length - 1 - i));
      return item;
    }));
  }

  #renderTime() {
    const seconds = this.#client?.seconds ?? null;
    const open = seconds !== null && seconds > 0;
    const last = open && seconds <= LAST_SECONDS;
    this.#stage.classList.toggle("last", last);
    const text = !open ? "Counting" : last ? String(seconds) : clockText(seconds);
    setText(this.#part("countdown"), text);
    this.#part("countdown").classList.toggle("long", text.length > 5 && open);
    setText(this.#part("state"), open ? "Lines open" : "Lines closed");
    setText(this.#part("total-word"), open ? "votes so far" : "votes received");
    this.#part("drain").style.transform = open ? `scaleX(${this.#client?.share})` : "";
  }

  /** The total runs towards its newest value instead of jumping. */
  #renderTotal() {
    const step = (this.#totalAim - this.#totalShown) * 0.12;
    this.#totalShown = this.#still.matches || Math.abs(step) < 0.5 || this.#totalAim < this.#totalShown ? this.#totalAim : this.#totalShown + step;
    setText(this.#part("total"), count(Math.round(this.#totalShown)));
  }

  #render() {
    const now = this.#view();
    this.#stage.dataset.view = now;
    this.#part("title-card").hidden = now !== "idle";
    this.#part("performer").hidden = now !== "stage";
    this.#part("board").hidden = now !== "open" && now !== "closed";
    this.#part("reveal").hidden = now !== "reveal";
    this.#totalAim = this.#state.board?.totalVotes ?? 0;
    // nothing is said of counts that are not told: 0 would be wrong
    this.#part("votes-so-far").hidden = !this.#state.board && (this.#state.window?.visibility ?? "public") !== "public";
    this.#renderTitle();
    this.#renderStage();
    this.#renderRows();
    if (now === "reveal") this.#renderReveal();
    else this.#revealed = null;
    this.#renderTime();
  }
}
