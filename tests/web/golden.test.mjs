// The golden frames, decoded by the JavaScript SDK; tests/contract/clients/test_sdk_golden.py does the same with the Python SDK.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BroadcastSync } from "../../clients/web/sdk/index.js";
import { FakeTime, fakeNetwork } from "./fakes.mjs";

const golden = (name) => JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url)));

function watching() {
  const time = new FakeTime();
  const network = fakeNetwork();
  const { now, setTimeout, clearTimeout } = time;
  const show = new BroadcastSync({ WebSocket: network.FakeSocket, now, setTimeout, clearTimeout, random: () => 0.5 });
  const heard = { messages: [], problems: [] };
  show.on("message", (message) => heard.messages.push(message));
  show.on("problem", (problem) => heard.problems.push(problem.code));
  show.connect("ws://test/");
  const socket = network.last();
  socket.accept();
  return { show, heard, hear: (text) => socket.onmessage({ data: text }) };
}

for (const [type, message] of Object.entries(golden("messages"))) {
  test(`golden: ${type}`, () => {
    const { show, heard, hear } = watching();
    const told = [];
    show.on(type, (data) => told.push(data));
    hear(JSON.stringify(message));
    assert.deepEqual(heard.messages, [message]);
    assert.deepEqual(told, [message.data]);
    assert.deepEqual(heard.problems, type === "ERROR" ? ["STALE_REVISION"] : []);
  });
}

test("golden messages move the state", () => {
  const { show, hear } = watching();
  const messages = golden("messages");
  for (const type of ["STATE_UPDATE", "LIVE_RESULTS", "VOTE_UPDATE", "TALLY"]) hear(JSON.stringify(messages[type]));
  assert.equal(show.state.window.windowId, "w1");
  assert.equal(show.state.board.results[0].contestantName, "Nhem Bopha");
  assert.equal(show.state.board.results[0].voteCount, 1234);
  assert.equal(show.state.tally.director.node, "node-1");
});

for (const { name, frame, taken, unknown, refused = [] } of golden("odd_frames")) {
  test(`odd: ${name}`, () => {
    const { heard, hear } = watching();
    for (let i = 0; i < 3; i++) hear(frame);
    if (refused.includes("javascript")) {
      assert.deepEqual(heard, { messages: [], problems: Array(3).fill("BAD_MESSAGE") });
      return;
    }
    assert.equal(heard.messages.length, 3);
    for (const [key, value] of Object.entries(taken)) assert.deepEqual(heard.messages[0].data[key], value);
    assert.deepEqual(heard.problems, unknown ? ["UNKNOWN_TYPE"] : []);
  });
}

test("what cannot be read still has its place: it is not asked for again", () => {
  const { show, heard, hear } = watching();
  const place = (offset) => `"channel":"show","epoch":"e1","offset":${offset}`;
  hear(`{"type":"WARNING","data":{"code":"1_MINUTE","remaining":60},${place(7)}}`);
  hear(`{"type":"RESULTS_READY","data":{"totalVotes":9007199254740993},${place(8)}}`);
  hear(`{"type":"WARNING","data":{"code":"1_MINUTE","remaining":60},${place(9)}}`);
  assert.deepEqual(heard.messages.map((message) => message.offset), [7, 9]);
  assert.equal(show.state.result, null);
});
