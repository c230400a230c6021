/** The tally's lights: each has a level, which is a shape and a colour, and words. Pure. */
import { count } from "../page.js";
import { age } from "./words.js";

/** A director that has not reported for so long is silent; it reports each second. */
const SILENT_MS = 2500;
/** The ledger may be this many seconds of votes behind before anybody is told. */
const LAG_S = 2;
const LAG_LEAST = 200;

const RECOUNT = { EQUAL: ["good", "Equal"], PENDING: ["wait", "Pending"], DIFFERS: ["bad", "Differs"] };
const STREAMS = { OK: ["good", "Room"], ALARM: ["wait", "Filling"], FULL: ["bad", "Full"] };
const DARK = ["dark", "–"];

/**
 * @param {Record<string, any> | null} tally what is missing in it stays dark
 * @returns {{id: string, name: string, level: "good" | "wait" | "bad" | "dark", text: string}[]}
 */
export function lights(tally) {
  const found = {
    recount: ["Recount", RECOUNT[tally?.recount] ?? DARK],
    engine: ["Engine", engine(tally)],
    director: ["Director", director(tally?.director)],
    clock: ["Clock", clock(tally?.clock)],
    ledger: ["Ledger", ledger(tally)],
    streams: ["Streams", STREAMS[tally?.streams] ?? DARK],
  };
  return Object.entries(found).map(([id, [name, [level, text]]]) => ({ id, name, level, text }));
}

function engine(tally) {
  if (!tally) return DARK;
  const cutOff = (tally.nodes ?? []).filter((node) => node.degraded).length;
  if (tally.degraded) return ["bad", "Cut off"];
  return cutOff ? ["wait", `${count(cutOff)} cut off`] : ["good", "Up"];
}

function director(about) {
  if (!about) return DARK;
  return about.ageMs > SILENT_MS ? ["bad", `Silent ${age(about.ageMs)}`] : ["good", about.node || "Present"];
}

function clock(about) {
  if (!about || about.ageMs === null) return DARK;
  if (about.heldMs) return ["wait", `${count(Math.round(about.heldMs / 1000))} s held off`.replace("-", "−")];
  const off = `${about.offsetMs > 0 ? "+" : ""}${Math.round(about.offsetMs)} ms`.replace("-", "−");
  return [about.healthy ? "good" : "bad", off];
}

function ledger(tally) {
  const behind = tally?.ledgerLag;
  if (!Number.isFinite(behind)) return DARK;
  if (!behind) return ["good", "Level"];
  const usual = Math.max(LAG_LEAST, tally.votesPerSecond * LAG_S);
  return [behind > usual ? "wait" : "good", `${count(behind)} behind`];
}
