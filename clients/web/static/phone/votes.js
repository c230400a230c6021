/**
 * The viewer's own votes: what is under way, what came of it, and what was counted in this window as far as this phone
 * knows. The SDK keeps unanswered ballots over a reload and sends them by id until they are acked or refused; this adds what
 * the page shows of them.
 */

const COUNTED_MS = 1_600;
/** So long the button says that a vote was refused; why stands beside it until the next one. */
const REFUSED_MS = 6_000;
/** Without an answer for so long a vote is shown as being retried: it was not lost, but nobody knows yet. */
const SLOW_MS = 3_000;
const KEY = "broadcast-sync.mine";
const UNSURE_MOST = 64;

/**
 * @typedef {"" | "sending" | "retrying" | "counted" | "refused" | "unknown"} Phase
 * @typedef {{sending: number, slow: number, phase: Phase, refusal: object | null, timer: any}} Standing
 */
const UNCONFIRMED = { code: "UNCONFIRMED" };
const NEW = () => ({ sending: 0, slow: 0, phase: "", refusal: null, timer: 0 });

export class MyVotes {
  /**
   * @param {object} given
   * @param {import("../sdk/index.js").BroadcastSync} given.show
   * @param {{get: (key: string) => string | null, set: (key: string, value: string | null) => void}} given.store
   * @param {() => boolean} given.joined whether there is a token
   * @param {() => Promise<void>} given.join resolves once there is a token; rejects with a Refusal
   * @param {() => void} given.changed what is shown is old
   * @param {(actId: string, ack: object | null, refusal: object | null) => void} given.answered for each vote, once
   */
  constructor({ show, store, joined, join, changed, answered }) {
    Object.assign(this, { _show: show, _store: store, _joined: joined, _join: join, _changed: changed, _answered: answered });
    /** @type {Map<string, Standing>} */
    this._acts = new Map();
    /** ids that this page has taken up */
    this._sending = new Set();
    /** votes under way by type */
    this.underWay = {};
    this._mine = { windowId: "", counted: {}, done: {}, unsure: [], unsent: [], ...parsed(store.get(KEY)) };
    for (const { actId } of this._mine.unsure) this._settle(this._standing(actId), "unknown", UNCONFIRMED);
  }

  _standing(actId) {
    const standing = this._acts.get(actId) ?? NEW();
    this._acts.set(actId, standing);
    return standing;
  }

  /** @returns {Standing} */
  of(actId) {
    return this._acts.get(actId) ?? NEW();
  }

  /** What is to be shown of an act, the newest first. @returns {Phase} */
  phaseOf(actId) {
    const { sending, slow, phase } = this.of(actId);
    if (!sending) return phase;
    return slow > 0 || this._show.connection !== "live" ? "retrying" : "sending";
  }

  /** Votes for an act that were counted in this window. */
  countedFor(actId) {
    return this._mine.counted[actId] ?? 0;
  }

  /** Acts with counted votes: [id, votes][]. */
  get counted() {
    return Object.entries(this._mine.counted);
  }

  /** Acts with votes of which nobody here knows whether they were counted. */
  get unsure() {
    return [...new Set(this._mine.unsure.map(({ actId }) => actId))];
  }

  /** True when the rules let this voter vote for the act no more. */
  isDone(actId, rules) {
    const most = rules?.votesPerContestant;
    return Boolean(this._mine.done[actId]) || (most !== undefined && this.countedFor(actId) >= most);
  }

  /** A new window begins with nothing counted; which acts are done stays for the show. */
  enter(windowId, showId) {
    if (this._mine.windowId === windowId) return;
    const done = this._mine.showId === showId ? this._mine.done : {};
    this._mine = { windowId, showId, counted: {}, done, unsure: [], unsent: [] };
    for (const standing of this._acts.values()) this._settle(standing, "");
    this._keep();
  }

  /** Casts votes, after joining if need be. Never rejects: what came of it is shown. */
  async cast(actId, voteType, voteCount = 1) {
    const ballot = { id: newId(), voteType, voteCount };
    if (!this._joined()) {
      this._mine.unsent.push({ actId, ...ballot }); // the SDK keeps it from the moment that it has a token
      this._keep();
    }
    return this._send(actId, ballot);
  }

  /** What waited for a token when the page was reloaded, while its window is open. */
  sendUnsent() {
    for (const { actId, ...ballot } of this._mine.unsent) if (!this._sending.has(ballot.id)) void this._send(actId, ballot);
  }

  async _send(actId, ballot) {
    this._sending.add(ballot.id);
    this._begin(actId, ballot);
    let answer = null;
    let refusal = null;
    try {
      await this._join();
      answer = this._show.vote(actId, ballot);
    } catch (error) {
      refusal = error;
    }
    this._mine.unsent = this._mine.unsent.filter(({ id }) => id !== ballot.id);
    if (refusal) return this._end(actId, ballot, null, refusal);
    this._keep();
    return this._follow(actId, ballot, answer);
  }

  /**
   * Takes up what a reload interrupted.
   * @param {{message: object, scope?: string}[]} kept what the SDK had kept; of what it gives up, nobody knows
   */
  resume(kept) {
    const taken = new Set();
    for (const [message, answer] of this._show.resumeVotes()) {
      taken.add(message.id);
      this._begin(message.contestantId, message);
      void this._follow(message.contestantId, message, answer);
    }
    for (const { message, scope } of kept) {
      if (taken.has(message.id)) continue;
      this._doubt(message.contestantId, message, scope);
      this._settle(this._standing(message.contestantId), "unknown", UNCONFIRMED);
    }
  }

  /**
   * Votes cannot be cast any more, but the server still knows the ids that it counted: asked again by its id, a vote of
   * which nobody knew is counted after all, or was too late. To be called while the same window is over and nothing else.
   */
  askAgain(windowId) {
    const doubted = this._mine.unsure.filter((one) => one.windowId === windowId);
    this._mine.unsure = this._mine.unsure.filter((one) => one.windowId !== windowId);
    for (const { actId, windowId: _, ...ballot } of doubted) {
      this._begin(actId, ballot);
      void this._follow(actId, ballot, this._show.vote(actId, ballot));
    }
  }

  _doubt(actId, { id, voteType, voteCount }, windowId = this._mine.windowId) {
    this._mine.unsure = [...this._mine.unsure, { actId, id, voteType, voteCount, windowId }].slice(-UNSURE_MOST);
  }

  _begin(actId, { voteType, voteCount }) {
    const standing = this._standing(actId);
    this._settle(standing, "");
    standing.sending += 1;
    this.underWay[voteType] = (this.underWay[voteType] ?? 0) + voteCount;
    this._changed();
  }

  async _follow(actId, ballot, answer) {
    const standing = this._standing(actId);
    let isSlow = false;
    const slow = setTimeout(() => {
      isSlow = true;
      standing.slow += 1;
      this._changed();
    }, SLOW_MS);
    let ack = null;
    let refusal = null;
    try {
      ack = await answer;
    } catch (error) {
      refusal = error;
    }
    clearTimeout(slow);
    if (isSlow) standing.slow -= 1;
    this._end(actId, ballot, ack, refusal);
  }

  _end(actId, ballot, ack, refusal) {
    const { voteType, voteCount } = ballot;
    const standing = this._standing(actId);
    standing.sending -= 1;
    this.underWay[voteType] = Math.max(0, (this.underWay[voteType] ?? 0) - voteCount);
    if (ack) {
      this._mine.counted[actId] = this.countedFor(actId) + ack.voteCount;
      this._settle(standing, "counted");
      standing.timer = setTimeout(() => (this._settle(standing, ""), this._changed()), COUNTED_MS);
    } else {
      if (refusal.code === "ALREADY_VOTED") this._mine.done[actId] = 1;
      if (refusal.code === "UNCONFIRMED") this._doubt(actId, ballot);
      const refused = refusal.code !== "UNCONFIRMED";
      this._settle(standing, refused ? "refused" : "unknown", refusal);
      if (refused) standing.timer = setTimeout(() => (this._settle(standing, "", refusal), this._changed()), REFUSED_MS);
    }
    this._keep();
    this._answered(actId, ack, refusal);
    this._changed();
  }

  /** The reason of a refusal stays until the next vote for the act: it is read by whoever comes back to it. */
  _settle(standing, phase, refusal = null) {
    clearTimeout(standing.timer);
    Object.assign(standing, { phase, refusal });
  }

  _keep() {
    this._store.set(KEY, JSON.stringify(this._mine));
  }
}

/** A ballot's id: 32 hexadecimal characters; needs no secure context, as randomUUID would. */
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const listed = (value) => (Array.isArray(value) ? value : []);

/** What another version or a broken storage left is no reason to fail. */
function parsed(text) {
  try {
    const kept = JSON.parse(text ?? "{}");
    if (!kept || typeof kept.counted !== "object") return {};
    return { ...kept, unsure: listed(kept.unsure), unsent: listed(kept.unsent) };
  } catch {
    return {};
  }
}
