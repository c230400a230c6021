/**
 * BroadcastSync: the JavaScript SDK. One socket to the show: what is going on, how long it still goes on, the
 * ranking, and votes or cues that are counted once whatever the network does. No dependency; browsers and
 * Node 20 or later (give a WebSocket class where there is no global one).
 *
 * ```js
 * import { BroadcastSync } from "/web/sdk/index.js";
 * const show = new BroadcastSync();
 * show.on("change", () => console.log(show.state.voting, show.seconds));
 * show.connect("wss://example.org/voting/sync", { token, channels: ["show", "results"] });
 * const ack = await show.vote("c07");
 * ```
 *
 * Events (`on(name, listener)` returns a function that takes the listener off again):
 *
 * | name | argument | when |
 * | --- | --- | --- |
 * | `change` | this | anything in `state`, `connection` or `waiting` changed |
 * | `second` | whole seconds left | each second of the open window, by the corrected local clock |
 * | `connection` | `live`, `connecting`, `blind`, `closed` | the connection's state changed |
 * | `refused` | `{code, reason}` | the server closed for good (4500-4999); there is no reconnecting |
 * | `token` | `{code}` | the token was refused or has expired |
 * | `problem` | ERROR data | an ERROR that answers no vote and no cue; `BAD_MESSAGE` when a message of the server cannot be read; `UNKNOWN_TYPE` once for each type this SDK does not know |
 * | `message` | envelope | every message that was taken, in order; what must arrive once, however often it came |
 * | any message type | its data | `VOTING_OPEN`, `RESULTS_READY`, `WARNING`, ... |
 *
 * A message with an `offset` is an event of its channel. After a reconnect those that were missed come in order, and
 * `state` may be ahead of them: it never goes back. One without is a snapshot or a tick, and may come again.
 *
 * docs/sdk.md has the behaviours one by one, beside those of the Python SDK.
 */
import { ServerClock } from "./clock.js";
import { contestantsOf } from "./contestants.js";
import { Link } from "./link.js";
import { Refusal } from "./refusal.js";
import { Requests } from "./requests.js";
import { EMPTY, next } from "./show.js";
import { MUST_ARRIVE, Subscriptions } from "./subscriptions.js";
import { Timers } from "./timers.js";
import { Tokens } from "./tokens.js";

export { closeWords } from "./backoff.js";
export { plainWords, Refusal } from "./refusal.js";

/** The first samples of a connection follow each other at once, so that the countdown is right from its first second. */
const CLOCK_BURST_MS = [0, 120, 300, 700, 1500];
/** Clocks drift by some ms a minute; one sample a minute and client is cheap for the server. */
const CLOCK_AGAIN_MS = 60_000;
/** Every message type of protocol version 1; others are of a later server and only passed on. */
const KNOWN = new Set([
  ...MUST_ARRIVE, "WELCOME", "AUTH_OK", "SUBSCRIBED", "UNSUBSCRIBED", "PONG", "RECONNECT", "ERROR", "TIME_UPDATE",
  "COUNTDOWN", "LIVE_RESULTS", "VOTE_UPDATE", "CONTESTANT_UPDATE", "VOTE_ACK", "CUE_ACK", "TALLY",
]);
/** So many unknown types are told apart; a server that makes them up must not fill our memory. */
const UNKNOWN_KEPT = 64;
/** Refusals of a token: asking again with the same one is of no use. */
const TOKEN_CODES = new Set(["UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN"]);
const LOST_POSITION = 4004;
const TOKEN_OVER = 4003;
const INVALID_TOKEN = 4500;
/** Without an open window a vote is given up after this long. */
const NO_WINDOW_MS = 30_000;

/** Steady Unix milliseconds: a step of the wall clock moves nothing. */
const steadyNow = () => performance.timeOrigin + performance.now();

/** @returns {string} a random id of 32 hexadecimal characters; needs no secure context, as randomUUID would */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * The message in a text frame, and what is wrong with its data, if anything. Throws for what is no message. A whole
 * number beyond 2^53 was rounded on its way through JSON.parse: a wrong count is worse than an old one.
 */
function decode(text) {
  let fault = null;
  const exact = (key, value) => {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) fault = `${key} is beyond 2^53`;
    return value;
  };
  const message = JSON.parse(text, /\d{16}/.test(text) ? exact : undefined);
  if (typeof message?.type !== "string") throw new TypeError("it has no type");
  if (typeof message.data !== "object" || message.data === null) fault = "it has no data";
  return { message, fault };
}

export class BroadcastSync {
  /**
   * @param {object} [options] everything here has a default; tests give their own socket, time and chance
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {typeof fetch} [options.fetch] what `contestants` asks with
   * @param {() => number} [options.now] Unix milliseconds, steady
   * @param {() => number} [options.random]
   * @param {typeof setTimeout} [options.setTimeout]
   * @param {typeof clearTimeout} [options.clearTimeout]
   * @param {() => string} [options.newId]
   * @param {{base: number, cap: number}} [options.backoff] reconnecting, milliseconds
   * @param {number} [options.heartbeatMs] a PING goes out when nothing came for so long
   * @param {number} [options.silenceMs] the connection counts as lost when nothing came for so long
   * @param {number} [options.blindAfterMs] without a connection for so long, `connection` is `blind`
   * @param {number} [options.answerMs] a vote, AUTH or SUBSCRIBE without an answer after so long goes out again
   * @param {number} [options.cueMs] a cue without an answer after so long is UNCONFIRMED; late cues are dangerous
   * @param {{load: () => object[], save: (votes: object[]) => void}} [options.keep] keeps unanswered votes over a reload
   */
  constructor(options = {}) {
    const o = {
      WebSocket: globalThis.WebSocket,
      fetch: (...request) => fetch(...request),
      random: Math.random,
      setTimeout: (fn, ms) => setTimeout(fn, ms),
      clearTimeout: (timer) => clearTimeout(timer),
      newId,
      backoff: { base: 500, cap: 20_000 },
      heartbeatMs: 8_000,
      silenceMs: 14_000,
      blindAfterMs: 2_000,
      answerMs: 4_000,
      cueMs: 5_000,
      keep: null,
      now: steadyNow,
      ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    };
    this._now = o.now;
    this._random = o.random;
    this._newId = o.newId;
    this._cueMs = o.cueMs;
    this._keep = o.keep;
    this._fetch = o.fetch;
    const { answerMs, backoff } = o;
    const time = { random: o.random, setTimeout: o.setTimeout, clearTimeout: o.clearTimeout };

    /** The server's time on this machine. */
    this.clock = new ServerClock(this._now);
    /** @type {import("./show.js").ShowState} */
    this.state = EMPTY;

    /** @type {Map<string, Set<Function>>} */
    this._listeners = new Map();
    this._unknown = new Set();
    this._secondShown = null;
    this._timers = new Timers(time);
    this._link = new Link(o, {
      opened: () => this._opened(),
      received: (text) => this._received(text),
      lost: (code) => this._lost(code),
      ended: (code, reason) => this._ended(code, reason),
      quiet: () => this._ping(),
      changed: (connection) => {
        this._emit("connection", connection);
        this._emit("change", this);
      },
    });
    this._tokens = new Tokens({ ...time, answerMs, backoff }, {
      send: (message) => this._send(message),
      now: () => this.clock.now(),
      gone: (code) => this._tokenGone(code),
      problem: (data) => this._emit("problem", data),
    });
    this._subscriptions = new Subscriptions({ ...time, answerMs }, {
      send: (message) => this._send(message),
      ping: () => this._ping(),
    });
    const way = {
      ...time,
      send: (message) => this._tokens.accepted && this._send(message),
      now: () => this.clock.now(),
      changed: () => this._waitingChanged(),
    };
    this._votes = new Requests(way, { answerMs });
    this._cues = new Requests(way, { answerMs: 1500, max: 8 });
  }

  // --- what the page asks ---------------------------------------------------------------------------------

  /** @type {"closed" | "connecting" | "live" | "blind"} */
  get connection() {
    return this._link.connection;
  }

  /** Why the connection is gone, in plain words; empty while it lives. */
  get reason() {
    return this._link.reason;
  }

  /** How many votes wait for their answer. */
  get waiting() {
    return this._votes.size;
  }

  /** Milliseconds until the announced close, by the server's clock; null when no window is open. Never negative. */
  get remainingMs() {
    const { voting, window } = this.state;
    if (voting !== "OPEN" || !window) return null;
    return Math.max(0, Date.parse(window.closesAt) - this.clock.now());
  }

  /** The whole seconds to show: 1 until the very end, then 0. null when no window is open. */
  get seconds() {
    const ms = this.remainingMs;
    return ms === null ? null : Math.ceil(ms / 1000);
  }

  /** The share of the window that is still to come, 1 to 0; null when no window is open. */
  get share() {
    const ms = this.remainingMs;
    if (ms === null) return null;
    const whole = Date.parse(this.state.window.closesAt) - Date.parse(this.state.window.opensAt);
    return whole > 0 ? Math.min(1, ms / whole) : 0;
  }

  /**
   * @param {string} name see the table above
   * @param {(argument: any) => void} listener what it throws is reported as an uncaught error and stops nobody else
   * @returns {() => void} takes the listener off
   */
  on(name, listener) {
    if (!this._listeners.has(name)) this._listeners.set(name, new Set());
    this._listeners.get(name).add(listener);
    return () => this._listeners.get(name).delete(listener);
  }

  // --- what the page does ---------------------------------------------------------------------------------

  /**
   * Opens the connection and keeps it open until `close`.
   * @param {string} url `ws://` or `wss://`
   * @param {object} [options]
   * @param {string | null} [options.token] a JWT; without one this client only watches
   * @param {string[]} [options.channels]
   * @param {() => Promise<string | null>} [options.refreshToken] called shortly before the token ends, and when the
   *   server refuses it; gives the next one, or null when there is none. Votes wait for it.
   */
  connect(url, { token = null, channels = ["show", "results"], refreshToken = null } = {}) {
    this._subscriptions.lost();
    this._tokens.use(token, refreshToken);
    this._subscriptions.channels = channels;
    this._url = url;
    this._link.connect(url);
  }

  /** Uses another token from now on, on the same connection. */
  setToken(token) {
    this._tokens.set(token);
  }

  /** Ends the connection for good. Votes without an answer are given up as UNCONFIRMED. */
  close() {
    this._tokens.use(null, null);
    this._subscriptions.lost();
    this._timers.cancelAll();
    this._votes.rejectAll({ code: "UNCONFIRMED" });
    this._cues.rejectAll({ code: "UNCONFIRMED" });
    this._link.close();
  }

  /**
   * Casts a vote. It is kept and sent again with the same id over reconnects, TRY_AGAIN, BUSY and RATE_LIMIT until
   * the window's hard close, and is never counted twice.
   * @param {string} contestantId
   * @param {{voteType?: string, voteCount?: number, metadata?: object, id?: string}} [options]
   * @returns {Promise<object>} the VOTE_ACK's data; rejects with Refusal (`UNCONFIRMED` when no answer came)
   */
  vote(contestantId, { voteType = "free", voteCount = 1, metadata, id = this._newId() } = {}) {
    const message = { type: "VOTE", id, contestantId, voteType, voteCount };
    if (metadata !== undefined) message.metadata = metadata;
    if (!this._tokens.token) return Promise.reject(new Refusal({ code: "UNAUTHENTICATED" }));
    return this._votes.add(id, message, this._hardClose(), this.state.window?.windowId);
  }

  /**
   * Takes up votes that a reload interrupted. Each comes back as [message, promise of its ack].
   * @returns {[object, Promise<object>][]}
   */
  resumeVotes() {
    const kept = this._keep?.load() ?? [];
    return kept
      .filter(({ deadline }) => deadline > this.clock.now())
      .map(({ message, deadline, scope }) => [message, this._votes.add(message.id, message, deadline, scope)]);
  }

  /**
   * Gives a cue (role control, on /control/sync).
   * @param {string} event `VOTING_OPEN`, ...
   * @param {object} [data]
   * @param {{expectedRevision?: number, timecode?: string, timestamp?: string, mode?: string, cueId?: string}} [options]
   *   `timestamp`: when it was asked for, by the server's clock; lateness is counted from it
   * @returns {Promise<object>} the CUE_ACK's data; rejects with Refusal
   */
  cue(event, data = {}, { expectedRevision, timecode, timestamp, mode, cueId = this._newId() } = {}) {
    const message = { type: "CUE", cueId, event, data };
    for (const [key, value] of Object.entries({ expectedRevision, timecode, timestamp, mode })) {
      if (value !== undefined) message[key] = value;
    }
    return this._cues.add(cueId, message, this.clock.now() + this._cueMs);
  }

  /**
   * Who stands in the show on air, by page, over HTTP: where there are more than `state.contestants` lists, or some are
   * searched for.
   * @param {{search?: string, category?: string, sort?: "popular" | "name" | "number", cursor?: string, limit?: number}} [query]
   *   `search`: two letters or more, Latin or Khmer; `cursor`: `nextCursor` of the page before; `limit`: at most 100
   * @returns {Promise<{contestants: object[], total: number, nextCursor: string | null}>} rejects with Refusal
   */
  contestants(query = {}) {
    return contestantsOf(this._fetch, this._url, this.state.show?.event, query);
  }

  /** Asks for the current state and board. */
  requestUpdate() {
    this._send({ type: "REQUEST_UPDATE" });
  }

  /** Measures the clock anew: worth calling when a phone wakes up. */
  syncClock() {
    this.clock.restart();
    CLOCK_BURST_MS.forEach((ms, i) => this._timers.after(`clock${i}`, ms, () => this._ping()));
    this._timers.after("clock", CLOCK_AGAIN_MS, () => this._clockAgain());
  }

  // --- the connection -------------------------------------------------------------------------------------

  _opened() {
    this._tokens.opened();
    this._subscriptions.opened();
    this.syncClock();
  }

  _lost(code) {
    this._tokens.lost();
    this._subscriptions.lost();
    for (const name of ["clock", ...CLOCK_BURST_MS.map((_, i) => `clock${i}`)]) this._timers.cancel(name);
    if (code === LOST_POSITION) this._subscriptions.forget();
    if (code === TOKEN_OVER) this._tokens.refused("TOKEN_EXPIRED");
  }

  _ended(code, reason) {
    if (code === INVALID_TOKEN && this._tokens.token) this._tokens.end("UNAUTHENTICATED");
    this._cues.rejectAll({ code: "UNCONFIRMED", message: reason });
    this._votes.rejectAll({ code: "UNCONFIRMED", message: reason });
    this._emit("refused", { code, reason });
  }

  /** Any message takes the acknowledgements along. */
  _send(message) {
    if (!this._link.open) return false;
    const ack = this._subscriptions.takeAcks();
    return this._link.send(JSON.stringify(ack ? { ...message, ack } : message));
  }

  _ping() {
    this._send({ type: "PING", t0: this._now() });
  }

  _clockAgain() {
    this._ping();
    this._timers.after("clock", CLOCK_AGAIN_MS * (0.75 + 0.5 * this._random()), () => this._clockAgain());
  }

  // --- messages -------------------------------------------------------------------------------------------

  _received(text) {
    const before = this.state;
    let message;
    try {
      message = this._take(text);
    } catch (error) {
      const words = `A message that cannot be read was left out: ${error.message}`;
      return this._emit("problem", { code: "BAD_MESSAGE", message: words });
    }
    if (!message) return;
    if (this.state.window !== before.window) this._votes.setDeadline(this._hardClose(), this.state.window?.windowId);
    this._emit("message", message);
    this._emit(message.type, message.data);
    if (this.state !== before) this._emit("change", this);
    this._watchSecond();
  }

  /**
   * Our place moves first: a message that cannot be read must not be asked for again and again.
   * @returns {object | null} the message in a frame, its answers given and the state moved; null if it was here before
   */
  _take(text) {
    const { message, fault } = decode(text);
    const sameEpoch = this._subscriptions.epoch(message.channel) === message.epoch;
    if (!this._subscriptions.take(message)) return null;
    if (fault) throw new TypeError(`${message.type}: ${fault}`);
    if (this._isKnownResult(message)) return null;
    this._handle(message);
    if (!sameEpoch || !this._isHistory(message)) this.state = next(this.state, message);
    return message;
  }

  /** A replay brings states older than the snapshot that greeted us; the screen must not go back. */
  _isHistory({ type, data, epoch }) {
    return type === "STATE_UPDATE" && epoch !== undefined && data.revision < this.state.revision;
  }

  /** Each snapshot brings the result again; it is told once. */
  _isKnownResult({ type, data, offset }) {
    return type === "RESULTS_READY" && offset === undefined && this.state.result?.windowId === data.windowId
      && JSON.stringify(this.state.result) === JSON.stringify(data);
  }

  _handle({ type, data }) {
    switch (type) {
      case "WELCOME":
        return this.clock.guess(Date.parse(data.serverTime));
      case "PONG":
        return this.clock.sample(data.t0, data.t1, data.t2, this._link.heard);
      case "SUBSCRIBED":
        return this._subscriptions.subscribed(data);
      case "AUTH_OK":
        this._tokens.ok(data);
        this._votes.flush();
        return this._cues.flush();
      case "VOTE_ACK":
        return this._votes.answer(data.id, data);
      case "CUE_ACK":
        return this._cues.answer(data.cueId, data);
      case "RECONNECT":
        return this._link.move(data.afterMs);
      case "ERROR":
        return this._error(data);
      default:
        if (!KNOWN.has(type) && !this._unknown.has(type) && this._unknown.size < UNKNOWN_KEPT) {
          this._unknown.add(type);
          this._emit("problem", { code: "UNKNOWN_TYPE", message: `This SDK does not know messages of type ${type}.` });
        }
    }
  }

  _error(data) {
    const { code, id, cueId } = data;
    if (code === "TOKEN_EXPIRED" && id !== undefined && this._tokens.renewable) {
      return this._tokens.refused(code); // the vote stays and goes out again with the next token
    }
    if (id !== undefined && this._votes.refuse(id, data)) return;
    if (cueId !== undefined && this._cues.refuse(cueId, data)) return;
    if (TOKEN_CODES.has(code)) {
      if (!this._tokens.accepted || code === "TOKEN_EXPIRED") this._tokens.refused(code);
    } else if (id === undefined && cueId === undefined && !data.retryable) this._subscriptions.refused();
    this._emit("problem", data);
  }

  /** What waits for the token is told that it is gone. */
  _tokenGone(code) {
    this._votes.rejectAll({ code });
    this._cues.rejectAll({ code });
    this._emit("token", { code });
  }

  /** Of an open window its hard close: later no attempt could count. Else the server has the word, and some time for it. */
  _hardClose() {
    const { window, voting } = this.state;
    if (!window || (voting !== "OPEN" && voting !== "CLOSING")) return this.clock.now() + NO_WINDOW_MS;
    return Date.parse(window.hardClosesAt ?? window.closesAt);
  }

  _waitingChanged() {
    this._keep?.save(this._votes.list());
    this._emit("change", this);
  }

  // --- time -----------------------------------------------------------------------------------------------

  /** Wakes up at each whole second of the window, by the clock and not by messages. */
  _watchSecond() {
    const ms = this.remainingMs;
    const seconds = this.seconds;
    if (seconds !== this._secondShown) {
      this._secondShown = seconds;
      if (seconds !== null) this._emit("second", seconds);
    }
    if (ms === null || ms === 0) return this._timers.cancel("second");
    this._timers.after("second", ms - (seconds - 1) * 1000 + 1, () => this._watchSecond());
  }

  _emit(name, argument) {
    for (const listener of [...(this._listeners.get(name) ?? [])]) {
      try {
        listener(argument);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
