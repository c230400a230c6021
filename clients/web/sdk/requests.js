/**
 * Votes and cues that wait for their answer. Each keeps the id it was born with, so sending it again after a
 * lost answer can never count twice: the server gives the first answer again.
 */
import { fullJitter } from "./backoff.js";
import { Refusal, RETRY_CODES } from "./refusal.js";

/** @typedef {{message: object, attempt: number, deadline: number, scope?: string, timer: any, promise: Promise<object>, resolve: Function, reject: Function}} Entry */

export class Requests {
  /**
   * @param {object} way
   * @param {(message: object) => boolean} way.send false when there is no connection; it is tried again on `flush`
   * @param {() => number} way.now server time, Unix milliseconds
   * @param {() => number} way.random
   * @param {(fn: () => void, ms: number) => any} way.setTimeout
   * @param {(timer: any) => void} way.clearTimeout
   * @param {() => void} [way.changed] called when one comes or goes
   * @param {{answerMs?: number, base?: number, cap?: number, max?: number}} [limits] `answerMs`: how long an answer may
   *   take before the message goes out again; `base`, `cap`: backoff; `max`: how many may wait at once
   */
  constructor(way, { answerMs = 4000, base = 400, cap = 5000, max = 64 } = {}) {
    this._way = way;
    this._limits = { answerMs, base, cap, max };
    /** @type {Map<string, Entry>} */
    this._entries = new Map();
  }

  get size() {
    return this._entries.size;
  }

  /** The messages that still wait, oldest first, with their deadlines; what a page may keep over a reload. */
  list() {
    return [...this._entries.values()].map(({ message, deadline, scope }) => ({ message, deadline, scope }));
  }

  /**
   * Sends `message` now or as soon as there is a connection, and again until it is answered. One with an `id` that
   * waits already is that one.
   * @param {string} id @param {object} message
   * @param {number} deadline server time after which it is not sent any more, Unix milliseconds
   * @param {string} [scope] the voting window it was meant for; a later window must not get it
   * @returns {Promise<object>} the answer's data; rejects with Refusal
   */
  add(id, message, deadline, scope) {
    const known = this._entries.get(id);
    if (known) return known.promise;
    if (this._entries.size >= this._limits.max) {
      return Promise.reject(new Refusal({ code: "BUSY", message: "Too many votes are waiting for an answer." }));
    }
    const entry = { message, deadline, scope, attempt: 0, timer: null };
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    this._entries.set(id, entry);
    this._send(id);
    this._way.changed?.();
    return entry.promise;
  }

  /** Moves the deadline of what belongs to `scope` (the window was extended, or closed early). */
  setDeadline(deadline, scope) {
    for (const entry of this._entries.values()) if (entry.scope === scope) entry.deadline = deadline;
  }

  /** The connection is back: everything unanswered goes out again, with its first id. */
  flush() {
    for (const id of [...this._entries.keys()]) this._send(id);
  }

  /** @returns {boolean} false if nobody waits for `id` */
  answer(id, data) {
    const entry = this._take(id);
    entry?.resolve(data);
    return entry !== undefined;
  }

  /** An ERROR with an id: a refusal, or "nothing was decided, ask again". @returns {boolean} */
  refuse(id, data) {
    const entry = this._entries.get(id);
    if (!entry) return false;
    if (data.retryable !== false && RETRY_CODES.has(data.code)) {
      const wait = Math.max((data.retryAfter ?? 0) * 1000, fullJitter(entry.attempt, this._limits, this._way.random));
      this._later(id, wait);
    } else {
      this._take(id);
      entry.reject(new Refusal(data));
    }
    return true;
  }

  /** Gives all up. */
  rejectAll(data) {
    for (const id of [...this._entries.keys()]) this._take(id)?.reject(new Refusal(data));
  }

  _take(id) {
    const entry = this._entries.get(id);
    if (!entry) return undefined;
    this._way.clearTimeout(entry.timer);
    this._entries.delete(id);
    this._way.changed?.();
    return entry;
  }

  _later(id, ms) {
    const entry = this._entries.get(id);
    this._way.clearTimeout(entry.timer);
    entry.timer = this._way.setTimeout(() => this._send(id), ms);
  }

  _send(id) {
    const entry = this._entries.get(id);
    const { answerMs } = this._limits;
    if (this._way.now() > entry.deadline) {
      // No new attempt can count any more, but the last one's answer may still be under way.
      this._way.clearTimeout(entry.timer);
      entry.timer = this._way.setTimeout(() => {
        if (this._way.now() <= entry.deadline) return this._send(id);
        this._take(id)?.reject(new Refusal({ code: "UNCONFIRMED" }));
      }, answerMs);
      return;
    }
    if (this._way.send(entry.message)) entry.attempt += 1;
    this._later(id, answerMs * (0.75 + 0.5 * this._way.random()));
  }
}
