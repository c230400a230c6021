/** The clock that the viewer votes by, the votes that are left, and what is said of the stream's delay. */
import { byId, clockText, el, setText } from "../page.js";
import { shownClose } from "./delay.js";
import { bought, leftOf, plainType } from "./kinds.js";

export const LAST_SECONDS = 10;
const MOST_PIPS = 10;
/** A picture that is hardly behind is not spoken of. */
const BEHIND_MS = 2_000;

export class Timer {
  /** @param {{show: object, delay: import("./delay.js").StreamDelay, second: (seconds: number) => void}} given */
  constructor({ show, delay, second }) {
    this._show = show;
    this._delay = delay;
    this._second = second;
    this._last = null;
    this._wake = 0;
  }

  /** When the lines close for this viewer, and how much earlier that is than the picture shows it; null without a window. */
  get close() {
    return shownClose(this._show.state.window, this._delay.ms);
  }

  /** Milliseconds left to vote; null when no window is open. Never negative. */
  get leftMs() {
    const { voting } = this._show.state;
    const { close } = this;
    // VOTING_CLOSED comes at the announced close; the server goes on to take votes for its grace
    if (!close || (voting !== "OPEN" && voting !== "CLOSING")) return null;
    return Math.max(0, close.atMs - this._show.clock.now());
  }

  /** Draws, tells each whole second once, and wakes up at the next. */
  run(words) {
    clearTimeout(this._wake);
    const ms = this.leftMs;
    const seconds = ms === null ? null : Math.ceil(ms / 1000);
    if (seconds !== this._last) {
      this._last = seconds;
      if (seconds !== null) this._second(seconds);
    }
    if (ms) this._wake = setTimeout(() => this.run(words), ms - (seconds - 1) * 1000 + 1);
    if (seconds !== null) this._draw(seconds, ms, words);
  }

  _draw(seconds, ms, words) {
    const last = seconds <= LAST_SECONDS;
    byId("timer").classList.toggle("last", last);
    drawDigits(clockText(seconds));
    setText(byId("timer-word"), last ? words.lastChance : words.timeLeft);
    const { window } = this._show.state;
    const whole = this.close.atMs - Date.parse(window.opensAt);
    byId("drain").style.transform = `scaleX(${whole > 0 ? Math.min(1, ms / whole).toFixed(4) : 0})`;
    this._drawBehind(words);
  }

  /** The picture's delay, and honestly how much of it the lines do not wait for. */
  _drawBehind(words) {
    const { ms } = this._delay;
    const box = byId("behind");
    box.hidden = ms < BEHIND_MS;
    if (box.hidden) return;
    const early = Math.round(this.close.earlyMs / 1000);
    box.classList.toggle("early", early >= 1);
    setText(box, early >= 1 ? words.behindEarly(Math.round(ms / 1000), early) : words.behind(Math.round(ms / 1000)));
  }
}

/** In the last seconds only the last digits are drawn, large; the text stays a whole time for whoever reads it. */
function drawDigits(text) {
  const box = byId("countdown");
  if (box.textContent === text) return;
  const [leading] = /^0:0?(?=\d)/.exec(text) ?? [""];
  box.replaceChildren(el("span", { class: "leading" }, leading), text.slice(leading.length));
}

/** Votes left by the rules, those under way taken off already; and what was bought. */
export function drawAllowance(rules, remaining, underWay, words) {
  const type = plainType(rules);
  const left = leftOf(type, rules, remaining, underWay);
  const own = bought(rules, remaining, underWay);
  byId("allowance").hidden = left === null && own === 0;
  setText(byId("wallet"), own ? words.wallet(own) : "");
  byId("wallet").hidden = own === 0;
  const limit = type === "free" ? rules?.freeVotesPerEpisode : undefined;
  const whole = Math.max(limit ?? 0, left ?? 0);
  setText(byId("remaining"), left === null ? "" : limit === undefined ? words.votesLeft(left) : words.freeLeft(left, whole));
  const pips = byId("pips");
  pips.hidden = limit === undefined || whole > MOST_PIPS;
  if (pips.hidden) return;
  if (pips.childElementCount !== whole) pips.replaceChildren(...Array.from({ length: whole }, () => el("i", { class: "pip" })));
  const pending = underWay[type] ?? 0;
  [...pips.children].forEach((pip, i) => {
    pip.classList.toggle("pending", i >= left && i < left + pending);
    pip.classList.toggle("spent", i >= left + pending);
  });
}
