/**
 * What a graphics host puts on air: the stage, fed by a connection of its own to the server this file came from, in a
 * page of any origin. The adapters beside it (`spx.js`, `board.js`) may be copied to the host; this is always loaded
 * from the server, so a template is never older than what it talks to.
 */
import { Stage } from "../screen/stage.js";
import { BroadcastSync } from "../sdk/index.js";

const RESULTS = new URL("/voting/results", import.meta.url).href.replace(/^http/, "ws");
/** A style sheet that does not come holds nothing back for longer; an element outside a document never gets one. */
const READY_MS = 2000;

/** A shadow root's own `@font-face` is ignored by browsers: the page that the graphic is in has to know the fonts. */
const FONTS = [
  ["Archivo", "archivo.woff2", { weight: "100 900", stretch: "62% 125%" }],
  ["Kantumruy Pro", "kantumruy-pro-khmer.woff2", { weight: "100 700" }],
];

let lent = false;
function lendFonts() {
  if (lent) return;
  lent = true;
  for (const [family, file, descriptors] of FONTS) {
    const url = new URL(`../fonts/${file}`, import.meta.url).href;
    document.fonts.add(new FontFace(family, `url(${JSON.stringify(url)})`, { display: "swap", ...descriptors }));
  }
}

const FLAGS = new Set(["director", "transparent"]);
const TEXTS = new Set(["title", "subtitle"]);

/** As the stage takes it: hosts send everything as text, and an empty field for what the show itself is to say. */
function forStage(data) {
  const clean = {};
  for (const [name, value] of Object.entries(data)) {
    if (FLAGS.has(name)) clean[name] = value === true || value === "1" || value === "true";
    else if (value !== "" && value !== null && value !== undefined) clean[name] = value;
    else if (TEXTS.has(name)) clean[name] = null;
  }
  return clean;
}

export class Graphic {
  #client = new BroadcastSync({ backoff: { base: 300, cap: 4000 }, heartbeatMs: 3000, silenceMs: 6000 });
  #stage;
  #onAir = false;

  /**
   * Connects, and paints nothing before `play`. Without a connection it goes on showing what it last had, and says
   * nothing of the trouble.
   * @param {ShadowRoot} root its host has a size
   * @param {Record<string, unknown>} data `title`, `subtitle`, `token`, `theme`, ...: as for `Stage.update`, as text
   */
  constructor(root, data) {
    lendFonts();
    const { token = null, ...rest } = forStage(data);
    this.#stage = new Stage(root, { transparent: true, ...rest, client: this.#client });
    this.#stage.update(rest);
    this.#client.connect(RESULTS, { token, channels: ["show", "results"] });
  }

  /** Comes on, if it is not. Resolves when it is painted, or after two seconds. */
  async play() {
    if (this.#onAir) return;
    this.#onAir = true;
    const painted = this.#stage.play().then(() => this.#onAir || this.#stage.stop());
    await Promise.race([painted, new Promise((resolve) => setTimeout(resolve, READY_MS))]);
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

  /** @param {Record<string, unknown>} data what is given replaces what was */
  update(data) {
    this.#stage.update(forStage(data));
  }

  /** Ends the connection and empties the root. */
  dispose() {
    this.#onAir = false;
    this.#stage.dispose();
    this.#client.close();
  }
}
