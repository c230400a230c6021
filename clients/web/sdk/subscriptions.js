/**
 * Where we are in each channel: what was missed is asked for by epoch and offset, what came before is not taken again,
 * and the server is told how far we have got.
 *
 * Must-arrive messages of a channel are numbered without a gap. One that skips a number was overtaken or the one before
 * it was lost: it is not taken, and everything since our place is asked for.
 */
import { Timers } from "./timers.js";

/** What must arrive is acknowledged within this long, each client at a time of its own: a million at once would be a flood. */
const ACK_WITHIN_MS = 5_000;
/** Gaps are healed no more often than this: a server that numbers badly must not be asked without end. */
const HEAL_EACH_MS = 1_000;

export const MUST_ARRIVE = new Set([
  "STATE_UPDATE", "VOTING_OPEN", "VOTING_CLOSED", "WARNING", "RESULTS_READY", "SLOT_DECIDED",
]);

/** @typedef {{epoch: string, offset: number}} Place */

export class Subscriptions {
  /**
   * @param {object} options `random`, `setTimeout`, `clearTimeout`; `answerMs`: SUBSCRIBE is said again without an answer
   *   after so long
   * @param {object} way
   * @param {(message: object) => boolean} way.send
   * @param {() => void} way.ping takes acknowledgements along when nothing else does
   */
  constructor({ random, answerMs, ...time }, way) {
    this._random = random;
    this._answerMs = answerMs;
    this._way = way;
    this._timers = new Timers(time);
    /** @type {string[]} */
    this.channels = [];
    /** @type {Map<string, Place>} */
    this._places = new Map();
    /** @type {Set<string>} channels whose SUBSCRIBED is to come */
    this._asked = new Set();
    /** @type {Map<string, Place>} what the server has not been told of */
    this._unacked = new Map();
  }

  /** A connection is up: its channels, with what was missed of them. */
  opened() {
    this._ask(this.channels);
  }

  /** The connection is gone; our places stay. */
  lost() {
    this._timers.cancelAll();
    this._asked.clear();
    this._unacked.clear();
  }

  /** The next SUBSCRIBE gets snapshots. */
  forget() {
    this._places.clear();
  }

  /** @returns {string | undefined} the epoch that we are in */
  epoch(channel) {
    return this._places.get(channel)?.epoch;
  }

  /**
   * Whether a message is new; if so our place moves to it. Messages without an offset (snapshots, ticks) always are.
   * Another epoch is a new count.
   */
  take({ type, channel, epoch, offset }) {
    if (channel === undefined || epoch === undefined || offset === undefined) return true;
    const at = this._places.get(channel);
    const must = MUST_ARRIVE.has(type);
    if (at?.epoch === epoch) {
      if (offset <= at.offset) return false;
      if (must && offset > at.offset + 1) {
        this._heal(channel);
        return false;
      }
    }
    this._places.set(channel, { epoch, offset });
    if (must) this._reached(channel);
    return true;
  }

  /**
   * Recovered: what we missed follows, and moves our place. Not recovered: a snapshot follows, that stands for the
   * server's place; or for less than we have, on a node that lags.
   */
  subscribed({ channel, recovered, epoch, offset }) {
    this._asked.delete(channel);
    if (!this._asked.size) this._timers.cancel("ask");
    const at = this._places.get(channel);
    const ahead = at?.epoch === epoch && at.offset >= offset;
    if (!recovered && !ahead) this._places.set(channel, { epoch, offset });
    if (!recovered || ahead) this._reached(channel);
  }

  /** An ERROR that may be the answer to SUBSCRIBE: better the whole state again than none; if that was refused, none. */
  refused() {
    const asked = [...this._asked];
    if (!asked.length) return;
    const withPlaces = asked.some((channel) => this._places.has(channel));
    this._asked.clear();
    this._timers.cancel("ask");
    if (!withPlaces) return;
    for (const channel of asked) this._places.delete(channel);
    this._ask(asked);
  }

  /** What the next message takes along: how far we have got since the last one; null if no further. */
  takeAcks() {
    if (!this._unacked.size) return null;
    const acks = Object.fromEntries(this._unacked);
    this._unacked.clear();
    this._timers.cancel("ack");
    return acks;
  }

  _reached(channel) {
    this._unacked.set(channel, this._places.get(channel));
    if (!this._timers.has("ack")) this._timers.after("ack", ACK_WITHIN_MS * this._random(), () => this._way.ping());
  }

  _heal(channel) {
    if (this._asked.has(channel)) return;
    this._asked.add(channel);
    if (!this._timers.has("healed")) {
      this._timers.after("healed", HEAL_EACH_MS, () => {});
      this._ask([...this._asked]);
    } else if (!this._timers.has("ask")) {
      this._timers.after("ask", HEAL_EACH_MS, () => this._ask([...this._asked]));
    }
  }

  _ask(channels) {
    if (!channels.length) return;
    for (const channel of channels) this._asked.add(channel);
    const since = {};
    for (const channel of channels) if (this._places.has(channel)) since[channel] = this._places.get(channel);
    const message = { type: "SUBSCRIBE", channels };
    this._way.send(Object.keys(since).length ? { ...message, since } : message);
    this._timers.after("ask", this._answerMs * (0.75 + 0.5 * this._random()), () => this._ask([...this._asked]));
  }
}
