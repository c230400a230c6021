// The parts of the studio screen that touch no element: figures, places, what is told of a result, which picture is on.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { EMPTY, next } from "../../clients/web/sdk/show.js";
import { fitted, inFull, inRow, inShort, monogram, nameOf, part, whole } from "../../clients/web/static/screen/figures.js";
import { arrange, GRAPHICS_SAFE, LAYOUTS } from "../../clients/web/static/screen/layout.js";
import { Programme } from "../../clients/web/static/screen/programme.js";
import { plan, Reveal, waitBefore } from "../../clients/web/static/screen/reveal.js";
import { Figures, mayShowCounts, rowOf, standing } from "../../clients/web/static/screen/standing.js";
import { viewOf } from "../../clients/web/static/screen/view.js";
import { wordsOf } from "../../clients/web/static/screen/words.js";

const people = (count) => Array.from({ length: count }, (_, n) => ({
  id: `c${n + 1}`, number: n + 1, name: `Name ${n + 1}`, photoUrl: "", status: "active",
}));
const ranked = (...ranks) => ranks.map((rank, n) => ({ contestantId: `c${n + 1}`, rank, voteCount: 100 - rank, percentage: 5 }));
const opened = (contestants, more = {}) => ({
  show: { showId: "s", episode: 1, title: "Show: Night" }, performance: null, voting: "OPEN", revision: 1, degraded: false,
  window: { windowId: "w", opensAt: "2027-01-15T08:00:00Z", closesAt: "2027-01-15T08:10:00Z", contestants, ...more },
});
const stateOf = (...messages) => messages.reduce((state, [type, data]) => next(state, { type, data }), EMPTY);
const resultOf = (results, certified = true) => ({ windowId: "w", results, totalVotes: 10, certified, ledgerTotal: 10, certificate: {} });
const TIME = { seconds: 5, share: 0.5, remainingMs: 5000 };
const HOW = { still: false, turn: 0 };

test("counts are exact, or in short, and never rounded wrong", () => {
  assert.equal(inFull(1234567), "1,234,567");
  assert.equal(inFull("9007199254740993"), "9,007,199,254,740,993");
  assert.equal(inFull(2 ** 53), "9,007.2T"); // it came rounded: its last digits are not known
  assert.deepEqual(["x", "", -1, 1.5, null, undefined].map(inFull), ["", "0", "", "", "", ""]);
  assert.equal(whole("12"), 12n);
  assert.deepEqual([999, 1000, 1250, 999_949, 999_950, 3_400_000, 999_950_000].map(inShort),
    ["999", "1.0K", "1.3K", "999.9K", "1.0M", "3.4M", "1.0B"]);
  assert.deepEqual([9_999_999, 10_000_000].map(inRow), ["9,999,999", "10.0M"]);
  assert.deepEqual([part(1, 4), part("9007199254740993", "9007199254740993"), part(1, 0), part(5, 4)], [0.25, 1, 0, 1]);
});

test("names lose what turns a line around and nothing else", () => {
  assert.equal(nameOf("\u202eevil\u202c\u0000  name\n"), "evil name");
  assert.equal(nameOf("👩‍👩‍👧 ក\u200bខ"), "👩‍👩‍👧 ក\u200bខ");
  assert.equal(nameOf(null), "");
});

test("a monogram for everybody", () => {
  assert.deepEqual(["Sok Dara", "The Riverside Four", "ញឹម បុប្ផា", "👩‍👩‍👧 🎤", "élan", "", "<b>Ann</b>"].map(monogram),
    ["SD", "TF", "ញឹ", "👩‍👩‍👧", "É", "", "B"]);
});

test("type shrinks with the length of a line", () => {
  assert.equal(fitted("12", 336, 100), 100);
  assert.ok(fitted("9,007,199,254,740,993", 336, 100) * 21 * 0.47 <= 336);
});

test("every arrangement stays within the safe area, and no two places touch", () => {
  const { x, y, width, height } = GRAPHICS_SAFE;
  for (const layout of LAYOUTS) {
    for (const counted of [true, false]) {
      for (const count of [0, 1, 2, 3, 4, 7, 8, 12, 13, 24, 25, 48, 200]) {
        const made = arrange(count, layout, counted);
        assert.equal(made.pages, Math.max(1, Math.ceil(count / made.perPage)));
        const places = Array.from({ length: Math.min(count, made.perPage) }, (_, place) => made.at(place));
        for (const at of places) {
          assert.ok(made.area.x + at.x >= x - 0.01 && made.area.x + at.x + made.width <= x + width + 0.01, `${layout} ${count}`);
          assert.ok(made.area.y + at.y >= y - 0.01 && made.area.y + at.y + made.height <= y + height + 0.01, `${layout} ${count}`);
        }
        assert.equal(new Set(places.map((at) => `${at.x} ${at.y}`)).size, places.length);
        if (places.length > 1 && places[1].x === places[0].x) assert.ok(places[1].y - places[0].y >= made.height);
      }
    }
  }
  assert.equal(arrange(200).perPage, 48);
  assert.ok(arrange(200).height >= 44, "a row of 200 is still high enough for 27 px of type");
});

test("rows stand by rank, then by number; without a board by number", () => {
  const figures = new Figures();
  const acts = people(4);
  assert.deepEqual(standing(acts, figures, 10).map((row) => row.rank), [0, 0, 0, 0]);
  figures.take("w", { results: [ranked(1)[0], { ...ranked(1, 1)[1], contestantId: "c4", rank: 1 }], totalVotes: 7 });
  assert.deepEqual(standing(acts, figures, 10).map((row) => row.id), ["c1", "c4", "c2", "c3"]);
  assert.equal(standing(acts, figures, 2).length, 2);
  assert.equal(figures.total, 7);
});

test("a board in parts adds up; another window begins anew, and no board is nothing known", () => {
  const figures = new Figures();
  figures.take("w", { results: ranked(1, 2), totalVotes: 2 });
  figures.take("w", { results: [{ contestantId: "c2", voteCount: 500, rank: 1, percentage: 9 }], totalVotes: 3 });
  assert.equal(figures.of("c1").rank, 1);
  assert.equal(figures.of("c2").voteCount, 500);
  figures.take("v", { results: ranked(1), totalVotes: 1 });
  assert.equal(figures.of("c2"), undefined);
  figures.take("v", null);
  assert.equal(figures.known, false);
  // a part may name somebody of whom there is no name
  figures.take("v", { results: [{ contestantId: "c9", voteCount: 1, rank: 1, percentage: 1 }], totalVotes: 1 });
  assert.deepEqual(standing(people(1), figures, 9).map((row) => row.id), ["c1"]);
});

test("who has no name is shown by what there is", () => {
  assert.equal(rowOf({ id: "c1", number: 7, name: "", khmerName: "សុខ" }).name, "សុខ");
  assert.equal(rowOf({ id: "c1", number: 7, name: "\u202e" }).name, "#7");
  assert.equal(rowOf({ id: "c1", number: 7, name: "A", status: "eliminated" }).out, true);
});

test("a result is told from the bottom to the top, ties together, those beyond the best first", () => {
  const kinds = (steps) => steps.map(({ kind, rank, places }) => `${kind} ${rank}: ${places.map((place) => place + 1)}`);
  assert.deepEqual(kinds(plan(ranked(1, 2))), ["place 2: 2", "winner 1: 1"]);
  assert.deepEqual(kinds(plan(ranked(1, 1, 3, 3, 5))), ["place 5: 5", "place 3: 3,4", "winner 1: 1,2"]);
  assert.deepEqual(kinds(plan(ranked(1, 2, 3, 4, 5), 3)), ["rest 4: 4,5", "place 3: 3", "place 2: 2", "winner 1: 1"]);
  assert.deepEqual(kinds(plan(ranked(1, 2, 3, 3), 3)), ["rest 3: 3,4", "place 2: 2", "winner 1: 1"]);
  assert.deepEqual(kinds(plan(ranked(1, 1, 1))), ["winner 1: 1,2,3"]);
  assert.deepEqual(plan([]), []);
  const long = plan(ranked(...Array.from({ length: 200 }, (_, n) => n + 1)));
  assert.equal(long.length, 13);
  assert.equal(long[0].places.length, 188);
  assert.equal(long.flatMap((step) => step.places).length, 200);
});

test("by itself it waits before each place, longer before the winner, and only on air", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let told = 0;
  const reveal = new Reveal(plan(ranked(1, 2, 3)), { changed: () => (told += 1), pace: 100, hold: 500 });
  mock.timers.tick(10_000);
  assert.equal(told, 0);
  reveal.onAir = true;
  mock.timers.tick(100);
  assert.deepEqual([told, reveal.now.rank, reveal.holding], [1, 3, false]);
  mock.timers.tick(100);
  assert.deepEqual([told, reveal.holding], [2, true]);
  mock.timers.tick(499);
  assert.equal(reveal.done, false);
  reveal.onAir = false;
  mock.timers.tick(10_000);
  reveal.onAir = true;
  mock.timers.tick(500);
  assert.deepEqual([told, reveal.done, reveal.next()], [3, true, false]);
  mock.timers.reset();
  assert.equal(waitBefore({ kind: "winner" }), 5000);
});

test("a director's reveal goes on by next() alone", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const reveal = new Reveal(plan(ranked(1, 2)), { changed: () => {}, director: true });
  reveal.onAir = true;
  mock.timers.tick(3_600_000);
  assert.equal(reveal.told, 0);
  assert.deepEqual([reveal.next(), reveal.next(), reveal.next()], [true, true, false]);
  mock.timers.reset();
});

test("which picture is on air", () => {
  const open = stateOf(["STATE_UPDATE", opened(people(2))]);
  const seen = (state, more = {}) => viewOf({ state, remainingMs: 1, act: false, releasedMs: null, told: false, ...more });
  assert.equal(seen(EMPTY), "title");
  assert.equal(seen(open), "open");
  assert.equal(seen(open, { remainingMs: 0 }), "closed");
  const closed = { ...open, voting: "CLOSED" };
  assert.equal(seen(closed), "closed");
  const released = { ...closed, result: resultOf(ranked(1, 2)) };
  assert.equal(seen(released), "reveal");
  assert.equal(seen(released, { told: true }), "final");
  assert.equal(seen(released, { told: true, wanted: "title" }), "title");
  assert.equal(seen(closed, { wanted: "result" }), "closed"); // there is none yet
  assert.equal(seen({ ...EMPTY, contestants: people(2) }, { wanted: "board" }), "waiting");
  assert.equal(seen(EMPTY, { wanted: "nonsense" }), "title");
});

test("an act that was on before the release gives way to the result; one that comes on after it does not", () => {
  const performance = { contestantId: "c1", songName: "S", startedAt: "2027-01-15T08:00:00Z" };
  const state = { ...stateOf(["STATE_UPDATE", opened(people(2))]), voting: "CLOSED", performance, result: resultOf(ranked(1, 2)) };
  const seen = (releasedMs) => viewOf({ state, remainingMs: null, act: true, releasedMs, told: false });
  assert.equal(seen(Date.parse("2027-01-15T08:09:00Z")), "reveal");
  assert.equal(seen(Date.parse("2027-01-15T07:00:00Z")), "act");
  assert.equal(seen(null), "reveal");
});

function programmeOf(data, ...messages) {
  const programme = new Programme(() => {});
  let state = EMPTY;
  const say = (type, message, nowMs) => {
    state = next(state, { type, data: message });
    programme.follow(state, data, nowMs);
    return programme.snapshot(state, data, TIME, HOW);
  };
  const last = messages.map((message) => say(...message)).at(-1);
  return { programme, say, snapshot: () => programme.snapshot(state, data, TIME, HOW), last };
}

test("of a result nothing is in the picture that has not been told", () => {
  const acts = people(3);
  const { programme, snapshot, last } = programmeOf({ director: "1" },
    ["STATE_UPDATE", { ...opened(acts), voting: "CLOSED" }], ["RESULTS_READY", resultOf(ranked(1, 2, 3))]);
  assert.equal(last.view, "reveal");
  assert.deepEqual(last.rows.map(({ rank, name, votes, share, told }) => [rank, name, votes, share, told]),
    [[1, "", 0, 0, false], [2, "", 0, 0, false], [3, "", 0, 0, false]]);
  assert.equal(programme.stepsLeft, 3);
  programme.next();
  assert.deepEqual(snapshot().rows.map((row) => row.name), ["", "", "Name 3"]);
  programme.next();
  assert.equal(snapshot().reveal.holding, true);
  programme.next();
  assert.equal(snapshot().view, "final");
  assert.deepEqual(snapshot().final.winners.map((row) => row.name), ["Name 1"]);
});

test("no more places are told one by one than the layout has room for", () => {
  const steps = (data) => programmeOf({ director: "1", ...data },
    ["STATE_UPDATE", { ...opened(people(12)), voting: "CLOSED" }],
    ["RESULTS_READY", resultOf(ranked(...Array.from({ length: 12 }, (_, place) => place + 1)))]).programme.stepsLeft;
  assert.equal(steps({}), 12);
  assert.equal(steps({ layout: "lower" }), 7); // those behind the best six at once
  assert.equal(steps({ layout: "lower", places: "3" }), 4);
  assert.equal(steps({ layout: "lower", places: "9" }), 7);
  assert.equal(steps({ layout: "side" }), 12);
});

test("who comes late sees the outcome at once", () => {
  const late = programmeOf({}, ["STATE_UPDATE", { ...opened(people(2)), voting: "CLOSED", resultsReleased: true }],
    ["RESULTS_READY", resultOf(ranked(1, 2))]);
  assert.equal(late.last.view, "final");
  const gone = programmeOf({}, ["STATE_UPDATE", { ...opened(people(2)), voting: "CLOSED" }]);
  gone.programme.released(0);
  assert.equal(gone.say("RESULTS_READY", resultOf(ranked(1, 2)), 15_001).view, "final"); // the link was down meanwhile
  const there = programmeOf({}, ["STATE_UPDATE", { ...opened(people(2)), voting: "CLOSED" }]);
  there.programme.released(0);
  assert.equal(there.say("RESULTS_READY", resultOf(ranked(1, 2)), 14_000).view, "reveal");
});

test("who was away while it was told sees the outcome, however young the message that says it", () => {
  const back = (awayMs, afterMs) => {
    const { programme, say } = programmeOf({}, ["STATE_UPDATE", { ...opened(people(2)), voting: "CLOSED" }]);
    programme.linked(false, 1000);
    programme.linked(false, 5000);
    programme.linked(true, 1000 + awayMs);
    programme.released(1000 + awayMs);
    return say("RESULTS_READY", resultOf(ranked(1, 2)), 1000 + awayMs + afterMs).view;
  };
  assert.deepEqual([back(60_000, 200), back(60_000, 4000), back(14_000, 200)], ["final", "reveal", "reveal"]);
});

test("a result that is certified later is not told again", () => {
  const { programme, say } = programmeOf({ director: true },
    ["STATE_UPDATE", { ...opened(people(2)), voting: "CLOSED" }], ["RESULTS_READY", resultOf(ranked(1, 2), false)]);
  programme.next();
  programme.next();
  const now = say("RESULTS_READY", resultOf(ranked(1, 2), true));
  assert.deepEqual([now.view, now.final.certified, programme.stepsLeft], ["final", true, 0]);
});

test("an embargo holds whatever comes, and nothing is said of counts that are not told", () => {
  const acts = people(2);
  const { last, say } = programmeOf({}, ["STATE_UPDATE", opened(acts, { visibility: "hidden" })],
    ["LIVE_RESULTS", { results: ranked(1, 2), totalVotes: 99 }]);
  assert.deepEqual([last.counted, last.total, last.rows.map((row) => [row.rank, row.votes, row.share])], [false, null, [[0, 0, 0], [0, 0, 0]]]);
  const screens = programmeOf({}, ["STATE_UPDATE", opened(acts, { visibility: "screens" })]);
  assert.equal(screens.last.total, null);
  assert.equal(screens.say("LIVE_RESULTS", { results: ranked(1, 2), totalVotes: 99 }).total, 99);
  assert.equal(say("RESULTS_READY", resultOf(ranked(1, 2))).counted, true);
  assert.equal(mayShowCounts(EMPTY), true);
});

test("messages of no known type change nothing, and words are never missing", () => {
  const { say, last } = programmeOf({}, ["STATE_UPDATE", opened(people(2))]);
  assert.deepEqual(say("FIREWORKS", { loud: true }), last);
  assert.equal(wordsOf("xx"), wordsOf("en"));
  assert.deepEqual(Object.keys(wordsOf("km")), Object.keys(wordsOf("en")));
  assert.ok(Object.values(wordsOf("km")).every(Boolean));
});
