/** Times, shares and answers in the desk's words. Pure. */
import { clockText, count } from "../page.js";
import { nameOf } from "./cues.js";

/** Milliseconds until something happens: "0:12", and what is overdue "now". Counts whole seconds as a countdown does. */
export const toGo = (ms) => (ms > 0 ? clockText(Math.ceil(ms / 1000)) : "now");

/** How old something is: "4 s", "1:05". */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds < 60 ? `${seconds} s` : clockText(seconds);
}

/** A share, cut and not rounded: it says 100% only when all have it. */
export const share = (part) => (Number.isFinite(part) ? `${Math.floor(part * 1000 + 1e-9) / 10}%` : "–");

/** "on time", "12 ms late", "1.4 s late". */
export function lateness(ms) {
  if (!Number.isFinite(ms)) return "";
  if (ms <= 0) return "on time";
  return ms < 1000 ? `${Math.round(ms)} ms late` : `${(ms / 1000).toFixed(1)} s late`;
}

/** The time of day of this desk. */
export const timeOfDay = (iso) => new Date(iso).toLocaleTimeString("en-GB");

const dayAndTime = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
});

/** A rundown that waits for its date. */
export const dueWords = ({ name, dueAt, cues }) =>
  `${name}: ${count(cues)} ${cues === 1 ? "cue" : "cues"}, due ${dayAndTime.format(new Date(dueAt))}`;

/** A message of the server's, with its instants as times of day; of another day than `today`'s with their day. */
export const plain = (message = "", today = new Date()) =>
  message.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (iso) => {
    const at = new Date(iso);
    return at.toDateString() === today.toDateString() ? timeOfDay(iso) : dayAndTime.format(at);
  });

/** What has become of a cue, or of one that waited (`mode` take, cancel or confirm). */
export function ackWords(event, ack, mode = "take") {
  const name = nameOf(event);
  if (mode === "cancel") return `${name}: cancelled.`;
  if (ack.pending) return `${name}: asked. Another person must confirm it by ${timeOfDay(ack.expiresAt)}.`;
  if (ack.armed) return `${name}: armed for ${timeOfDay(ack.at)}.`;
  const late = ack.latenessMs > 0 ? `, ${lateness(ack.latenessMs)}` : "";
  return `${name}: ${ack.replayed ? "had been taken already" : "done"}, revision ${ack.revision}${late}.`;
}

/** Why a cue was not taken. */
export function refusalWords(event, refusal) {
  const name = nameOf(event);
  if (refusal.code === "UNCONFIRMED") return `${name}: no answer. Look at the state; pressed again it is the same cue.`;
  const why = refusal.code === "STALE_REVISION" ? "The show had moved on: look, then press again." : plain(refusal.message);
  return `${name}: not taken. ${why} (${refusal.code})`;
}

/** What the cue log says of a cue whose answer was lost. */
export function foundWords(cue) {
  if (isRefused(cue)) return refusalWords(cue.event, { code: cue.outcome, message: cue.message });
  const late = cue.outcome === "executed" ? `, ${lateness(cue.latenessMs)}` : "";
  return `${nameOf(cue.event)}: its answer was lost. The log says: ${outcome(cue)}${late}.`;
}

const OUTCOMES = {
  executed: "Taken", armed: "Armed", cancelled: "Cancelled", pending: "Asked", expired: "Expired",
  due: "Waits for its date",
};

/** The outcome of a line of the cue log; what the desk does not know is a refusal and keeps its code. */
export const outcome = ({ outcome: is, mode, revision }) => {
  if (is === "executed") return `${mode === "confirm" ? "Confirmed" : "Taken"}, revision ${revision}`;
  return OUTCOMES[is] ?? is;
};

/** Whether a line of the cue log is a refusal. */
export const isRefused = ({ outcome: is }) => !(is in OUTCOMES);
