/**
 * The server's time on this machine, from PING / PONG. Four readings make a sample: t0 sent here, t1 received
 * and t2 answered there, t3 received here (all milliseconds). The sample with the shortest round trip is
 * the most truthful one, because its unknown asymmetry is the smallest.
 */
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
    /** server minus local, milliseconds */
    this.offset = 0;
    /** the best sample's round trip in milliseconds; Infinity until one came */
    this.rtt = Infinity;
  }

  /** Unix milliseconds as the server has them. */
  now() {
    return this._now() + this.offset;
  }

  /** Forgets all samples (a new connection may lead to another machine); the offset stays until the next one. */
  restart() {
    this._samples = [];
    this.rtt = Infinity;
  }

  /** A first guess from a server timestamp, too early by the way it travelled. Ignored once there is a sample. */
  guess(serverMs) {
    if (this._samples.length === 0 && Number.isFinite(serverMs)) this.offset = serverMs - this._now();
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
    this.offset = best.offset;
    this.rtt = best.rtt;
  }
}
