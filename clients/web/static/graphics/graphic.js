/**
 * What a graphics host puts on air: the stage, fed by a connection of its own to the server this file came from, in a
 * page of any origin. The adapters beside it (`spx.js`, `board.js`) may be copied to the host; this is always loaded
 * from the server, so a template is never older than what it talks to.
 */
import { Stage } from "../screen/stage.js";
import { BroadcastSync } from "../sdk/index.js";

const RESULTS = new URL("/voting/results", import.meta.url).href.replace(/^http/, "ws");
/** A style sheet that does not come holds nothing back for longer; an element outside a document never gets one. */
const READY_MS = 1000;

export class Graphic {
  #client = new BroadcastSync({ backoff: { base: 300, cap: 4000 }, heartbeatMs: 3000, silenceMs: 6000 });
  #stage;
  #onAir = false;

  /**
   * Connects, and paints nothing before `play`. Without a connection it goes on showing what it last had, and says
   * nothing of the trouble.
   * @param {ShadowRoot} root its host has a size
   * @param {import("../screen/stage.js").Data} data keyed, and with a director, unless it says otherwise
   */
  constructor(root, { token, ...data }) {
    // hosts load a graphic when they play it, and may play it for a result that is out
    this.#stage = new Stage(root, { transparent: true, director: true, ...data, retell: true, client: this.#client });
    this.#client.connect(RESULTS, { token: token || null, channels: ["show", "results"] });
  }

  /** Comes on, if it is not. Resolves when it is painted, or after a second. */
  async play() {
    if (this.#onAir) return;
    this.#onAir = true;
    await Promise.race([this.#stage.play(), new Promise((resolve) => setTimeout(resolve, READY_MS))]);
  }

  /** Goes off. */
  async stop() {
    this.#onAir = false;
    await this.#stage.stop();
  }

  /** One step on in a reveal. @returns {boolean} whether there was one */
  next() {
    return this.#onAir && this.#stage.next() === true;
  }

  /** @param {import("../screen/stage.js").Data} data what is given replaces what was */
  update(data) {
    this.#stage.update(data);
  }

  /** Ends the connection and empties the root. */
  dispose() {
    this.#onAir = false;
    this.#stage.dispose();
    this.#client.close();
  }
}
