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
 * | `problem` | ERROR data | an ERROR that answers no vote and no cue; `UNKNOWN_TYPE` once for each type this SDK does not know |
 * | `message` | envelope | every message that was taken (duplicates are not) |
 * | any message type | its data | `VOTING_OPEN`, `RESULTS_READY`, `WARNING`, ... |
 */
import { closeWords, fullJitter, mayReconnect } from "./backoff.js";
import { ServerClock } from "./clock.js";
import { Requests } from "./requests.js";
import { EMPTY, next } from "./show.js";
import { Refusal } from "./refusal.js";

export { plainWords, Refusal } from "./refusal.js";

const OPEN = 1;
/** The first samples of a connection follow each other at once, so that the countdown is right from its first second. */
const CLOCK_BURST_MS = [0, 120, 300, 700, 1500];
/** Clocks drift by some ms a minute; one sample a minute and client is cheap for the server. */
const CLOCK_AGAIN_MS = 60_000;
/** A connection that lived this long was a good one: the next loss starts the backoff anew. */
const SETTLED_MS = 5_000;
/** What must arrive is acknowledged within this long, each client at a time of its own: a million at once would be a flood. */
const ACK_WITHIN_MS = 5_000;
/** A token is asked for anew this long before it ends, or halfway through a short life. */
const REFRESH_BEFORE_MS = 60_000;
const MUST_ARRIVE = new Set(["STATE_UPDATE", "VOTING_OPEN", "VOTING_CLOSED", "WARNING", "RESULTS_READY"]);
/** Every message type of protocol version 1; others are of a later server and only passed on to `message`. */
const KNOWN = new Set([
  ...MUST_ARRIVE, "WELCOME", "AUTH_OK", "SUBSCRIBED", "UNSUBSCRIBED", "PONG", "RECONNECT", "ERROR", "TIME_UPDATE",
  "COUNTDOWN", "LIVE_RESULTS", "VOTE_UPDATE", "CONTESTANT_UPDATE", "VOTE_ACK", "CUE_ACK", "TALLY",
]);
/** Refusals of a token: asking again with the same one is of no use. */
const TOKEN_CODES = new Set(["UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN"]);
/** Without a known window a vote is given up after this long. */
const NO_WINDOW_MS = 30_000;

/** Steady Unix milliseconds: a step of the wall clock moves nothing. */
const steadyNow = () => performance.timeOrigin + performance.now();

/** @returns {string} a random id of 32 hexadecimal characters; needs no secure context, as randomUUID would */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export class BroadcastSync {
  /**
   * @param {object} [options] everything here has a default; tests give their own socket, time and chance
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {() => number} [options.now] Unix milliseconds, steady
   * @param {() => number} [options.random]
   * @param {typeof setTimeout} [options.setTimeout]
   * @param {typeof clearTimeout} [options.clearTimeout]
   * @param {() => string} [options.newId]
   * @param {{base: number, cap: number}} [options.backoff] reconnecting, milliseconds
   * @param {number} [options.heartbeatMs] a PING goes out when nothing came for so long
   * @param {number} [options.silenceMs] the connection counts as lost when nothing came for so long
   * @param {number} [options.blindAfterMs] without a connection for so long, `connection` is `blind`
   * @param {number} [options.cueMs] a cue without an answer after so long is UNCONFIRMED; late cues are dangerous
   * @param {{load: () => object[], save: (votes: object[]) => void}} [options.keep] keeps unanswered votes over a reload
   */
  constructor(options = {}) {
    const o = { ...options };
    this._WebSocket = o.WebSocket ?? globalThis.WebSocket;
    this._random = o.random ?? Math.random;
    this._setTimeout = o.setTimeout ?? ((fn, ms) => setTimeout(fn, ms));
    this._clearTimeout = o.clearTimeout ?? ((timer) => clearTimeout(timer));
    this._newId = o.newId ?? newId;
    this._backoff = o.backoff ?? { base: 500, cap: 20_000 };
    this._heartbeatMs = o.heartbeatMs ?? 8_000;
    this._silenceMs = o.silenceMs ?? 14_000;
    this._blindAfterMs = o.blindAfterMs ?? 2_000;
    this._cueMs = o.cueMs ?? 5_000;
    this._keep = o.keep ?? null;
    this._now = o.now ?? steadyNow;

    /** The server's time on this machine. */
    this.clock = new ServerClock(this._now);
    /** @type {import("./show.js").ShowState} */
    this.state = EMPTY;
    /** @type {"closed" | "connecting" | "live" | "blind"} */
    this.connection = "closed";
    /** Why the connection is gone, in plain words; empty while it lives. */
    this.reason = "";

    /** @type {Map<string, Set<Function>>} */
    this._listeners = new Map();
    /** @type {Map<string, {epoch: string, offset: number, seen: number}>} where we are in each channel */
    this._positions = new Map();
    this._timers = new Map();
    this._socket = null;
    this._attempt = 0;
    this._resumeAt = 0;
    this._authenticated = false;
    this._secondShown = null;
    /** @type {(() => Promise<string | null>) | null} */
    this._refresh = null;
    this._refreshing = false;
    /** @type {Map<string, {epoch: string, offset: number}>} must-arrive messages that the server has not been told of */
    this._unacked = new Map();
    this._unknown = new Set();

    const way = {
      send: (message) => this._authenticated && this._send(message),
      now: () => this.clock.now(),
      random: this._random,
      setTimeout: this._setTimeout,
      clearTimeout: this._clearTimeout,
      changed: () => this._waitingChanged(),
    };
    this._votes = new Requests(way);
    this._cues = new Requests(way, { answerMs: 1500, max: 8 });
  }

  // --- what the page asks ---------------------------------------------------------------------------------

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
   * @param {(argument: any) => void} listener
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
    this._drop();
    this._url = url;
    this._token = token;
    this._refresh = refreshToken;
    this._channels = channels;
    this._attempt = 0;
    this._resumeAt = 0;
    this._wanted = true;
    this._setConnection("connecting");
    this._open();
  }

  /** Uses another token from now on, on the same connection. */
  setToken(token) {
    this._token = token;
    this._authenticated = false;
    if (token) this._send({ type: "AUTH", token });
  }

  /** Ends the connection for good. Votes without an answer are given up as UNCONFIRMED. */
  close() {
    this._wanted = false;
    this._drop();
    this._cancel("blind");
    this._cancel("second");
    this._votes.rejectAll({ code: "UNCONFIRMED" });
    this._cues.rejectAll({ code: "UNCONFIRMED" });
    this._setConnection("closed");
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
    if (!this._token) return Promise.reject(new Refusal({ code: "UNAUTHENTICATED" }));
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

  /** Asks for the current state and board. */
  requestUpdate() {
    this._send({ type: "REQUEST_UPDATE" });
  }

  /** Measures the clock anew: worth calling when a phone wakes up. */
  syncClock() {
    this.clock.restart();
    CLOCK_BURST_MS.forEach((ms, i) => this._after(`clock${i}`, ms, () => this._ping()));
    this._after("clock", CLOCK_AGAIN_MS, () => this._clockAgain());
  }

  // --- the connection -------------------------------------------------------------------------------------

  _open() {
    const socket = new this._WebSocket(this._url);
    this._socket = socket;
    this._authenticated = false;
    socket.onopen = () => this._opened();
    socket.onmessage = ({ data }) => this._received(data);
    socket.onclose = ({ code, reason }) => socket === this._socket && this._lost(code, reason);
    socket.onerror = () => {}; // a close event always follows, and says more
    this._heard = this._now();
    this._after("silence", this._silenceMs, () => this._checkSilence());
  }

  _opened() {
    if (this._token && !this._refreshing) this._send({ type: "AUTH", token: this._token });
    if (this._channels.length) {
      const since = {};
      for (const channel of this._channels) {
        const at = this._positions.get(channel);
        if (at) since[channel] = { epoch: at.epoch, offset: at.offset };
      }
      const message = { type: "SUBSCRIBE", channels: this._channels };
      this._send(Object.keys(since).length ? { ...message, since } : message);
    }
    this.syncClock();
    this._after("settled", SETTLED_MS, () => (this._attempt = 0));
  }

  _lost(code, reason, silentMs = 0) {
    this._drop();
    if (!this._wanted) return;
    if (code === 4004) this._positions.clear();
    this.reason = closeWords(code, reason);
    if (!mayReconnect(code)) {
      this._wanted = false;
      this._setConnection("closed");
      if (code === 4500 && this._token) this._tokenGone("UNAUTHENTICATED");
      this._cues.rejectAll({ code: "UNCONFIRMED", message: this.reason });
      this._votes.rejectAll({ code: "UNCONFIRMED", message: this.reason });
      this._emit("refused", { code, reason: this.reason });
      return;
    }
    if (code === 4003 && this._token) this._tokenEnded("TOKEN_EXPIRED");
    this._setConnection(this.connection === "blind" || silentMs >= this._blindAfterMs ? "blind" : "connecting");
    const planned = this._resumeAt - this._now();
    this._resumeAt = 0;
    // The server's own slot for us (RECONNECT) is already spread out; anything else we spread ourselves.
    const wait = planned > 0 ? planned : fullJitter(this._attempt++, this._backoff, this._random);
    this._after("open", wait, () => this._open());
  }

  /** Lets go of the socket, whatever state it is in; its late events reach nobody. */
  _drop() {
    const socket = this._socket;
    this._socket = null;
    this._authenticated = false;
    for (const name of [...this._timers.keys()]) {
      if (name !== "blind" && name !== "second") this._cancel(name);
    }
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    try {
      socket.close(1000);
    } catch {
      // a socket that never opened may refuse; it is gone either way
    }
  }

  _setConnection(connection) {
    if (connection === "live") this.reason = "";
    if (connection === "live" || connection === "closed") this._cancel("blind");
    else if (!this._timers.has("blind")) {
      this._after("blind", this._blindAfterMs, () => this._setConnection("blind"));
    }
    if (connection === this.connection) return;
    this.connection = connection;
    this._emit("connection", connection);
    this._emit("change", this);
  }

  /** A network that vanished sends no close: silence is what tells. */
  _checkSilence() {
    const silent = this._now() - this._heard;
    if (silent >= this._silenceMs) return this._lost(4002, "", silent);
    if (silent >= this._heartbeatMs) this._ping();
    const wait = silent >= this._heartbeatMs ? this._silenceMs - silent : this._heartbeatMs - silent;
    this._after("silence", Math.max(50, wait), () => this._checkSilence());
  }

  _send(message) {
    if (this._socket?.readyState !== OPEN) return false;
    this._socket.send(JSON.stringify(this._unacked.size ? { ...message, ack: this._takeAcks() } : message));
    return true;
  }

  _takeAcks() {
    const acks = Object.fromEntries(this._unacked);
    this._unacked.clear();
    this._cancel("ack");
    return acks;
  }

  /** Any message takes the acknowledgements along; without one within a few seconds a PING does. */
  _acknowledge({ type, channel, epoch, offset }) {
    if (MUST_ARRIVE.has(type) && channel !== undefined && offset !== undefined) this._reached(channel, epoch, offset);
  }

  _reached(channel, epoch, offset) {
    this._unacked.set(channel, { epoch, offset });
    if (!this._timers.has("ack")) this._after("ack", ACK_WITHIN_MS * this._random(), () => this._ping());
  }

  _ping() {
    this._send({ type: "PING", t0: this._now() });
  }

  _clockAgain() {
    this._ping();
    this._after("clock", CLOCK_AGAIN_MS * (0.75 + 0.5 * this._random()), () => this._clockAgain());
  }

  // --- messages -------------------------------------------------------------------------------------------

  _received(text) {
    this._heard = this._now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this._emit("problem", { code: "BAD_MESSAGE", message: "The server sent something unreadable." });
    }
    if (typeof message?.type !== "string" || this._isDuplicate(message)) return;
    this._acknowledge(message);
    this._handle(message);
    const before = this.state;
    this.state = next(before, message);
    if (this.state.window !== before.window) this._votes.setDeadline(this._hardClose(), this.state.window?.windowId);
    this._emit("message", message);
    this._emit(message.type, message.data);
    if (this.state !== before) this._emit("change", this);
    this._watchSecond();
  }

  /**
   * Everything up to our offset in the same epoch has been seen; a replay may bring it again. A replay may also
   * bring states older than the snapshot that greeted us: those are history, and the screen must not go back.
   */
  _isDuplicate({ type, data, channel, epoch, offset }) {
    if (channel === undefined || epoch === undefined || offset === undefined) return false;
    const at = this._positions.get(channel);
    if (at?.epoch === epoch && offset <= at.seen) return true;
    const history = at?.epoch === epoch && type === "STATE_UPDATE" && data.revision < this.state.revision;
    this._positions.set(channel, { epoch, seen: offset, offset: Math.max(offset, at?.epoch === epoch ? at.offset : 0) });
    return history;
  }

  _handle({ type, data }) {
    switch (type) {
      case "WELCOME":
        this.clock.guess(Date.parse(data.serverTime));
        return this._setConnection("live");
      case "PONG":
        return this.clock.sample(data.t0, data.t1, data.t2, this._heard);
      case "SUBSCRIBED":
        return this._subscribed(data);
      case "AUTH_OK":
        return this._signedIn(data);
      case "VOTE_ACK":
        return this._votes.answer(data.id, data);
      case "CUE_ACK":
        return this._cues.answer(data.cueId, data);
      case "RECONNECT":
        return this._planReconnect(data.afterMs);
      case "ERROR":
        return this._error(data);
      default:
        if (!KNOWN.has(type) && !this._unknown.has(type) && this._unknown.size < 64) {
          this._unknown.add(type);
          this._emit("problem", { code: "UNKNOWN_TYPE", message: `This SDK does not know messages of type ${type}.` });
        }
    }
  }

  _signedIn({ expiresAt }) {
    this._authenticated = true;
    this._votes.flush();
    this._cues.flush();
    const left = Date.parse(expiresAt) - this.clock.now();
    if (!this._refresh || !(left > 0)) return;
    const wait = Math.max(left / 2, left - REFRESH_BEFORE_MS * (1 + this._random()));
    this._after("refresh", Math.min(wait, 2 ** 31 - 1), () => this._refreshToken("TOKEN_EXPIRED"));
  }

  /**
   * Recovered: what we missed follows, and moves our position. Not recovered: a snapshot follows; the place to
   * resume from is the server's, and the snapshot itself may carry an offset at or below it.
   */
  _subscribed({ channel, recovered, epoch, offset }) {
    if (recovered) return;
    this._positions.set(channel, { epoch, offset, seen: -1 });
    this._reached(channel, epoch, offset);
  }

  _planReconnect(afterMs) {
    this._resumeAt = this._now() + Math.max(1, afterMs);
    this._after("moving", Math.max(1, afterMs), () => {
      this._resumeAt = 0;
      this._drop();
      this._setConnection("connecting");
      this._open();
    });
  }

  _error(data) {
    if (data.code === "TOKEN_EXPIRED" && data.id !== undefined && this._refresh && this._token) {
      return this._tokenEnded(data.code); // the vote stays and goes out again with the next token
    }
    if (data.id !== undefined && this._votes.refuse(data.id, data)) return;
    if (data.cueId !== undefined && this._cues.refuse(data.cueId, data)) return;
    if (TOKEN_CODES.has(data.code) && this._token && (!this._authenticated || data.code === "TOKEN_EXPIRED")) {
      this._tokenEnded(data.code);
    }
    this._emit("problem", data);
  }

  /** The token is of no use any more; votes and cues wait for the next one, if there is somebody to ask. */
  _tokenEnded(code) {
    this._authenticated = false;
    if (!this._refresh || code === "FORBIDDEN") return this._tokenGone(code);
    void this._refreshToken(code);
  }

  /** Asks for a token, once at a time. A failure is tried again; none, or the same one, and there is nothing more to try. */
  async _refreshToken(code, attempt = 0) {
    if (this._refreshing) return;
    this._refreshing = true;
    const old = this._token;
    let token = null;
    let failure = null;
    try {
      token = await this._refresh();
    } catch (error) {
      failure = error;
    }
    this._refreshing = false;
    if (!this._wanted || this._token !== old) return; // closed, or the page gave one itself
    if (failure) {
      this._emit("problem", { code, message: `No new token came: ${failure.message ?? failure}` });
      const wait = fullJitter(attempt, this._backoff, this._random);
      return this._after("refresh", wait, () => this._refreshToken(code, attempt + 1));
    }
    if (token && token !== old) this.setToken(token);
    else if (!this._authenticated) this._tokenGone(code);
  }

  /** The token is not sent again, and what waits for it is told so. */
  _tokenGone(code) {
    this._token = null;
    this._authenticated = false;
    this._votes.rejectAll({ code });
    this._cues.rejectAll({ code });
    this._emit("token", { code });
  }

  _hardClose() {
    const { window, voting } = this.state;
    if (!window || voting === "IDLE") return this.clock.now() + NO_WINDOW_MS;
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
    if (ms === null || ms === 0) return this._cancel("second");
    this._after("second", ms - (seconds - 1) * 1000 + 1, () => this._watchSecond());
  }

  _after(name, ms, fn) {
    this._cancel(name);
    this._timers.set(
      name,
      this._setTimeout(() => {
        this._timers.delete(name);
        fn();
      }, ms),
    );
  }

  _cancel(name) {
    this._clearTimeout(this._timers.get(name));
    this._timers.delete(name);
  }

  _emit(name, argument) {
    for (const listener of [...(this._listeners.get(name) ?? [])]) listener(argument);
  }
}
