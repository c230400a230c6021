/**
 * The socket under a client: comes up, is lost, comes up again with full jitter; notices silence; knows when to stop.
 * What is said on it is its owner's.
 */
import { closeWords, fullJitter, mayReconnect } from "./backoff.js";
import { Timers } from "./timers.js";

const OPEN = 1;
/** A connection that lived this long was a good one: the next loss starts the backoff anew. */
const SETTLED_MS = 5_000;
/** HTTP statuses of a handshake that another attempt would meet again. */
const DENIED = new Set([401, 403]);

export class Link {
  /**
   * @param {object} options `WebSocket`, `now`, `random`, `setTimeout`, `clearTimeout`, `backoff`, `heartbeatMs`,
   *   `silenceMs`, `blindAfterMs`: as BroadcastSync takes them
   * @param {object} way what the owner is told
   * @param {() => void} way.opened nothing was said yet
   * @param {(text: string) => void} way.received
   * @param {(code: number) => void} way.lost another attempt follows, or `ended`
   * @param {(code: number, reason: string) => void} way.ended there will be no further attempt
   * @param {() => void} way.quiet nothing came for `heartbeatMs`: time to ask
   * @param {(connection: string) => void} way.changed
   */
  constructor(options, way) {
    this._options = options;
    this._way = way;
    this._timers = new Timers(options);
    this._socket = null;
    this._wanted = false;
    this._attempt = 0;
    this._moves = 0;
    this._resumeAt = 0;
    /** @type {"closed" | "connecting" | "live" | "blind"} */
    this.connection = "closed";
    /** Why the connection is gone, in plain words; empty while it lives. */
    this.reason = "";
    /** When the last frame came, by `now`. */
    this.heard = 0;
  }

  /** Throws where there is no WebSocket class, and for an URL that is none. */
  connect(url) {
    if (!this._options.WebSocket) throw new TypeError("No WebSocket here: give a class as the option WebSocket, that of `ws` in Node 20.");
    this._drop();
    this._url = url;
    this._attempt = 0;
    this._moves = 0;
    this._resumeAt = 0;
    this._wanted = true;
    this._set("connecting");
    this._open();
  }

  /** Ends the connection for good. */
  close() {
    this._wanted = false;
    this._drop();
    this._set("closed");
  }

  get open() {
    return this._socket?.readyState === OPEN;
  }

  /** @returns {boolean} false when there is no connection for it */
  send(text) {
    if (!this.open) return false;
    this._socket.send(text);
    return true;
  }

  /**
   * The server's slot for us (RECONNECT): until then this connection is used for as long as it lasts. Slots are spread
   * out by the server, so no jitter is added; unless they follow each other, when somebody sends us in circles.
   */
  move(afterMs) {
    const { backoff, random, now } = this._options;
    const wait = Math.max(1, afterMs) + (this._moves > 0 ? fullJitter(this._moves, backoff, random) : 0);
    this._resumeAt = now() + wait;
    this._timers.after("moving", wait, () => {
      this._resumeAt = 0;
      this._drop();
      this._way.lost(1000);
      this._set("connecting");
      this._moves += 1;
      this._open();
    });
  }

  _open() {
    const socket = new this._options.WebSocket(this._url);
    this._socket = socket;
    socket.onopen = () => this._opened();
    socket.onmessage = ({ data }) => this._received(data);
    socket.onclose = ({ code, reason }) => socket === this._socket && this._lost(code, reason);
    socket.onerror = () => {}; // a close event always follows, and says more
    // Browsers keep the status of a refused handshake to themselves; Node's `ws` tells.
    socket.on?.("unexpected-response", (_, response) => socket === this._socket && this._turnedAway(response));
    this.heard = this._options.now();
    this._timers.after("silence", this._options.silenceMs, () => this._checkSilence());
  }

  _opened() {
    this.heard = this._options.now();
    this._timers.after("settled", SETTLED_MS, () => (this._attempt = this._moves = 0));
    this._way.opened();
  }

  _received(text) {
    this.heard = this._options.now();
    this._set("live");
    this._way.received(text);
  }

  _turnedAway({ statusCode, headers }) {
    if (DENIED.has(statusCode)) return this._end(statusCode, "This page may not connect here.");
    const seconds = Number(headers["retry-after"]);
    this._lost(1006, "", { leastMs: seconds > 0 ? Math.min(seconds, 3600) * 1000 : 0 });
  }

  _lost(code, reason, { silentMs = 0, leastMs = 0 } = {}) {
    const { backoff, random, now, blindAfterMs } = this._options;
    if (!mayReconnect(code)) return this._end(code, closeWords(code, reason));
    this._drop();
    if (!this._wanted) return;
    this.reason = closeWords(code, reason);
    this._way.lost(code);
    this._set(this.connection === "blind" || silentMs >= blindAfterMs ? "blind" : "connecting");
    const planned = this._resumeAt - now();
    this._resumeAt = 0;
    if (planned > 0) this._moves += 1;
    const wait = planned > 0 ? planned : leastMs + fullJitter(this._attempt++, backoff, random);
    this._timers.after("open", wait, () => this._open());
  }

  _end(code, reason) {
    this._drop();
    if (!this._wanted) return;
    this._wanted = false;
    this.reason = reason;
    this._way.lost(code);
    this._set("closed");
    this._way.ended(code, reason);
  }

  /** Lets go of the socket, whatever state it is in; its late events reach nobody. */
  _drop() {
    const socket = this._socket;
    this._socket = null;
    for (const name of ["silence", "settled", "open", "moving"]) this._timers.cancel(name);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close(1000);
    } catch {
      // a socket that never opened may refuse; it is gone either way
    }
  }

  _set(connection) {
    if (connection === "live") this.reason = "";
    if (connection === "live" || connection === "closed") this._timers.cancel("blind");
    else if (!this._timers.has("blind")) {
      this._timers.after("blind", this._options.blindAfterMs, () => this._set("blind"));
    }
    if (connection === this.connection) return;
    this.connection = connection;
    this._way.changed(connection);
  }

  /** A network that vanished sends no close: silence is what tells. */
  _checkSilence() {
    const { silenceMs, heartbeatMs, now } = this._options;
    const silent = now() - this.heard;
    if (silent >= silenceMs) return this._lost(4002, "", { silentMs: silent });
    if (silent >= heartbeatMs) this._way.quiet();
    const wait = silent >= heartbeatMs ? silenceMs - silent : heartbeatMs - silent;
    this._timers.after("silence", Math.max(50, wait), () => this._checkSilence());
  }
}
