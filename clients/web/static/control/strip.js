/** The line under the title: the cue that comes next, and the last one that was given. */
import { byId, setText } from "../page.js";
import { nameOf } from "./cues.js";
import { items, SOON_MS } from "./rundown.js";
import { isRefused, lateness, plain, timeOfDay, toGo } from "./words.js";

/**
 * The next cue that is armed.
 * @param {Record<string, any> | null} tally
 * @param {number} now milliseconds
 */
export function nextCue(tally, now) {
  const next = items(tally).find((item) => item.waits);
  if (!next) return { name: "", togo: "", at: tally ? "No cue is armed" : "", soon: false };
  const left = next.atMs - now;
  const at = `at ${next.timecode || timeOfDay(next.atMs)}`;
  return { name: nameOf(next.event), togo: toGo(left), at, soon: left <= SOON_MS };
}

/** The last cue that was taken or refused, whoever gave it; what only waits is no news. */
export function lastCue(tally) {
  const cue = tally?.cues.find((line) => line.outcome === "executed" || isRefused(line));
  if (!cue) return { name: "", words: tally ? "No cue was given yet" : "", refused: false };
  if (isRefused(cue)) return { name: nameOf(cue.event), words: `not taken: ${plain(cue.message) || cue.outcome}`, refused: true };
  const words = `taken at ${timeOfDay(cue.executedAt ?? cue.at)}, ${lateness(cue.latenessMs)}`;
  return { name: nameOf(cue.event), words, refused: false };
}

/** Shows both as `tally` knows them at `now`. */
export function renderStrip(tally, now) {
  const next = nextCue(tally, now);
  byId("next").classList.toggle("soon", next.soon);
  setText(byId("next-togo"), next.togo);
  setText(byId("next-name"), next.name);
  setText(byId("next-at"), next.at);
  const last = lastCue(tally);
  byId("last").classList.toggle("refused", last.refused);
  byId("last").title = last.words;
  setText(byId("last-name"), last.name);
  setText(byId("last-words"), last.words);
}
