/** The cues to come and the last that were: the loaded rundown, and what else is armed. Pure. */

/** Within this long a cue to come is marked. */
export const SOON_MS = 10_000;
/** How many past items stay to be seen. */
const PAST = 2;
const NEXT = "armed";

/**
 * In the order of time. `waits` are those that are armed: they can be taken by hand, or cancelled. `by` is who armed what
 * is not in the rundown.
 * @param {Record<string, any> | null} tally
 * @returns {{cueId: string, event: string, atMs: number, timecode: string, by: string, state: string, waits: boolean}[]}
 */
export function items(tally) {
  const armed = new Map((tally?.armed ?? []).map((cue) => [cue.cueId, cue]));
  const listed = (tally?.rundown?.items ?? []).map((item) => entry(item, item.state, armed.get(item.cueId), ""));
  const known = new Set(listed.map((item) => item.cueId));
  const others = [...armed.values()].filter((cue) => !known.has(cue.cueId)).map((cue) => entry(cue, NEXT, cue, cue.by));
  const all = [...listed, ...others].sort((a, b) => a.atMs - b.atMs);
  const past = all.filter((item) => item.state !== NEXT).slice(-PAST);
  return all.filter((item) => item.state === NEXT || past.includes(item));
}

function entry(item, state, armed, by) {
  return {
    cueId: item.cueId,
    event: item.event,
    atMs: Date.parse(armed?.at ?? item.at),
    timecode: item.timecode ?? "",
    by,
    state,
    waits: state === NEXT && armed !== undefined,
  };
}
