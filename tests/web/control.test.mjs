// The pure parts of the control room's page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { askingCues, buttonName, CUES, legalCues, question, requestWords } from "../../clients/web/static/control/cues.js";
import { eventOf, isTyping, keyOf, PLACES } from "../../clients/web/static/control/keys.js";
import { lights } from "../../clients/web/static/control/lights.js";
import { GUARD_MS, HAMMER_MS, Outgoing, Presses } from "../../clients/web/static/control/press.js";
import { items } from "../../clients/web/static/control/rundown.js";
import { History, linePath, SPAN_S, topOf } from "../../clients/web/static/control/spark.js";
import { lastCue, nextCue } from "../../clients/web/static/control/strip.js";
import { ackWords, age, dueWords, foundWords, isRefused, lateness, outcome, plain, refusalWords, share, timeOfDay, toGo } from "../../clients/web/static/control/words.js";
import { FakeTime, iso, stage } from "./fakes.mjs";

const TALLY = { revision: 4, legal: ["VOTING_OPEN"], ledgerLag: 0, votesPerSecond: 0, recount: "EQUAL", degraded: false };
const at = (ms) => iso(1_800_000_000_000 + ms);

// --- presses ------------------------------------------------------------------------------------------------------

function presses() {
  const time = new FakeTime();
  return { time, of: new Presses(time.now) };
}

test("twelve presses in a second are one press", () => {
  const { time, of } = presses();
  const meant = Array.from({ length: 12 }, () => {
    time.ms += 1000 / 12;
    return of.press("VOTING_EXTEND", false);
  });
  assert.deepEqual(meant, ["take", ...Array(11).fill("ignore")]);
  time.ms += HAMMER_MS;
  assert.equal(of.press("VOTING_EXTEND", false), "take");
});

test("a press while the last one has no answer is one too many, and so is what follows it", () => {
  const { time, of } = presses();
  assert.equal(of.press("VOTING_EXTEND", false), "take");
  time.ms += 1000;
  assert.equal(of.press("VOTING_EXTEND", false, true), "ignore");
  time.ms += 83; // the answer has come in between
  assert.equal(of.press("VOTING_EXTEND", false), "ignore");
});

test("hammering lifts a guard and never goes through it", () => {
  const { time, of } = presses();
  const meant = Array.from({ length: 36 }, () => {
    time.ms += 1000 / 12;
    return of.press("SHOW_END", true);
  });
  assert.deepEqual(new Set(meant.slice(1)), new Set(["ignore"]));
  assert.equal(meant[0], "lift");
  time.ms += HAMMER_MS;
  assert.equal(of.press("SHOW_END", true), "take");
  assert.equal(of.lifted, "");
});

test("a guard falls back after its time, and when another button is pressed", () => {
  const { time, of } = presses();
  of.press("SHOW_END", true);
  assert.equal(of.lifted, "SHOW_END");
  time.ms += GUARD_MS;
  assert.equal(of.lifted, "");
  assert.equal(of.press("SHOW_END", true), "lift");
  time.ms += HAMMER_MS;
  assert.equal(of.press("VOTING_CLOSE", true), "lift");
  time.ms += HAMMER_MS;
  assert.equal(of.press("SHOW_END", true), "lift");
  of.drop();
  assert.equal(of.press("SHOW_END", true), "lift");
});

test("one cue of a kind is on its way; without an answer it keeps its id while the show stands still", () => {
  let ids = 0;
  const out = new Outgoing(() => `id-${++ids}`);
  assert.equal(out.begin("VOTING_EXTEND", "30", 7), "id-1");
  assert.equal(out.begin("VOTING_EXTEND", "30", 7), null);
  assert.equal(out.waits("VOTING_EXTEND"), true);
  assert.equal(out.begin("SHOW_END", "", 7), "id-2");
  out.unanswered("VOTING_EXTEND");
  assert.deepEqual(out.lost, [["VOTING_EXTEND", "id-1"]]);
  assert.equal(out.begin("VOTING_EXTEND", "30", 7), "id-1");
  assert.deepEqual(out.lost, []);
  out.unanswered("VOTING_EXTEND");
  assert.equal(out.begin("VOTING_EXTEND", "60", 7), "id-3");
  out.unanswered("VOTING_EXTEND");
  assert.equal(out.begin("VOTING_EXTEND", "60", 8), "id-4");
  out.answered("VOTING_EXTEND");
  assert.equal(out.begin("VOTING_EXTEND", "60", 8), "id-5");
  assert.equal(out.begin("cancel:x", "null", 8, "x"), "x");
});

// --- keys ---------------------------------------------------------------------------------------------------------

test("every cue has a key of its own, and none is that of a place", () => {
  const keys = [...Object.values(CUES).map((cue) => cue.key), ...Object.keys(PLACES)];
  assert.equal(new Set(keys).size, keys.length);
  for (const [event, { key }] of Object.entries(CUES)) assert.equal(eventOf(key), event);
  assert.equal(eventOf("B"), null);
});

test("a key is what is printed on it, also on a Khmer layout; shortcuts of the browser are not ours", () => {
  assert.equal(keyOf({ key: "o", code: "KeyO" }), "O");
  assert.equal(keyOf({ key: "O", code: "KeyO", shiftKey: true }), "O");
  assert.equal(keyOf({ key: "a", code: "KeyQ" }), "A"); // AZERTY
  assert.equal(keyOf({ key: "ោ", code: "KeyO" }), "O");
  assert.equal(keyOf({ key: "ö", code: "Semicolon" }), null);
  assert.equal(keyOf({ key: "é", code: "KeyE" }), null);
  assert.equal(keyOf({ key: "r", code: "KeyR", ctrlKey: true }), null);
  assert.equal(keyOf({ key: "c", code: "KeyC", metaKey: true }), null);
  assert.equal(keyOf({ key: "o", code: "KeyO", isComposing: true }), null);
  assert.equal(keyOf({ key: "?", code: "Slash", shiftKey: true }), "?");
  assert.equal(keyOf({ key: "Escape", code: "Escape" }), "Escape");
  assert.equal(keyOf({ key: "Enter", code: "Enter" }), null);
});

test("keys write in fields", () => {
  assert.equal(isTyping({ tagName: "INPUT", type: "text" }), true);
  assert.equal(isTyping({ tagName: "SELECT", type: "select-one" }), true);
  assert.equal(isTyping({ tagName: "TEXTAREA" }), true);
  assert.equal(isTyping({ tagName: "DIV", isContentEditable: true }), true);
  assert.equal(isTyping({ tagName: "INPUT", type: "checkbox" }), false);
  assert.equal(isTyping({ tagName: "BUTTON" }), false);
  assert.equal(isTyping(null), false);
});

// --- cues and words -----------------------------------------------------------------------------------------------

test("the server's tally says what fits, unless it is of an older revision", () => {
  const on = stage({ revision: 4, voting: "OPEN", tally: TALLY });
  assert.deepEqual([...legalCues(on)], ["VOTING_OPEN"]);
  const newer = legalCues({ ...on, revision: 5 });
  assert.deepEqual([...newer].sort(), ["PERFORMANCE_START", "VOTING_CLOSE", "VOTING_EXTEND"]);
  const season = { slot: 1, slots: 75, status: "voting" };
  assert.equal(legalCues({ ...on, revision: 5, season }).has("ADVANCE_SLOT"), true);
  assert.equal(legalCues({ ...on, revision: 5, season: { ...season, status: "locked" } }).has("ADVANCE_SLOT"), false);
  assert.deepEqual([...legalCues({ ...on, revision: 5, show: null })], ["SHOW_START"]);
});

test("a guard asks about the consequence", () => {
  assert.equal(question("VOTING_CLOSE", { seconds: 34 }), "Close 0:34 early?");
  assert.equal(question("VOTING_CLOSE", { seconds: null }), "Close now?");
  assert.equal(question("RESULTS_RELEASE", { asks: true }), "Ask for an early release?");
  assert.equal(question("RESULTS_RELEASE", {}), "Release on air?");
  assert.equal(question("ADVANCE_SLOT", { season: { slot: 12 } }), "Leave slot 12?");
  assert.equal(question("TIMECODE_SET", { data: { rate: "25", label: "10:00:00:00" } }), "Set it to 10:00:00:00?");
  assert.equal(question("VOID", { data: { voteIds: ["a", "b"] } }), "Ask to void 2 votes?");
  assert.equal(question("VOID", { data: { voters: ["a"] } }), "Ask to void all of 1 voter?");
  for (const [event, { guarded }] of Object.entries(CUES)) if (guarded) assert.match(question(event, {}), /\?$/);
});

test("a button says when a press only asks, by the server's word, or by the state until it has come", () => {
  const on = stage({ revision: 4, voting: "OPEN", tally: { ...TALLY, asks: ["VOTING_EXTEND"] } });
  assert.deepEqual([...askingCues(on)], ["VOTING_EXTEND"]);
  assert.deepEqual([...askingCues({ ...on, revision: 5 })], ["VOID", "RESULTS_RELEASE"]);
  assert.deepEqual([...askingCues({ ...on, revision: 5, voting: "CLOSED" })], ["VOID"]);
  assert.deepEqual(["RESULTS_RELEASE", "VOID", "VOTING_EXTEND", "SHOW_END"].map((event) => buttonName(event, true)),
    ["Ask to release", "Ask to void", "Ask to extend", "End show"]);
  assert.equal(buttonName("RESULTS_RELEASE", false), "Release result");
});

test("a request says what is asked for", () => {
  assert.equal(requestWords("VOTING_EXTEND", { seconds: 600 }), "Extend by 10:00");
  assert.equal(requestWords("RESULTS_RELEASE", {}), "Release before certification");
  assert.equal(requestWords("VOID", { voteIds: ["v"], reason: "robots" }), "Void 1 vote: robots");
  assert.equal(requestWords("NEW_KIND"), "NEW_KIND");
});

test("times, ages, shares and lateness", () => {
  assert.deepEqual([61_001, 12_000, 1, 0, -5].map(toGo), ["1:02", "0:12", "0:01", "now", "now"]);
  assert.deepEqual([0, 4999, 65_000, -3].map(age), ["0 s", "4 s", "1:05", "0 s"]);
  assert.deepEqual([1, 0.99999, 0.29, 0, undefined, NaN].map(share), ["100%", "99.9%", "29%", "0%", "–", "–"]);
  assert.deepEqual([-4, 0, 12, 1400, null].map(lateness), ["on time", "on time", "12 ms late", "1.4 s late", ""]);
});

test("an answer says what has become of the cue", () => {
  const ack = { revision: 9, latenessMs: 3, replayed: false };
  assert.equal(ackWords("VOTING_OPEN", ack), "Open lines: done, revision 9, 3 ms late.");
  assert.equal(ackWords("VOTING_OPEN", { ...ack, latenessMs: 0, replayed: true }), "Open lines: had been taken already, revision 9.");
  assert.match(ackWords("VOID", { ...ack, pending: true, expiresAt: at(0) }), /Another person must confirm it by \d\d:\d\d:\d\d/);
  assert.match(ackWords("VOTING_CLOSE", { ...ack, armed: true, at: at(0) }), /armed for/);
  assert.equal(ackWords("VOTING_CLOSE", ack, "cancel"), "Close lines: cancelled.");
  assert.match(refusalWords("SHOW_END", { code: "CUE_REJECTED", message: "Close it first." }), /not taken. Close it first. \(CUE_REJECTED\)/);
  assert.match(refusalWords("SHOW_END", { code: "UNCONFIRMED" }), /no answer/);
});

test("the log tells of a cue whose answer was lost", () => {
  const line = { event: "VOTING_EXTEND", outcome: "executed", revision: 3, latenessMs: 8100, mode: "take" };
  assert.match(foundWords(line), /Extend: its answer was lost. The log says: Taken, revision 3, 8.1 s late/);
  assert.match(foundWords({ ...line, outcome: "CUE_REJECTED", message: "Too late: it was asked 7.1 s ago; give it again." }),
    /^Extend: not taken. Too late: it was asked 7.1 s ago; give it again. \(CUE_REJECTED\)$/);
});

test("a line of the log is a refusal when its outcome is a code", () => {
  const row = (is, mode = "take") => ({ outcome: is, mode, revision: 3 });
  assert.equal(outcome(row("executed")), "Taken, revision 3");
  assert.equal(outcome(row("executed", "confirm")), "Confirmed, revision 3");
  assert.equal(outcome(row("pending")), "Asked");
  assert.equal(outcome(row("STALE_REVISION")), "STALE_REVISION");
  assert.deepEqual(["executed", "armed", "cancelled", "pending", "due", "CUE_REJECTED"].map((is) => isRefused(row(is))),
    [false, false, false, false, false, true]);
});

// --- the tally ----------------------------------------------------------------------------------------------------

const light = (tally, id) => {
  const found = lights(tally).find((each) => each.id === id);
  return [found.level, found.text];
};

test("a light knows good, wait and wrong, and is dark when it knows nothing", () => {
  assert.deepEqual(new Set(lights(null).map((each) => each.level)), new Set(["dark"]));
  assert.deepEqual(light(TALLY, "clock"), ["dark", "–"]);
  assert.deepEqual(light(TALLY, "director"), ["dark", "–"]);
  assert.deepEqual(light(TALLY, "recount"), ["good", "Equal"]);
  assert.deepEqual(light({ ...TALLY, recount: "DIFFERS" }, "recount"), ["bad", "Differs"]);
  assert.deepEqual(light({ ...TALLY, streams: "ALARM" }, "streams"), ["wait", "Filling"]);
  assert.deepEqual(light({ ...TALLY, clock: { offsetMs: -3.4, healthy: true } }, "clock"), ["good", "−3 ms"]);
  assert.deepEqual(light({ ...TALLY, clock: { offsetMs: 400, healthy: false } }, "clock"), ["bad", "+400 ms"]);
  assert.deepEqual(light({ ...TALLY, clock: { offsetMs: 2, healthy: true, heldMs: -3_600_000 } }, "clock"), ["wait", "−3,600 s held off"]);
  assert.deepEqual(light({ ...TALLY, degraded: true }, "engine"), ["bad", "Cut off"]);
  assert.deepEqual(light({ ...TALLY, nodes: [{ degraded: true }, { degraded: false }] }, "engine"), ["wait", "1 cut off"]);
  assert.deepEqual(light({ ...TALLY, director: { node: "n1", ageMs: 900 } }, "director"), ["good", "n1"]);
  assert.deepEqual(light({ ...TALLY, director: { node: "n1", ageMs: 5200 } }, "director"), ["bad", "Silent 5 s"]);
});

test("the ledger may be two seconds of votes behind", () => {
  assert.deepEqual(light(TALLY, "ledger"), ["good", "Level"]);
  assert.deepEqual(light({ ...TALLY, ledgerLag: null }, "ledger"), ["dark", "–"]);
  assert.deepEqual(light({ ...TALLY, ledgerLag: 1 }, "ledger"), ["good", "1 behind"]);
  assert.deepEqual(light({ ...TALLY, ledgerLag: 900, votesPerSecond: 500 }, "ledger"), ["good", "900 behind"]);
  assert.deepEqual(light({ ...TALLY, ledgerLag: 1100, votesPerSecond: 500 }, "ledger"), ["wait", "1,100 behind"]);
});

test("the rundown and what is armed beside it, in the order of time, with the last two that were", () => {
  const item = (cueId, ms, state) => ({ cueId, event: "VOTING_OPEN", at: at(ms), timecode: "", state });
  const tally = {
    rundown: { name: "r", items: [item("a", 1, "taken"), item("b", 2, "refused"), item("c", 3, "taken"), item("d", 40, "armed")] },
    armed: [
      { cueId: "x", event: "SHOW_END", at: at(30), timecode: "10:00:00:00", remainingMs: 30, by: "eva" },
      { cueId: "d", event: "VOTING_OPEN", at: at(40), timecode: "", remainingMs: 40, by: "rundown" },
    ],
  };
  assert.deepEqual(items(tally).map(({ cueId, waits, by }) => [cueId, waits, by]),
    [["b", false, ""], ["c", false, ""], ["x", true, "eva"], ["d", true, ""]]);
  assert.deepEqual(items(null), []);
  assert.deepEqual(items({}), []);
});

test("the strip tells of the next cue that is armed, and of the last that was taken or refused", () => {
  const now = Date.parse(at(0));
  const armed = (ms, timecode = "") => ({ cueId: `a${ms}`, event: "VOTING_OPEN", at: at(ms), timecode, by: "eva" });
  const line = (outcome, more = {}) => ({ event: "VOTING_EXTEND", outcome, at: at(-60_000), latenessMs: 0, message: "", ...more });
  assert.deepEqual([nextCue(null, now).at, lastCue(null).words], ["", ""]);
  assert.deepEqual(nextCue({}, now), { name: "", togo: "", at: "No cue is armed", soon: false });
  assert.deepEqual(nextCue({ armed: [armed(90_000), armed(9_500, "20:15:00:00")] }, now),
    { name: "Open lines", togo: "0:10", at: "at 20:15:00:00", soon: true });
  assert.equal(nextCue({ armed: [armed(90_000)] }, now).at, `at ${timeOfDay(at(90_000))}`);
  const taken = line("executed", { executedAt: at(-2_000), latenessMs: 4 });
  assert.equal(lastCue({ cues: [line("armed"), line("pending"), taken] }).words, `taken at ${timeOfDay(at(-2_000))}, 4 ms late`);
  const refused = lastCue({ cues: [line("CUE_REJECTED", { message: "No." }), taken] });
  assert.deepEqual(refused, { name: "Extend", words: "not taken: No.", refused: true });
  assert.equal(lastCue({ cues: [line("armed")] }).words, "No cue was given yet");
});

test("a rundown for another evening says when it is due", () => {
  const due = { name: "Finale", dueAt: new Date(2026, 11, 4, 20, 15).toISOString(), cues: 40, by: "eva" };
  assert.match(dueWords(due), /^Finale: 40 cues, due Fri,? 4 Dec,? 20:15$/);
  assert.match(dueWords({ ...due, cues: 1 }), /: 1 cue, /);
});

test("a message of the server's tells the time of day", () => {
  const at = "2026-11-25T12:17:04.053Z";
  assert.equal(plain(`for ${at}, by the rundown`, new Date(at)), `for ${timeOfDay(at)}, by the rundown`);
  assert.match(plain(`due ${at}`, new Date(2026, 10, 20)), /^due Wed,? 25 Nov,? \d\d:17$/);
  assert.equal(plain("Close it first."), "Close it first.");
});

// --- votes a second -----------------------------------------------------------------------------------------------

test("the scale's top is the next 1, 2 or 5 times a power of ten", () => {
  assert.deepEqual([0, 3, 10, 11, 20, 21, 51, 100, 4100, 900_000].map(topOf), [10, 10, 10, 20, 20, 50, 100, 100, 5000, 1_000_000]);
});

test("the line ends now at the right edge, with a gap where nothing was seen", () => {
  const frame = { now: 1000, width: 240, height: 48, top: 10 };
  const samples = [{ at: 880, value: 0 }, { at: 881, value: 5 }, { at: 940, value: 10 }, { at: 1000, value: 20 }];
  assert.equal(linePath(samples, frame), "M0 48h0L2 24M120 0h0M240 0h0");
  assert.equal(linePath([{ at: 800, value: 1 }], frame), "");
  assert.equal(linePath([], frame), "");
});

test("the history keeps two minutes, growing times and real numbers", () => {
  const history = new History();
  for (let second = 0; second <= 300; second++) history.add(second, second);
  history.add(300, 7);
  history.add(299, 7);
  history.add(301, NaN);
  assert.equal(history.samples.length, SPAN_S + 1);
  assert.deepEqual(history.samples.at(-1), { at: 300, value: 300 });
});
