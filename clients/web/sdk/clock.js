/**
 * The server's time on this machine, from PING / PONG. Four readings make a sample: t0 sent here, t1 received
 * and t2 answered there, t3 received here (all milliseconds). The sample with the shortest round trip is
 * the most truthful one, because its unknown asymmetry is the smallest.
 *
 * A better sample is approached, not jumped to: a countdown never stands still or runs backwards. Only the first
 * sample of all, and an error beyond `STEP_MS`, move the clock at once.
 */

/** How much faster or slower than real time the clock may run while it is corrected. */
const SLEW = 0.05;
/** Beyond this a correction is a step: slewing a second away would take twenty. */
const STEP_MS = 1000;

export class ServerClock {
  /**
   * @param {() => number} now local Unix milliseconds; should be steady (monotonic)
   * @param {number} [keep] how many samples compete; old ones leave, so that drift is followed
   */
  constructor(now, keep = 8) {
    this._now = now;
    this._keep = keep;
    /** @type {{offset: number, rtt: number}[]} */
    this._samples = [];
    /** where the offset is going to */
    this._target = 0;
    this._offset = 0;
    this._movedAt = now();
    this._measured = false;
    /** the best sample's round trip in milliseconds; Infinity until one came */
    this.rtt = Infinity;
  }

  /** server minus local, milliseconds, as far as it has been corrected by now */
  get offset() {
    const at = this._now();
    const most = Math.max(0, at - this._movedAt) * SLEW;
    this._movedAt = at;
    this._offset += Math.max(-most, Math.min(most, this._target - this._offset));
    return this._offset;
  }

  /** Unix milliseconds as the server has them. */
  now() {
    return this._now() + this.offset;
  }

  /** Forgets all samples (a new connection may lead to another machine); the offset stays and is corrected by the next. */
  restart() {
    this._samples = [];
    this.rtt = Infinity;
  }

  /** A first guess from a server timestamp, too early by the way it travelled. Ignored once there was a sample. */
  guess(serverMs) {
    if (!this._measured && Number.isFinite(serverMs)) this._aim(serverMs - this._now(), true);
  }

  /**
   * Takes a PONG.
   * @param {number} t0 @param {number} t1 @param {number} t2 @param {number} t3
   */
  sample(t0, t1, t2, t3) {
    const rtt = t3 - t0 - (t2 - t1);
    if (![t0, t1, t2, t3].every(Number.isFinite) || t3 < t0) return;
    this._samples.push({ offset: (t1 - t0 + (t2 - t3)) / 2, rtt: Math.max(0, rtt) });
    if (this._samples.length > this._keep) this._samples.shift();
    const best = this._samples.reduce((a, b) => (b.rtt <= a.rtt ? b : a));
    this._aim(best.offset, !this._measured);
    this._measured = true;
    this.rtt = best.rtt;
  }

  _aim(offset, atOnce) {
    const reached = this.offset;
    this._target = offset;
    if (atOnce || Math.abs(offset - reached) > STEP_MS) this._offset = offset;
  }
}
