/** The cues a desk can give: what they are called, their keys, and what they ask before they go. Pure. */
import { clockText, count, votes } from "../page.js";

/**
 * By event: the button's words, those while a press only asks for it, its key, and whether it asks for a second press
 * because it cannot be taken back.
 * @type {Readonly<Record<string, {name: string, asking?: string, key: string, guarded?: true}>>}
 */
export const CUES = Object.freeze({
  SHOW_START: { name: "Start show", key: "S" },
  SHOW_END: { name: "End show", key: "E", guarded: true },
  PERFORMANCE_START: { name: "Act on stage", key: "A" },
  PERFORMANCE_END: { name: "Act off stage", key: "F" },
  VOTING_OPEN: { name: "Open lines", key: "O" },
  VOTING_EXTEND: { name: "Extend", asking: "Ask to extend", key: "X" },
  VOTING_CLOSE: { name: "Close lines", key: "C", guarded: true },
  RESULTS_RELEASE: { name: "Release result", asking: "Ask to release", key: "R", guarded: true },
  ADVANCE_SLOT: { name: "Next slot", key: "N", guarded: true },
  TIMECODE_SET: { name: "Set timecode", key: "T", guarded: true },
  VOID: { name: "Void votes", asking: "Ask to void", key: "V", guarded: true },
});

/** What the cue log has beside cues. */
const OTHERS = { RUNDOWN: "Rundown" };

/** An event in the desk's words; what it does not know keeps the wire's. */
export const nameOf = (event) => CUES[event]?.name ?? OTHERS[event] ?? event;

/**
 * The cues that a press only asks for, since another person must confirm them: as the server said in its tally; until one
 * came for this revision, as the state tells.
 * @param {import("../sdk/show.js").ShowState} state
 * @returns {Set<string>}
 */
export function askingCues({ tally, voting, revision }) {
  if (tally && tally.revision >= revision) return new Set(tally.asks);
  return new Set(voting === "CLOSED" ? ["VOID"] : ["VOID", "RESULTS_RELEASE"]);
}

/** What a cue's button says it does now; `asks`: a press only asks for it. */
export const buttonName = (event, asks) => (asks && CUES[event].asking) || CUES[event].name;

/**
 * What a guarded cue asks before its second press: the consequence, not the name.
 * @param {string} event
 * @param {{seconds?: number | null, asks?: boolean, season?: {slot: number} | null, data?: object}} about
 */
export function question(event, { seconds, asks, season, data = {} }) {
  switch (event) {
    case "VOTING_CLOSE":
      return seconds > 0 ? `Close ${clockText(seconds)} early?` : "Close now?";
    case "RESULTS_RELEASE":
      return asks ? "Ask for an early release?" : "Release on air?";
    case "ADVANCE_SLOT":
      return season ? `Leave slot ${season.slot}?` : "Leave this slot?";
    case "SHOW_END":
      return "End the show?";
    case "TIMECODE_SET":
      return `Set it to ${data.label ?? "time of day"}?`;
    case "VOID":
      return `Ask to void ${voided(data)}?`;
    default:
      return `${nameOf(event)}?`;
  }
}

function voided({ voteIds, voters }) {
  if (voteIds) return votes(voteIds.length);
  return voters ? `all of ${count(voters.length)} ${voters.length === 1 ? "voter" : "voters"}` : "votes";
}

/** What somebody asks a second person to agree to, with what matters of its data. */
export function requestWords(event, data = {}) {
  if (event === "VOTING_EXTEND") return `Extend by ${clockText(data.seconds)}`;
  if (event === "RESULTS_RELEASE") return "Release before certification";
  if (event === "VOID") return `Void ${voided(data)}${data.reason ? `: ${data.reason}` : ""}`;
  return nameOf(event);
}

/**
 * The cues that fit, as the server said in its tally; until one came for this revision, as the state tells.
 * @param {import("../sdk/show.js").ShowState & {season?: {status: string} | null}} state
 * @returns {Set<string>}
 */
export function legalCues({ tally, show, voting, performance, window, resultsReleased, revision, season = null }) {
  if (tally && tally.revision >= revision) return new Set(tally.legal);
  if (!show) return new Set(["SHOW_START"]);
  const legal = new Set([performance ? "PERFORMANCE_END" : "PERFORMANCE_START"]);
  if (voting === "OPEN") ["VOTING_EXTEND", "VOTING_CLOSE"].forEach((cue) => legal.add(cue));
  if (voting === "IDLE" || voting === "CLOSED") ["VOTING_OPEN", "SHOW_END"].forEach((cue) => legal.add(cue));
  if (season?.status === "voting") legal.add("ADVANCE_SLOT");
  if (voting === "CLOSED" && window && !resultsReleased) legal.add("RESULTS_RELEASE");
  return legal;
}
