import assert from "node:assert/strict";
import { test } from "node:test";

import { BroadcastSync, Refusal } from "../../clients/web/sdk/index.js";
import { EMPTY, next } from "../../clients/web/sdk/show.js";
import { fakeNetwork, stage } from "./fakes.mjs";

const row = (n, voteCount, rank) => ({ contestantId: `c${n}`, voteCount, percentage: 0.1, rank });
const full = (n, voteCount, rank) => ({ ...row(n, voteCount, rank), contestantName: `Name ${n}`, contestantPhoto: `/${n}.jpg` });
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const board = (type, results, more = {}) => ({ type, data: { results, totalVotes: 9, contestantCount: 300, ...more } });

function of(...messages) {
  const contestants = range(1, 200).map((n) => ({ id: `c${n}`, name: `Name ${n}`, photoUrl: `/${n}.jpg` }));
  const state = next(EMPTY, { type: "STATE_UPDATE", data: stage({ contestants, contestantCount: 300 }) });
  return messages.reduce(next, state);
}

test("what a part of a long board does not say stays as it was", () => {
  const best = range(1, 100).map((n) => full(n, 500 - n, n));
  let state = of(board("LIVE_RESULTS", best), board("VOTE_UPDATE", [...best, row(150, 7, 101), row(250, 5, 102)]));
  assert.deepEqual(state.board.results.slice(100), [full(150, 7, 101), row(250, 5, 102)]); // c250 is not in the list
  state = next(state, board("LIVE_RESULTS", best));
  assert.equal(state.board.results.length, 102);
  state = next(state, board("VOTE_UPDATE", [row(150, 600, 1), ...range(1, 99).map((n) => row(n, 500 - n, n + 1))]));
  assert.deepEqual([state.board.results.length, state.board.results[0]], [102, full(150, 600, 1)]);
  assert.deepEqual(state.board.results.map(({ rank }) => rank), [...range(1, 100), 100, 102]); // c100's is to come
});

test("a line-up says how long it is", () => {
  assert.deepEqual([of().contestants.length, of().contestantCount], [200, 300]);
  assert.equal(next(EMPTY, { type: "STATE_UPDATE", data: stage({ contestants: [{ id: "c1" }] }) }).contestantCount, 1);
});

function asking(answer, event = 7) {
  const asked = [];
  const network = fakeNetwork();
  const fetch = async (url) => (asked.push(String(url)), answer());
  const show = new BroadcastSync({ WebSocket: network.FakeSocket, fetch });
  show.connect("wss://tv.example/voting/sync");
  if (event) network.last().say("STATE_UPDATE", stage({ show: { showId: "s", episode: 1, title: "", event } }));
  return { show, asked };
}

test("contestants are asked for where the socket is", async (t) => {
  const page = { contestants: [{ id: "c1" }], total: 1, nextCursor: null };
  const { show, asked } = asking(() => ({ ok: true, json: async () => page }));
  t.after(() => show.close());
  assert.deepEqual(await show.contestants({ search: "ណា & b", limit: 50, cursor: undefined, unknown: 1 }), page);
  assert.deepEqual(asked, [
    `https://tv.example/api/v1/events/7/contestants?search=${encodeURIComponent("ណា & b").replaceAll("%20", "+")}&limit=50`,
  ]);
});

test("what is refused, or not answered, is a Refusal", async (t) => {
  const refused = { code: "RATE_LIMIT", message: "slowly", retryable: true, retryAfter: 2 };
  const lost = () => {
    throw new TypeError("no network");
  };
  for (const [answer, event, code] of [
    [() => ({ ok: false, json: async () => refused }), 7, "RATE_LIMIT"],
    [lost, 7, "TRY_AGAIN"],
    [() => ({ ok: false, json: async () => JSON.parse("<html>") }), 7, "TRY_AGAIN"],
    [lost, null, "NOT_FOUND"],
  ]) {
    const { show } = asking(answer, event);
    t.after(() => show.close());
    await assert.rejects(show.contestants(), (error) => error instanceof Refusal && error.code === code);
  }
});
