/**
 * How far a viewer's picture is behind the studio, and what that makes of the countdown. Needs no page and no SDK:
 * an app that has its own player may use it as it is (docs/phone.md).
 */

/** A stream further behind is a recording, or its clock is wrong: not believed. */
export const MOST_MS = 120_000;
/** A vote leaves the phone this long before the last moment in which the server takes it. */
export const MARGIN_MS = 1_500;
const SAMPLES = 5;
const PLAYER_EVERY_MS = 5_000;
const PLAYLIST_EVERY_MS = 20_000;
const PLAYLIST_BYTES = 262_144;
/** What nobody would see is not passed on. */
const NOTICED_MS = 500;

const attribute = (line, name) => new RegExp(`[:,]${name}=("?)([^",]*)\\1`).exec(line)?.[2];

/** "+0700" is ISO 8601, but not every engine reads it without the colon. */
const dateOf = (text) => Date.parse(text.trim().replace(/([+-]\d\d)(\d\d)$/, "$1:$2"));

/**
 * Reads an HLS playlist (RFC 8216). Pure.
 * @param {string} text
 * @returns {{variants: string[], ended: boolean, holdBackMs: number, edgeMs: number | null} | null} `variants`: the
 *   playlists of a master playlist; `edgeMs`: Unix milliseconds of the end of what is offered, null where no
 *   PROGRAM-DATE-TIME says; `holdBackMs`: how far from that end players stay. null: this is no playlist
 */
export function parsePlaylist(text) {
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== "#EXTM3U") return null;
  const found = { variants: [], ended: false, holdBackMs: 0, edgeMs: null };
  let target = 0;
  let holdBack = null;
  let partHoldBack = null;
  let segment = 0;
  let parts = 0;
  let isMaster = false;
  for (const line of lines) {
    if (line.startsWith("#EXT-X-STREAM-INF")) isMaster = true;
    else if (line.startsWith("#EXT-X-ENDLIST")) found.ended = true;
    else if (line.startsWith("#EXT-X-TARGETDURATION:")) target = parseFloat(line.slice(22)) * 1000;
    else if (line.startsWith("#EXT-X-SERVER-CONTROL:")) {
      holdBack = parseFloat(attribute(line, "HOLD-BACK")) * 1000;
      partHoldBack = parseFloat(attribute(line, "PART-HOLD-BACK")) * 1000;
    } else if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) found.edgeMs = dateOf(line.slice(25));
    else if (line.startsWith("#EXTINF:")) segment = parseFloat(line.slice(8)) * 1000;
    else if (line.startsWith("#EXT-X-PART:")) parts += parseFloat(attribute(line, "DURATION")) * 1000;
    else if (line && !line.startsWith("#")) {
      if (isMaster) found.variants.push(line.trim());
      else if (found.edgeMs !== null) found.edgeMs += segment;
      segment = parts = 0; // the parts so far were those of this segment
    }
  }
  const inParts = parts > 0 && partHoldBack > 0;
  if (inParts && found.edgeMs !== null) found.edgeMs += parts;
  found.holdBackMs = inParts ? partHoldBack : holdBack || 3 * target;
  if (!Number.isFinite(found.edgeMs ?? 0)) found.edgeMs = null;
  return found;
}

/** @returns {number | null} milliseconds that a player of this playlist is behind `nowMs`; null where it does not say */
export function delayOfPlaylist(playlist, nowMs) {
  if (!playlist || playlist.ended || playlist.edgeMs === null) return null;
  return believed(nowMs - playlist.edgeMs + playlist.holdBackMs);
}

/**
 * @param {any} player hls.js (`playingDate`), or a `<video>` that plays HLS itself (`getStartDate`)
 * @returns {number | null} milliseconds that its picture is behind `nowMs`
 */
export function delayOfPlayer(player, nowMs) {
  const start = player.getStartDate?.().getTime();
  const shown = player.playingDate ? player.playingDate.getTime() : start + player.currentTime * 1000;
  return believed(nowMs - shown);
}

/** A clock that is a little fast makes a stream that is ahead of the studio: it is at the same time. */
function believed(ms) {
  return Number.isFinite(ms) && ms <= MOST_MS && ms > -MOST_MS ? Math.max(0, ms) : null;
}

/** @returns {number} the configured delay for this device; `content` as the server writes it, "ios=8000 android=6000 web=0" */
export function configuredDelay(content, userAgent, touchPoints = 0) {
  const platform = /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && touchPoints > 1) ? "ios"
    : /Android/.test(userAgent) ? "android" : "web";
  const ms = Number(new RegExp(`(?:^|\\s)${platform}=(\\d{1,6})(?:\\s|$)`).exec(content)?.[1] ?? 0);
  return Math.min(MOST_MS, ms);
}

/**
 * When the viewer's countdown ends. It follows the picture, `delayMs` behind, as far as votes still count: never
 * beyond the hard close less a margin. Pure.
 * @param {{closesAt: string, hardClosesAt?: string} | null} window
 * @param {number} delayMs
 * @returns {{atMs: number, earlyMs: number} | null} `earlyMs`: how long before the viewer's picture shows the close
 *   the lines are closed here
 */
export function shownClose(window, delayMs) {
  if (!window) return null;
  const closes = Date.parse(window.closesAt);
  const room = Math.max(0, Date.parse(window.hardClosesAt ?? window.closesAt) - closes - MARGIN_MS);
  const shift = Math.min(delayMs, room);
  return { atMs: closes + shift, earlyMs: delayMs - shift };
}

/** The delay of one viewer: what is configured until something was measured; then the median of the last measurements. */
export class StreamDelay {
  /**
   * @param {object} options
   * @param {() => number} options.now Unix milliseconds, the server's
   * @param {number} [options.configuredMs]
   * @param {(ms: number) => void} [options.changed]
   * @param {typeof fetch} [options.fetch]
   */
  constructor({ now, configuredMs = 0, changed = () => {}, fetch: get = (...given) => fetch(...given) }) {
    this._now = now;
    this._changed = changed;
    this._fetch = get;
    this._samples = [];
    this._timer = 0;
    /** milliseconds */
    this.ms = configuredMs;
    this.measured = false;
  }

  /** Takes a measurement; null is none. */
  take(ms) {
    if (ms === null) return;
    this._samples = [...this._samples, ms].slice(-SAMPLES);
    const median = [...this._samples].sort((a, b) => a - b)[this._samples.length >> 1];
    if (this.measured && Math.abs(median - this.ms) < NOTICED_MS) return;
    this.measured = true;
    this.ms = Math.round(median);
    this._changed(this.ms);
  }

  /** Follows a player from now on, instead of what was followed before. */
  watchPlayer(player) {
    this._repeat(() => this.take(delayOfPlayer(player, this._now())), PLAYER_EVERY_MS);
  }

  /** Reads the playlist at `url` from now on, a master playlist's first variant. One that cannot be read measures nothing. */
  watchPlaylist(url) {
    this._repeat(async () => this.take(await this._measure(url, 1)), PLAYLIST_EVERY_MS);
  }

  stop() {
    clearInterval(this._timer);
  }

  _repeat(measure, everyMs) {
    this.stop();
    this._samples = [];
    this._timer = setInterval(measure, everyMs);
    void measure();
  }

  async _measure(named, depth, base = globalThis.location?.href) {
    let url, text;
    try {
      url = new URL(named, base).href;
      const answer = await this._fetch(url, { credentials: "omit", cache: "no-store" });
      if (!answer.ok) return null;
      text = (await answer.text()).slice(0, PLAYLIST_BYTES);
    } catch {
      return null; // no address, away, or not allowed: what was known stays
    }
    const playlist = parsePlaylist(text);
    if (playlist?.variants.length && depth > 0) return this._measure(playlist.variants[0], depth - 1, url);
    return delayOfPlaylist(playlist, this._now());
  }
}
