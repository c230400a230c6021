/** Who we are to the server: says AUTH, and gets the next token in time, on the same socket. */
import { fullJitter } from "./backoff.js";
import { Timers } from "./timers.js";

/** A token is asked for anew this long before it ends, or halfway through a short life. */
const REFRESH_BEFORE_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Tokens {
  /**
   * @param {object} options `random`, `setTimeout`, `clearTimeout`, `backoff`; `answerMs`: AUTH is said again without an
   *   answer after so long
   * @param {object} way
   * @param {(message: object) => boolean} way.send
   * @param {() => number} way.now the server's time
   * @param {(code: string) => void} way.gone the token is of no use any more, and there is no other
   * @param {(problem: object) => void} way.problem
   */
  constructor({ random, backoff, answerMs, ...time }, way) {
    this._random = random;
    this._backoff = backoff;
    this._answerMs = answerMs;
    this._way = way;
    this._timers = new Timers(time);
    this._refresh = null;
    this._asking = false;
    /** @type {string | null} */
    this.token = null;
    /** True while the server holds us for who the token says. */
    this.accepted = false;
  }

  /** @param {string | null} token @param {(() => Promise<string | null>) | null} refresh where the next ones come from */
  use(token, refresh) {
    this.lost();
    this.token = token;
    this._refresh = refresh;
  }

  /** Another token from now on, on the same connection. */
  set(token) {
    this.lost();
    this.token = token;
    this._say();
  }

  /** A connection is up. While a new token is being asked for, the old one is not worth saying. */
  opened() {
    if (!this._asking) this._say();
  }

  /** The connection is gone, and with it what the server knew of us. */
  lost() {
    this.accepted = false;
    this._timers.cancelAll();
  }

  /** AUTH_OK. */
  ok({ expiresAt }) {
    this.accepted = true;
    this._timers.cancel("say");
    const left = Date.parse(expiresAt) - this._way.now();
    if (!this._refresh || !(left > 0)) return;
    const wait = Math.max(left / 2, left - REFRESH_BEFORE_MS * (1 + this._random()));
    this._timers.after("refresh", Math.min(wait, LONGEST_TIMER_MS), () => this._ask("TOKEN_EXPIRED"));
  }

  /** @returns {boolean} true if a request that met the end of the token may wait for the next one */
  get renewable() {
    return this._refresh !== null && this.token !== null;
  }

  /** The token was refused, or is over: the next one, if there is somebody to ask. */
  refused(code) {
    if (!this.token) return;
    this.accepted = false;
    this._timers.cancel("say");
    if (!this._refresh || code === "FORBIDDEN") return this.end(code);
    void this._ask(code);
  }

  /** The token is not sent again. */
  end(code) {
    this.token = null;
    this.lost();
    this._way.gone(code);
  }

  _say() {
    if (!this.token || !this._way.send({ type: "AUTH", token: this.token })) return;
    this._timers.after("say", this._answerMs * (0.75 + 0.5 * this._random()), () => this._say());
  }

  /** Asks for a token, once at a time. A failure is tried again; none, or the same one, and there is nothing more to try. */
  async _ask(code, attempt = 0) {
    if (this._asking) return;
    this._asking = true;
    const old = this.token;
    const refresh = this._refresh;
    let token = null;
    let failure = null;
    try {
      token = await refresh();
    } catch (error) {
      failure = error;
    }
    this._asking = false;
    if (this.token !== old || this._refresh !== refresh) return; // closed, or the page gave one itself
    if (failure) {
      this._way.problem({ code, message: `No new token came: ${failure.message ?? failure}` });
      const wait = fullJitter(attempt, this._backoff, this._random);
      return this._timers.after("refresh", wait, () => this._ask(code, attempt + 1));
    }
    if (token && token !== old) this.set(token);
    else if (!this.accepted) this.end(code);
  }
}
