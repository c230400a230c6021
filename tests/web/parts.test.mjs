import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { closeWords, fullJitter, mayReconnect } from "../../clients/web/sdk/backoff.js";
import { ServerClock } from "../../clients/web/sdk/clock.js";
import { plainWords } from "../../clients/web/sdk/refusal.js";
import { EMPTY, next } from "../../clients/web/sdk/show.js";
import { stage, windowAt } from "./fakes.mjs";

const take = (...messages) => messages.reduce((state, [type, data]) => next(state, { type, data }), EMPTY);
const row = (contestantId, voteCount, rank) => ({ contestantId, voteCount, rank, percentage: 50 });

test("full jitter stays in [0, min(cap, base * 2^n))", () => {
  const limits = { base: 100, cap: 1000 };
  assert.equal(fullJitter(0, limits, () => 0), 0);
  assert.equal(fullJitter(0, limits, () => 0.5), 50);
  assert.equal(fullJitter(3, limits, () => 0.5), 400);
  assert.equal(fullJitter(500, limits, () => 0.5), 500);
});

test("close codes", () => {
  for (const code of [1000, 1001, 1006, 4000, 4005, 4499]) assert.ok(mayReconnect(code), code);
  for (const code of [4500, 4505, 4999]) assert.ok(!mayReconnect(code), code);
  assert.match(closeWords(4503), /connections/);
  assert.equal(closeWords(1011, "odd"), "odd");
});

test("the clock trusts the sample with the shortest round trip, and gets there without a jump", () => {
  let local = 100;
  const clock = new ServerClock(() => local);
  clock.sample(0, 1090, 1090, 100); // slow on the way there: says 1040
  assert.equal(clock.offset, 1040);
  local = 210;
  clock.sample(200, 1205, 1205, 210); // fast: says 1000
  assert.equal(clock.offset, 1040);
  local = 610; // 400 ms later: by 5 % of them
  assert.equal(clock.offset, 1020);
  local = 1400;
  assert.equal(clock.offset, 1000);
  clock.sample(1300, 2390, 2390, 1400);
  local = 3000;
  assert.equal(clock.offset, 1000);
  assert.equal(clock.rtt, 10);
});

test("corrections never let the clock stand still or run backwards", () => {
  let local = 0;
  const clock = new ServerClock(() => local);
  clock.sample(0, 950, 950, 100);
  let before = clock.now();
  for (const offset of [300, 900, 100, 999]) {
    clock.sample(local, local + offset, local + offset, local);
    for (let i = 0; i < 50; i++) {
      local += 20;
      assert.ok(clock.now() >= before + 18.9, `${clock.now() - before} in 20 ms`);
      before = clock.now();
    }
  }
});

test("what is off by more than a second is put right at once", () => {
  const clock = new ServerClock(() => 0);
  clock.sample(0, 60_000, 60_000, 10);
  clock.sample(0, 1_000, 1_000, 0);
  assert.equal(clock.offset, 1000);
});

test("the server's own time does not count as a round trip", () => {
  const clock = new ServerClock(() => 0);
  clock.sample(0, 505, 1005, 510);
  assert.equal(clock.rtt, 10);
  assert.equal(clock.offset, 500);
});

test("a guess is a guess: any sample is better", () => {
  const clock = new ServerClock(() => 100);
  clock.guess(600);
  assert.equal(clock.now(), 600);
  clock.sample(0, 1000, 1000, 0);
  clock.guess(5);
  assert.equal(clock.offset, 1000);
  clock.sample(NaN, 1, 1, 1);
  assert.equal(clock.offset, 1000);
});

test("every code of the protocol has plain words", () => {
  const protocol = readFileSync(new URL("../../broadcast_sync/errors.py", import.meta.url), "utf8");
  const codes = [...protocol.matchAll(/^ {4}"([A-Z_]+)": Code\(/gm)].map((match) => match[1]);
  assert.ok(codes.length > 25);
  for (const code of codes) assert.notEqual(plainWords({ code, message: "fallback" }), "fallback", code);
  assert.equal(plainWords({ code: "NEW_ONE", message: "fallback" }), "fallback");
});

const time = { ms: 1_800_000_000_000 };

test("a window opens, runs, closes and has a result", () => {
  const window = windowAt(time, 60);
  let state = take(["STATE_UPDATE", stage()], ["VOTING_OPEN", window]);
  assert.equal(state.voting, "OPEN");
  state = next(state, { type: "LIVE_RESULTS", data: { results: [row("a", 3, 1)], totalVotes: 3 } });
  assert.equal(state.board.totalVotes, 3);
  state = next(state, { type: "VOTING_CLOSED", data: { windowId: "w1", reason: "TIMER" } });
  assert.equal(state.voting, "CLOSING");
  state = next(state, { type: "RESULTS_READY", data: { windowId: "w1", results: [row("a", 4, 1)], totalVotes: 4 } });
  assert.equal(state.result.totalVotes, 4);
  assert.equal(state.board.totalVotes, 4);
  state = next(state, { type: "VOTING_OPEN", data: windowAt(time, 60, { windowId: "w2" }) });
  assert.deepEqual([state.result, state.board, state.voting], [null, null, "OPEN"]);
});

test("the close of another window is not ours", () => {
  const state = take(["VOTING_OPEN", windowAt(time, 60)]);
  assert.equal(next(state, { type: "VOTING_CLOSED", data: { windowId: "old" } }), state);
});

test("the lean board keeps names and photos", () => {
  const full = { ...row("a", 1, 1), contestantName: "Sok Dara" };
  const state = take(
    ["LIVE_RESULTS", { results: [full], totalVotes: 1 }],
    ["VOTE_UPDATE", { results: [row("a", 9, 1)], totalVotes: 9 }],
  );
  assert.equal(state.board.results[0].contestantName, "Sok Dara");
  assert.equal(state.board.results[0].voteCount, 9);
});

test("an ack changes what it names and nothing else", () => {
  const state = take(
    ["AUTH_OK", { userId: "u", roles: [], remaining: { free: 1, paid: 7 } }],
    ["VOTE_ACK", { remaining: { free: 0 } }],
  );
  assert.deepEqual(state.remaining, { free: 0, paid: 7 });
});

test("another episode brings another allowance", () => {
  let state = take(["STATE_UPDATE", stage()], ["AUTH_OK", { userId: "u", roles: [], remaining: { free: 1 } }]);
  assert.deepEqual(state.remaining, { free: 1 });
  state = next(state, { type: "STATE_UPDATE", data: stage({ revision: 2 }) });
  assert.deepEqual(state.remaining, { free: 1 });
  const show = { showId: "demo", episode: 2, title: "" };
  state = next(state, { type: "STATE_UPDATE", data: stage({ revision: 3, show }) });
  assert.equal(state.remaining, null);
});

test("unknown messages change nothing", () => {
  assert.equal(next(EMPTY, { type: "NEWS", data: {} }), EMPTY);
});
