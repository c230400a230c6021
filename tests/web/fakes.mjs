// A network and a clock that do what the test says, when it says so.

export class FakeTime {
  constructor(start = 1_800_000_000_000) {
    this.ms = start;
    this._timers = [];
    this._id = 0;
    this.now = () => this.ms;
    this.setTimeout = (fn, ms) => {
      this._timers.push({ id: ++this._id, at: this.ms + ms, fn });
      return this._id;
    };
    this.clearTimeout = (id) => {
      this._timers = this._timers.filter((timer) => timer.id !== id);
    };
  }

  /** Lets `ms` pass, running what falls due in order; promises settle in between. */
  async pass(ms) {
    const end = this.ms + ms;
    for (;;) {
      await settled();
      const due = this._timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
      if (!due) break;
      this.clearTimeout(due.id);
      this.ms = Math.max(this.ms, due.at);
      due.fn();
    }
    this.ms = end;
  }
}

export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A WebSocket class whose sockets the test holds in `sockets`, newest last. */
export function fakeNetwork() {
  const sockets = [];
  class FakeSocket {
    constructor(url) {
      this.url = url;
      this.readyState = 0;
      this.sent = [];
      this.closedWith = null;
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close(code) {
      this.closedWith = code;
      this.readyState = 3;
    }
    // what the test does to it
    accept() {
      this.readyState = 1;
      this.onopen?.();
    }
    say(type, data, place = {}) {
      this.onmessage?.({ data: JSON.stringify({ type, data, timestamp: "2027-01-15T08:00:00.000Z", ...place }) });
    }
    fall(code = 1006, reason = "") {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
    of(type) {
      return this.sent.filter((message) => message.type === type);
    }
  }
  return { sockets, FakeSocket, last: () => sockets.at(-1) };
}

export const iso = (ms) => new Date(ms).toISOString();

export function windowAt(time, seconds, extra = {}) {
  return {
    windowId: "w1",
    state: "OPEN",
    opensAt: iso(time.ms),
    closesAt: iso(time.ms + seconds * 1000),
    hardClosesAt: iso(time.ms + seconds * 1000 + 5000),
    episode: 1,
    rulesHash: "x",
    rules: {},
    contestants: [],
    ...extra,
  };
}

export function stage(extra = {}) {
  return {
    show: { showId: "demo", episode: 1, title: "Live Show 1" },
    performance: null,
    voting: "IDLE",
    window: null,
    revision: 1,
    degraded: false,
    resultsReleased: false,
    contestants: [],
    ...extra,
  };
}
