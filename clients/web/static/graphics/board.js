/**
 * EBU OGraf v1: the ranking and the reveal as a Graphic, `board.ograf.json` beside it. It only minds the renderer's manners
 * and loads what is drawn from the server, so the two files may be packed and copied anywhere.
 */

/** Loaded from a server's own /web/graphics/, it need not be told where that is. */
const HOME = new URL(import.meta.url).pathname.startsWith("/web/graphics/") ? new URL(import.meta.url).origin : "";
/** A renderer that waits for load() gets its answer within this long, whatever the network does. */
const LOAD_MS = 2500;

const answer = (statusCode, statusMessage = "OK", more = {}) => ({ statusCode, statusMessage, ...more });

/** Chromium up to 117 at least remembers that an address failed, and never asks it again. */
let failed = 0;

/** @returns {Promise<typeof import("./graphic.js")>} rejects when the server cannot be had in time */
async function loadFrom(server) {
  const address = new URL(`/web/graphics/graphic.js${failed ? `?${failed}` : ""}`, server).href;
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`${server} does not answer`)), LOAD_MS));
  try {
    return await Promise.race([import(address), late]);
  } catch (error) {
    failed += 1;
    throw error;
  }
}

/** Motion is brought to its end before it is painted; what goes on for ever goes on. A page that is not drawn has none. */
async function settle(root) {
  await Promise.race([new Promise(requestAnimationFrame), new Promise((resolve) => setTimeout(resolve, 100))]);
  for (const animation of root.getAnimations()) {
    if (animation.effect?.getComputedTiming().endTime !== Infinity) animation.finish();
  }
}

/** Every action may come at any time: what cannot be done is answered with a 4xx or 5xx, and never thrown. */
export default class Board extends HTMLElement {
  #root = this.attachShadow({ mode: "open" });
  #graphic = null;
  /** Zero-based; undefined: not on air. Beyond 0, the places of a reveal. */
  #step;

  /** 503 when the server cannot be had, 400 when none is named. Then it may be loaded again. */
  async load({ data, renderType = "realtime" } = {}) {
    if (renderType !== "realtime") return answer(400, "This graphic is live: real-time rendering only");
    const server = data?.server || HOME;
    if (!/^https?:\/\/./.test(server)) return answer(400, "data.server: the address of the voting server, http://host:port");
    try {
      const { Graphic } = await loadFrom(server);
      await this.dispose();
      Object.assign(this.style, { position: "absolute", inset: "0", overflow: "hidden" });
      this.#graphic = new Graphic(this.#root, data ?? {});
    } catch (error) {
      return answer(503, String(error.message ?? error));
    }
    return answer(200);
  }

  async dispose() {
    this.#graphic?.dispose();
    this.#graphic = null;
    this.#step = undefined;
    return answer(200);
  }

  /** On air at step 0; each step beyond it is the next place of a reveal. A step that the reveal has not is not taken. */
  async playAction({ delta = 1, goto, skipAnimation = false } = {}) {
    if (!this.#graphic) return answer(409, "Not loaded", { currentStep: undefined });
    const target = goto ?? (this.#step ?? -1) + delta;
    await this.#graphic.play();
    this.#step ??= 0;
    while (this.#step < target && this.#graphic.next()) this.#step += 1;
    if (skipAnimation) await settle(this.#root);
    if (target >= this.#step) return answer(200, "OK", { currentStep: this.#step });
    return answer(409, "A reveal does not go back", { currentStep: this.#step });
  }

  async stopAction({ skipAnimation = false } = {}) {
    if (!this.#graphic) return answer(409, "Not loaded");
    await Promise.all([this.#graphic.stop(), skipAnimation && settle(this.#root)]);
    this.#step = undefined;
    return answer(200);
  }

  /** Only the fields that are given change. Another `server` is a matter of `load`. */
  async updateAction({ data, skipAnimation = false } = {}) {
    if (!this.#graphic) return answer(409, "Not loaded");
    if (typeof data !== "object" || data === null || Array.isArray(data)) return answer(400, "data: an object");
    this.#graphic.update(data);
    if (skipAnimation) await settle(this.#root);
    return answer(200);
  }

  async customAction({ id } = {}) {
    return answer(404, `No action ${id}`);
  }
}
