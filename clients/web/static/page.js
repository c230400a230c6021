/** Small helpers that all pages share: elements, numbers, portraits, tokens. */

/**
 * An element with properties, and children as text or elements.
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `data-*`, `aria-*`, `role` and `for` become attributes; `on*` listeners; the
 *   rest properties
 * @param {...(Node | string | null)} children
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class" || name === "role" || name === "for" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** @returns {HTMLElement} the element with this id, which must exist */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id} on this page`);
  return element;
}

/** Sets text only when it changed, so that screen readers and layout are left in peace. */
export function setText(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

/** 5 -> "0:05", 605 -> "10:05", 3605 -> "1:00:05". */
export function clockText(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

const grouped = new Intl.NumberFormat("en");

/** 12345 -> "12,345"; a count beyond 2^53 comes as a string of digits and stays exact. */
export const count = (n) => grouped.format(typeof n === "string" ? BigInt(n) : n);

/** 12.5 -> "12.5%". */
export const percent = (n) => `${Number(n).toFixed(1)}%`;

/** "1 vote", "1,200 votes". */
export const votes = (n) => `${count(n)} ${n === 1 ? "vote" : "votes"}`;

/** The server this file came from: in a graphics host's page that is not the page's own. */
const SERVER = new URL("/", import.meta.url);

/** Only pictures of the server or of https hosts; anything else shows the act's number instead. */
export function photoAddress(url) {
  try {
    const address = new URL(url, SERVER);
    return address.origin === SERVER.origin || address.protocol === "https:" ? address.href : "";
  } catch {
    return "";
  }
}

/** The portrait of a contestant; decorative, because the name always stands beside it. */
export function portrait(contestant, className = "") {
  const frame = el("span", { class: `portrait ${className}`, "data-number": contestant?.number ?? "" });
  const src = contestant ? photoAddress(contestant.photoUrl) : "";
  if (!contestant?.photoUrl || !src) {
    frame.classList.add("missing");
    return frame;
  }
  const image = el("img", { alt: "", decoding: "async", draggable: false });
  image.addEventListener("error", () => {
    image.remove();
    frame.classList.add("missing");
  });
  image.src = src;
  frame.append(image);
  return frame;
}

/** "Sok Dara", "Sok Dara and Keo Rithy", "Sok Dara, Keo Rithy and Long Visal". */
export const namesTogether = (names, and = " and ") => names.length < 3 ? names.join(and) : `${names.slice(0, -1).join(", ")}${and}${names.at(-1)}`;

/** Who stands first on a board, all of them, with the line-up's details where it has them: at most four pictures fit. */
export function firsts(results, byContestant) {
  return results.filter((row) => row.rank === 1).map((row) => ({
    id: row.contestantId,
    number: "",
    name: row.contestantName,
    photoUrl: row.contestantPhoto,
    ...byContestant(row.contestantId),
  }));
}

/** ws:// or wss:// address of `path` on the host this page came from. */
export const socketUrl = (path) => location.origin.replace(/^http/, "ws") + path;

/** localStorage that is allowed to be missing (private windows, blocked cookies). */
export const stored = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // kept for this page's life only
    }
  },
};

/**
 * The token of the address's `#token=...`. It is taken out of the address at once, so that it is not shared or shown.
 * @param {{keep?: boolean}} [how] keep: it stays there, for a page that nobody looks at the address of, and that is reloaded
 */
export function tokenFromAddress({ keep = false } = {}) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null && !keep) history.replaceState(null, "", location.pathname + location.search);
  return token?.trim() || null;
}

/**
 * A guest's token from the server.
 * @param {"user" | "control" | "screen"} role
 * @returns {Promise<string | null>} null when guests are not allowed (403); rejects when the server cannot be asked
 */
export async function guestToken(role) {
  const response = await fetch("/auth/guest", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ role }),
  });
  if (response.status === 401 || response.status === 403 || response.status === 404) return null;
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return (await response.json()).token;
}

/** The show's name and the episode's, from "Show: Episode". */
export function titles(show) {
  const [first, ...rest] = (show?.title ?? "").split(":");
  return { show: first.trim(), episode: rest.join(":").trim() || (show ? `Episode ${show.episode}` : "") };
}
