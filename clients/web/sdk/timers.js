/** Timers by name: setting one again moves it, and all of an owner's can be let go of together. */
export class Timers {
  /** @param {{setTimeout: typeof setTimeout, clearTimeout: typeof clearTimeout}} time */
  constructor({ setTimeout, clearTimeout }) {
    this._setTimeout = setTimeout;
    this._clearTimeout = clearTimeout;
    this._timers = new Map();
  }

  /** Calls `fn` in `ms` milliseconds, in the place of the one that was to come under this name. */
  after(name, ms, fn) {
    this.cancel(name);
    const run = () => {
      this._timers.delete(name);
      fn();
    };
    this._timers.set(name, this._setTimeout(run, ms));
  }

  has(name) {
    return this._timers.has(name);
  }

  cancel(name) {
    this._clearTimeout(this._timers.get(name));
    this._timers.delete(name);
  }

  cancelAll() {
    for (const name of [...this._timers.keys()]) this.cancel(name);
  }
}
