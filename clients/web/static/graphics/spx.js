/**
 * CasparCG and SPX: the globals their hosts call, `update(data)`, `play()`, `next()`, `stop()` and `remove()`. An old-style
 * script, because a module does not load from a file; it only minds the host's manners, and loads what is drawn from the
 * server. Hosts call as soon as the page is there and never look at what comes back: a call that comes early is kept, and
 * nothing throws.
 */
(() => {
  "use strict";

  const RETRY_MS = [250, 500, 1000, 2000, 4000];
  /** Loaded from the server's own /web/graphics/, the template need not be told where that is. */
  const HOME = /^https?:$/.test(location.protocol) && location.pathname.startsWith("/web/graphics/") ? location.origin : "";
  /** CasparCG puts one there, by which a template takes itself off. */
  const leave = window.remove;

  const data = {};
  let server = "";
  let graphic = null;
  let onAir = false;

  const say = (what, error) => console.warn(`broadcast-sync: ${what}`, error ?? "");

  /** `fn`, as hosts may call it at any time and with anything. */
  const safely = (name, fn) => async (given) => {
    try {
      await fn(given);
    } catch (error) {
      say(`${name}() was of no use`, error);
    }
  };

  const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#039;": "'", "&#92;": "\\" };

  /** SPX plays text as HTML, updates it as it is, and says `undefined` for a field that is empty. */
  function plain(value) {
    if (typeof value !== "string") return value;
    const text = value.replace(/<br\s*\/?>|&lt;br&gt;/gi, " ").replace(/&(amp|lt|gt|quot|#039|#92);/g, (entity) => ENTITIES[entity]).trim();
    return text === "undefined" || text === "null" ? "" : text;
  }

  /** CasparCG's `<componentData id="title"><data id="text" value="..."/></componentData>`, one for each field. */
  function fromXml(text) {
    const xml = new DOMParser().parseFromString(text, "application/xml");
    if (xml.querySelector("parsererror")) throw new SyntaxError("the templateData is not well-formed XML");
    const components = [...xml.querySelectorAll("componentData")];
    return Object.fromEntries(components.map((component) =>
      [component.getAttribute("id"), component.querySelector("data")?.getAttribute("value") ?? component.textContent]));
  }

  function fieldsOf(given) {
    const text = typeof given === "string" ? given.trim() : "";
    const fields = text.startsWith("<") ? fromXml(text) : text ? JSON.parse(text) : given || {};
    if (typeof fields !== "object" || Array.isArray(fields)) throw new TypeError("neither templateData nor an object");
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)]));
  }

  /** The origin of an address as people type it, "tv.example:8000" too. */
  function originOf(address) {
    const text = String(address);
    return new URL(/^[a-z]+:\/\//i.test(text) ? text.replace(/^ws/i, "http") : `http://${text}`).origin;
  }

  function rootOf() {
    const place = document.createElement("div");
    Object.assign(place.style, { position: "fixed", inset: "0", overflow: "hidden" });
    document.body.replaceChildren(place);
    return place.attachShadow({ mode: "open" });
  }

  /** Loads the graphic from `server`, again and again while it is away, and puts it where the host wants it by now. */
  async function mount(origin) {
    let module = null;
    for (let attempt = 0; server === origin && !module; attempt += 1) {
      try {
        // Chromium up to 117 at least remembers that an address failed, and never asks it again
        module = await import(`${origin}/web/graphics/graphic.js${attempt ? `?${attempt}` : ""}`);
      } catch (error) {
        say(`${origin} does not answer`, error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
      }
    }
    if (server !== origin) return;
    graphic = new module.Graphic(rootOf(), data);
    if (onAir) await graphic.play();
  }

  /** Turns to the server that the data name; does nothing while that is the one it has. */
  async function turn() {
    const asked = data.server ? originOf(data.server) : HOME;
    if (asked === server) return;
    drop();
    server = asked;
    if (asked) await mount(asked);
  }

  function drop() {
    server = "";
    graphic?.dispose();
    graphic = null;
  }

  window.update = safely("update", (given) => {
    const fields = fieldsOf(given);
    Object.assign(data, fields);
    graphic?.update(fields);
    return turn();
  });

  window.play = safely("play", () => {
    onAir = true;
    if (graphic) return graphic.play();
    if (!data.server && !HOME) say("no server is named yet");
    return turn();
  });

  window.next = safely("next", () => graphic?.next());

  window.stop = safely("stop", () => {
    onAir = false;
    return graphic?.stop();
  });

  window.remove = safely("remove", () => {
    onAir = false;
    drop();
    leave?.();
  });
})();
