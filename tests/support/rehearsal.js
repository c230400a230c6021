// A show without a server, in a page: messages go through the SDK's own state, and a stage draws it.
// Evaluated as an async function of the stage's options; leaves `client` and `stage` on the window.
async (options) => {
  const [{ Stage }, { EMPTY, next }] = await Promise.all([
    import("/web/screen/stage.js"), import("/web/sdk/show.js"),
  ]);

  class Rehearsal {
    state = EMPTY;
    clock = { now: () => Date.now() };
    #listeners = new Map();
    #second = null;
    #timer = setInterval(() => this.#tick(), 100);

    on(name, listener) {
      if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
      this.#listeners.get(name).add(listener);
      return () => this.#listeners.get(name).delete(listener);
    }

    get listeners() {
      return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
    }

    say(type, data, timestamp = new Date().toISOString()) {
      const before = this.state;
      this.state = next(before, { type, data });
      this.#emit("message", { type, data, timestamp });
      if (this.state !== before) this.#emit("change", this);
    }

    get remainingMs() {
      if (this.state.voting !== "OPEN" || !this.state.window) return null;
      return Math.max(0, Date.parse(this.state.window.closesAt) - this.clock.now());
    }

    get seconds() {
      return this.remainingMs === null ? null : Math.ceil(this.remainingMs / 1000);
    }

    get share() {
      const { opensAt, closesAt } = this.state.window ?? {};
      return this.remainingMs === null ? null : this.remainingMs / (Date.parse(closesAt) - Date.parse(opensAt));
    }

    setToken(token) {
      this.token = token;
    }

    #tick() {
      if (this.seconds === this.#second) return;
      this.#second = this.seconds;
      if (this.seconds !== null) this.#emit("second", this.seconds);
    }

    #emit(name, argument) {
      for (const listener of this.#listeners.get(name) ?? []) listener(argument);
    }
  }

  const { root = "div", client = true, ...rest } = options;
  const host = document.getElementById("root");
  window.client = client ? new Rehearsal() : null;
  window.stage = new Stage(root === "shadow" ? host.attachShadow({ mode: "open" }) : host, { client: window.client, ...rest });
  window.faults = [];
  addEventListener("error", ({ message }) => window.faults.push(message));
  addEventListener("unhandledrejection", ({ reason }) => window.faults.push(String(reason)));
  await window.stage.play();
}
