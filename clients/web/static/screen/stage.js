/**
 * The stage: what a studio cuts to. Title, act on stage, the ranking as it moves, the result told from the bottom to the
 * top. It draws inside one element or shadow root and nowhere else, asks nobody for anything, and fetches nothing when it
 * is imported. The studio screen and the adapters for graphics hosts all draw with it.
 *
 * When the link is gone it keeps what it shows and says nothing of it; the time goes on by the local clock.
 */
import { EMPTY } from "../sdk/show.js";
import { el } from "../page.js";
import { loadFonts } from "./fonts.js";
import { HEIGHT, WIDTH } from "./layout.js";
import { Programme, yes } from "./programme.js";
import { Scene } from "./scene.js";

/** A page of rows stands for so long, and a face that has its turn. */
const TURN_MS = 8000;
const FADE_MS = 450;

const STYLES = ["stage", "board", "kinds", "column", "cards", "layouts"].map((name) => new URL(`./${name}.css`, import.meta.url).href);

/**
 * What `update` knows. Hosts send strings, so numbers may be strings; other keys are ignored.
 * @typedef {object} Data
 * @property {string} [title] instead of the show's own
 * @property {string} [subtitle]
 * @property {string} [token] given to the client
 * @property {"night" | "light" | "plain"} [theme]
 * @property {"auto" | "title" | "act" | "board" | "result"} [view] taken while there is something of it to show; `result` never
 *   before its release
 * @property {"full" | "side" | "lower"} [layout]
 * @property {"en" | "km"} [lang]
 * @property {boolean | string} [safe] draws the safe areas
 * @property {boolean | string} [transparent] nothing behind the graphics, for keying
 * @property {boolean | string} [director] a reveal goes on only by `next()`
 * @property {"auto" | "full" | "none"} [motion] auto: as the machine's settings say
 * @property {boolean | string} [retell] a result that was out before this page came is told from its start; else it is shown whole
 * @property {number | string} [pace] seconds between two places of a reveal
 * @property {number | string} [hold] seconds before its winner
 * @property {number | string} [places] so many of the best are told one by one
 */

/** Nothing is painted before `play()`. The client stays the caller's, who connects and closes it. */
export class Stage {
  #root;
  #client;
  #links;
  #size;
  #off = [];
  #data = {};
  #scene = new Scene();
  #programme = new Programme(() => this.#changed());
  #playing = false;
  #frame = 0;
  /** Counts `play()` and `stop()`: the last one holds. */
  #takes = 0;
  #turning = null;
  #turn = 0;
  #motion = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {Element | ShadowRoot} root it, or its host, has a size; the picture is fitted into it
   * @param {Data & {client?: import("../sdk/index.js").BroadcastSync | null}} [options] without a client only what `update` says is shown
   */
  constructor(root, { client = null, ...data } = {}) {
    this.#root = root;
    this.#client = client;
    this.#links = STYLES.map((href) => el("link", { rel: "stylesheet", href }));
    loadFonts();
    /** Resolves when the styles are there, or will not come. */
    this.ready = Promise.all(this.#links.map((link) => new Promise((resolve) => {
      link.addEventListener("load", resolve, { once: true });
      link.addEventListener("error", resolve, { once: true });
    })));
    root.append(...this.#links, this.#scene.element);
    this.#size = new ResizeObserver(([{ contentRect }]) => this.#fit(contentRect));
    this.#size.observe(root instanceof ShadowRoot ? root.host : root);
    this.#listen();
    this.update(data);
  }

  /** Comes on. Resolves when it is painted, or somebody has called `stop()` meanwhile. */
  async play() {
    const take = (this.#takes += 1);
    await this.ready;
    if (take !== this.#takes) return;
    this.#playing = this.#programme.onAir = true;
    this.#scene.element.hidden = false;
    this.#draw();
    await new Promise((resolve) => requestAnimationFrame(resolve));
    this.#scene.element.classList.add("played");
  }

  /** Goes off. Resolves when nothing is painted any more, or somebody has called `play()` meanwhile. */
  async stop() {
    const take = (this.#takes += 1);
    this.#programme.onAir = false;
    this.#scene.element.classList.remove("played");
    await new Promise((resolve) => setTimeout(resolve, this.#still ? 0 : FADE_MS));
    if (take !== this.#takes) return;
    this.#playing = false;
    this.#scene.element.hidden = true;
  }

  /**
   * One step on: the next place of a result that is being told, else the next page of a ranking that has several.
   * @returns {boolean} whether there was one
   */
  next() {
    if (this.#programme.next()) return true;
    if (this.#scene.pages < 2) return false;
    this.#startTurning();
    this.#turned();
    return true;
  }

  /** How many steps `next()` still has in the result that is being told; 0 when none is. */
  get stepsLeft() {
    return this.#programme.stepsLeft;
  }

  /** @param {Data} data what is given replaces what was */
  update(data) {
    if (data.token && data.token !== this.#data.token) this.#client?.setToken(data.token);
    this.#data = { ...this.#data, ...data };
    this.#scene.element.dataset.theme = this.#data.theme || "night";
    this.#scene.keyed = yes(this.#data.transparent);
    this.#changed();
  }

  /** Takes everything out of the root again, and lets go of the client. */
  dispose() {
    this.#playing = false;
    for (const off of this.#off) off();
    cancelAnimationFrame(this.#frame);
    clearInterval(this.#turning);
    this.#programme.end();
    this.#scene.end();
    this.#size.disconnect();
    for (const element of [...this.#links, this.#scene.element]) element.remove();
  }

  // --- what makes it draw ---------------------------------------------------------------------------------------

  #listen() {
    const changed = () => this.#changed();
    this.#motion.addEventListener("change", changed);
    this.#off.push(() => this.#motion.removeEventListener("change", changed));
    this.#startTurning();
    if (!this.#client) return;
    this.#off.push(
      this.#client.on("change", changed),
      this.#client.on("second", changed),
      this.#client.on("connection", (connection) => this.#programme.linked(connection === "live", this.#client.clock?.now())),
      this.#client.on("message", ({ type, timestamp }) => {
        if (type === "RESULTS_READY") this.#programme.released(Date.parse(timestamp));
      }),
    );
  }

  #startTurning() {
    clearInterval(this.#turning);
    this.#turning = setInterval(() => this.#turned(), TURN_MS);
  }

  #turned() {
    this.#turn += 1;
    this.#changed();
  }

  #fit({ width, height }) {
    const scale = Math.min(width / WIDTH, height / HEIGHT);
    this.#scene.element.style.transform =
      `translate(${(width - WIDTH * scale) / 2}px, ${(height - HEIGHT * scale) / 2}px) scale(${scale})`;
  }

  /** Many messages may come between two frames; they are drawn once. */
  #changed() {
    this.#programme.follow(this.#state, this.#data, this.#client?.clock?.now());
    if (!this.#playing || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#playing) this.#draw();
    });
  }

  get #state() {
    return this.#client?.state ?? EMPTY;
  }

  get #still() {
    const { motion } = this.#data;
    return motion === "none" || (motion !== "full" && this.#motion.matches);
  }

  #draw() {
    const { seconds = null, share = null, remainingMs = null } = this.#client ?? {};
    const how = { still: this.#still, turn: this.#turn };
    this.#scene.show(this.#programme.snapshot(this.#state, this.#data, { seconds, share, remainingMs }, how));
  }
}
