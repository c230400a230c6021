import assert from "node:assert/strict";
import { test } from "node:test";

import { BroadcastSync } from "../../clients/web/sdk/index.js";
import { FakeTime, fakeNetwork, iso, settled, stage, windowAt } from "./fakes.mjs";

const ACK = { voteId: "v", status: "queued", contestantId: "c01", voteType: "free", voteCount: 1, replayed: false };

function client(options = {}) {
  const time = new FakeTime();
  const network = fakeNetwork();
  let ids = 0;
  const show = new BroadcastSync({
    WebSocket: network.FakeSocket,
    now: time.now,
    random: () => 0.5,
    setTimeout: time.setTimeout,
    clearTimeout: time.clearTimeout,
    newId: () => `id-${++ids}`,
    ...options,
  });
  return { show, time, network };
}

/** Connected, welcomed and signed in, with a window of `seconds` open. */
async function open(seconds = 60, options = {}) {
  const c = client(options);
  c.show.connect("ws://test/voting/sync", { token: "jwt" });
  signIn(c);
  c.network.last().say("STATE_UPDATE", stage({ voting: "OPEN", window: windowAt(c.time, seconds) }));
  await settled();
  return c;
}

function signIn({ network, time }) {
  const socket = network.last();
  socket.accept();
  socket.say("WELCOME", { sessionId: "s", node: "n", serverTime: iso(time.ms), pingInterval: 20 });
  authOk(socket, { remaining: { free: 5 } });
  return socket;
}

function authOk(socket, extra = {}) {
  socket.say("AUTH_OK", { userId: "u1", roles: ["user"], organizationId: "o", expiresAt: "", remaining: null, ...extra });
}

/** A message of channel `show`. */
const at = (offset, epoch = "e1") => ({ channel: "show", epoch, offset });
const WARNING = { code: "1_MINUTE", remaining: 60 };

/** Counts the events of `show` that its listeners get, by offset. */
function offsets(show) {
  const seen = [];
  show.on("message", ({ offset }) => offset !== undefined && seen.push(offset));
  return seen;
}

test("signs in and subscribes as soon as the socket is open", async () => {
  const { network } = await open();
  assert.deepEqual(network.last().sent.slice(0, 2), [
    { type: "AUTH", token: "jwt" },
    { type: "SUBSCRIBE", channels: ["show", "results"] },
  ]);
});

test("a vote resolves with its ack and moves the votes left", async () => {
  const { show, network } = await open();
  const vote = show.vote("c01");
  assert.equal(show.waiting, 1);
  assert.deepEqual(network.last().of("VOTE"), [
    { type: "VOTE", id: "id-1", contestantId: "c01", voteType: "free", voteCount: 1 },
  ]);
  network.last().say("VOTE_ACK", { id: "id-1", ...ACK, remaining: { free: 4 } });
  assert.equal((await vote).status, "queued");
  assert.deepEqual(show.state.remaining, { free: 4 });
  assert.equal(show.waiting, 0);
});

test("a refusal rejects with its code and is not sent again", async () => {
  const { show, network, time } = await open();
  const vote = show.vote("c01");
  network.last().say("ERROR", { code: "NO_FREE_VOTES", message: "none left", retryable: false, id: "id-1" });
  await assert.rejects(vote, { code: "NO_FREE_VOTES", retryable: false });
  await time.pass(10_000);
  assert.equal(network.last().of("VOTE").length, 1);
});

test("a vote without a token is refused at once", async () => {
  const { show } = client();
  show.connect("ws://test/", {});
  await assert.rejects(show.vote("c01"), { code: "UNAUTHENTICATED" });
});

for (const code of ["TRY_AGAIN", "BUSY", "RATE_LIMIT"]) {
  test(`${code} sends the same id again, not before retryAfter`, async () => {
    const { show, network, time } = await open();
    const vote = show.vote("c01");
    network.last().say("ERROR", { code, message: "", retryable: true, retryAfter: 2, id: "id-1" });
    await time.pass(1_999);
    assert.equal(network.last().of("VOTE").length, 1);
    await time.pass(2);
    assert.deepEqual(network.last().of("VOTE").map((m) => m.id), ["id-1", "id-1"]);
    network.last().say("VOTE_ACK", { id: "id-1", ...ACK, remaining: { free: 4 }, replayed: true });
    assert.equal((await vote).replayed, true);
  });
}

test("a lost answer sends the same id again", async () => {
  const { show, network, time } = await open();
  show.vote("c01").catch(() => {});
  await time.pass(4_100);
  assert.deepEqual(network.last().of("VOTE").map((m) => m.id), ["id-1", "id-1"]);
});

test("an unanswered vote survives a reconnect with its id, and waits for AUTH_OK", async () => {
  const { show, network, time } = await open();
  const vote = show.vote("c01");
  network.last().fall(1006);
  await time.pass(300);
  const socket = network.last();
  assert.equal(network.sockets.length, 2);
  socket.accept();
  socket.say("WELCOME", { sessionId: "s", node: "n", serverTime: iso(time.ms), pingInterval: 20 });
  assert.equal(socket.of("VOTE").length, 0);
  authOk(socket);
  assert.deepEqual(socket.of("VOTE").map((m) => m.id), ["id-1"]);
  socket.say("VOTE_ACK", { id: "id-1", ...ACK, remaining: { free: 4 } });
  await vote;
  assert.equal(show.waiting, 0);
});

test("a vote made while offline goes out when the connection is back", async () => {
  const { show, network, time } = await open();
  network.last().fall(1006);
  show.vote("c01").catch(() => {});
  await time.pass(300);
  assert.deepEqual(signIn({ network, time }).of("VOTE").map((m) => m.id), ["id-1"]);
});

test("after the hard close nothing is sent any more, and the vote is UNCONFIRMED", async () => {
  const { show, network, time } = await open(10);
  const refused = assert.rejects(show.vote("c01"), { code: "UNCONFIRMED" });
  await time.pass(15_001);
  const sent = network.last().of("VOTE").length;
  await time.pass(12_000);
  await refused;
  assert.equal(network.last().of("VOTE").length, sent);
});

test("a vote of one window is never sent into the next", async () => {
  const { show, network, time } = await open(10);
  const refused = assert.rejects(show.vote("c01"), { code: "UNCONFIRMED" });
  network.last().fall(1006);
  await time.pass(300);
  await time.pass(16_000);
  const socket = network.last();
  socket.accept();
  socket.say("STATE_UPDATE", stage({ voting: "OPEN", revision: 9, window: windowAt(time, 60, { windowId: "w2" }) }));
  authOk(socket);
  await time.pass(9_000);
  await refused;
  assert.equal(socket.of("VOTE").length, 0);
});

test("votes kept over a reload go out again with their ids", async () => {
  let kept = [];
  const keep = { load: () => kept, save: (votes) => (kept = structuredClone(votes)) };
  const first = await open(60, { keep });
  first.show.vote("c03").catch(() => {});
  assert.equal(kept.length, 1);

  const second = client({ keep });
  second.show.connect("ws://test/", { token: "jwt" });
  const [[message, vote]] = second.show.resumeVotes();
  assert.equal(message.contestantId, "c03");
  const socket = signIn(second);
  assert.deepEqual(socket.of("VOTE").map((m) => m.id), ["id-1"]);
  socket.say("VOTE_ACK", { id: "id-1", ...ACK, remaining: { free: 4 }, replayed: true });
  assert.equal((await vote).replayed, true);
  assert.deepEqual(kept, []);
});

test("reconnects with full jitter, doubling up to the cap", async () => {
  const { show, network, time } = client({ backoff: { base: 1000, cap: 5000 } });
  show.connect("ws://test/", {});
  for (const wait of [500, 1000, 2000, 2500, 2500]) {
    const before = network.sockets.length;
    network.last().fall(1006);
    await time.pass(wait - 1);
    assert.equal(network.sockets.length, before);
    await time.pass(1);
    assert.equal(network.sockets.length, before + 1);
  }
});

test("a settled connection starts the backoff anew", async () => {
  const { show, network, time } = client({ backoff: { base: 1000, cap: 60_000 } });
  show.connect("ws://test/", {});
  for (let i = 0; i < 4; i++) {
    network.last().fall(1006);
    await time.pass(10_000);
  }
  network.last().accept();
  await time.pass(5_000);
  const before = network.sockets.length;
  network.last().fall(1006);
  await time.pass(500);
  assert.equal(network.sockets.length, before + 1);
});

for (const code of [4000, 4001, 4499, 1001]) {
  test(`close ${code} reconnects`, async () => {
    const { network, time } = await open();
    network.last().fall(code);
    await time.pass(1_600);
    assert.ok(network.sockets.length > 1);
  });
}

for (const code of [4500, 4502, 4999]) {
  test(`close ${code} does not reconnect and says why`, async () => {
    const { show, network, time } = await open();
    const said = [];
    show.on("refused", (refused) => said.push(refused));
    network.last().fall(code, "because");
    await time.pass(60_000);
    assert.equal(network.sockets.length, 1);
    assert.equal(show.connection, "closed");
    assert.equal(said[0].code, code);
    assert.ok(said[0].reason.length > 5);
  });
}

test("RECONNECT is honoured at its own slot, even if the server closes before", async () => {
  const { network, time } = await open();
  network.last().say("RECONNECT", { afterMs: 3000, reason: "deploy" });
  await time.pass(1000);
  network.last().fall(4000);
  await time.pass(1_999);
  assert.equal(network.sockets.length, 1);
  await time.pass(1);
  assert.equal(network.sockets.length, 2);
});

test("RECONNECT moves a connection the server has left open", async () => {
  const { network, time } = await open();
  network.last().say("RECONNECT", { afterMs: 3000, reason: "deploy" });
  await time.pass(3000);
  assert.equal(network.sockets.length, 2);
  assert.equal(network.sockets[0].closedWith, 1000);
});

test("resumes from the last offset and drops what it has seen", async () => {
  const { show, network, time } = await open();
  const seen = offsets(show);
  network.last().say("WARNING", WARNING, at(7));
  network.last().say("WARNING", WARNING, at(7));
  network.last().fall(1006);
  await time.pass(300);
  const socket = signIn({ network, time });
  assert.deepEqual(socket.of("SUBSCRIBE")[0].since, { show: { epoch: "e1", offset: 7 } });
  socket.say("SUBSCRIBED", { channel: "show", recovered: true, epoch: "e1", offset: 9 });
  for (const offset of [7, 8, 9]) socket.say("WARNING", WARNING, at(offset));
  assert.deepEqual(seen, [7, 8, 9]);
});

test("a snapshot is taken, whatever the epoch before; what it stands for is not taken again", async () => {
  const { show, network } = await open();
  const socket = network.last();
  const seen = offsets(show);
  socket.say("STATE_UPDATE", stage({ revision: 5 }), at(9));
  socket.say("SUBSCRIBED", { channel: "show", recovered: false, epoch: "e2", offset: 4 });
  socket.say("STATE_UPDATE", stage({ revision: 3 }), { channel: "show" });
  assert.equal(show.state.revision, 3);
  for (const offset of [3, 4, 5]) socket.say("WARNING", WARNING, at(offset, "e2"));
  assert.deepEqual(seen, [9, 5]);
});

test("a node that lags does not bring again what we have", async () => {
  const { show, network } = await open();
  const socket = network.last();
  const seen = offsets(show);
  socket.say("WARNING", WARNING, at(9));
  socket.say("SUBSCRIBED", { channel: "show", recovered: false, epoch: "e1", offset: 7 });
  for (const offset of [8, 9, 10]) socket.say("WARNING", WARNING, at(offset));
  assert.deepEqual(seen, [9, 10]);
});

test("a gap is healed by asking for what was missed, once", async () => {
  const { show, network, time } = await open();
  const socket = network.last();
  for (const channel of ["show", "results"]) socket.say("SUBSCRIBED", { channel, recovered: false, epoch: "e1", offset: 7 });
  const seen = offsets(show);
  const asked = () => socket.of("SUBSCRIBE").slice(1).map(({ ack, ...message }) => message);
  for (const offset of [9, 8, 11, 12]) socket.say("WARNING", WARNING, at(offset));
  assert.deepEqual(seen, [8]);
  assert.deepEqual(asked(), [{ type: "SUBSCRIBE", channels: ["show"], since: { show: { epoch: "e1", offset: 7 } } }]);
  await time.pass(5_000); // the answer was lost
  assert.deepEqual(asked()[1], { type: "SUBSCRIBE", channels: ["show"], since: { show: { epoch: "e1", offset: 8 } } });
  socket.say("SUBSCRIBED", { channel: "show", recovered: true, epoch: "e1", offset: 12 });
  for (const offset of [9, 10, 11, 12]) socket.say("WARNING", WARNING, at(offset));
  assert.deepEqual(seen, [8, 9, 10, 11, 12]);
  await time.pass(20_000);
  assert.equal(asked().length, 2);
});

test("what overtakes the replay after a reconnect is not taken before it", async () => {
  const { show, network, time } = await open();
  const seen = offsets(show);
  network.last().say("WARNING", WARNING, at(7));
  network.last().fall(1006);
  await time.pass(300);
  const socket = signIn({ network, time });
  socket.say("WARNING", WARNING, at(10)); // published between the greeting and our SUBSCRIBE
  socket.say("SUBSCRIBED", { channel: "show", recovered: true, epoch: "e1", offset: 10 });
  for (const offset of [8, 9, 10]) socket.say("WARNING", WARNING, at(offset));
  assert.deepEqual(seen, [7, 8, 9, 10]);
});

test("a refused SUBSCRIBE is said once more without a place, and then no more", async () => {
  const { network, time } = await open();
  const socket = network.last();
  socket.say("WARNING", WARNING, at(7));
  socket.say("WARNING", WARNING, at(9));
  const refused = { code: "BAD_MESSAGE", message: "", retryable: false };
  socket.say("ERROR", refused);
  assert.equal(socket.of("SUBSCRIBE").at(-1).since, undefined);
  socket.say("ERROR", refused);
  const before = socket.of("SUBSCRIBE").length;
  await time.pass(30_000);
  assert.equal(socket.of("SUBSCRIBE").length, before);
});

test("an AUTH without an answer is said again", async () => {
  const { show, network, time } = client();
  show.connect("ws://test/", { token: "jwt" });
  const socket = network.last();
  socket.accept();
  await time.pass(4_500);
  assert.equal(socket.of("AUTH").length, 2);
  authOk(socket);
  await time.pass(9_000);
  assert.equal(socket.of("AUTH").length, 2);
});

test("the result that each snapshot brings again is told once", async () => {
  const { show, network } = await open();
  const socket = network.last();
  let told = 0;
  show.on("RESULTS_READY", () => (told += 1));
  const result = { windowId: "w1", results: [], totalVotes: 3, certified: true, ledgerTotal: 3, certificate: {} };
  socket.say("RESULTS_READY", result, at(7));
  socket.say("RESULTS_READY", result, { channel: "show" });
  assert.equal(told, 1);
  socket.say("RESULTS_READY", { ...result, totalVotes: 2 }, { channel: "show" });
  assert.equal(told, 2);
});

test("a number beyond 2^53 would be rounded: the message is refused", async () => {
  const { show, network } = await open();
  const problems = [];
  show.on("problem", (problem) => problems.push(problem.message));
  const board = (total) => `{"type":"LIVE_RESULTS","data":{"results":[],"totalVotes":${total}},"timestamp":""}`;
  network.last().onmessage({ data: board("9007199254740991") });
  network.last().onmessage({ data: board("9007199254740993") });
  assert.equal(show.state.board.totalVotes, Number.MAX_SAFE_INTEGER);
  assert.match(problems.join(), /totalVotes is beyond 2\^53/);
});

test("a listener that throws stops nobody else", async (t) => {
  const { show, network } = await open();
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (fn) => thrown.push(fn));
  let heard = 0;
  show.on("WARNING", () => {
    throw new Error("of the page");
  });
  show.on("WARNING", () => (heard += 1));
  network.last().say("WARNING", WARNING, at(7));
  network.last().say("WARNING", WARNING, at(8));
  assert.equal(heard, 2);
  assert.throws(thrown[0], /of the page/);
});

test("without a WebSocket class it says what to give", () => {
  const { show } = client({ WebSocket: null });
  assert.throws(() => show.connect("ws://test/"), /give a class as the option WebSocket/);
});

test("the same id is the same vote", async () => {
  const { show, network } = await open();
  const votes = [show.vote("c01", { id: "x" }), show.vote("c01", { id: "x" })];
  assert.equal(network.last().of("VOTE").length, 1);
  network.last().say("VOTE_ACK", { id: "x", ...ACK, remaining: { free: 4 } });
  assert.deepEqual((await Promise.all(votes)).map((ack) => ack.id), ["x", "x"]);
});

test("a vote after the close is the server's to refuse", async () => {
  const { show, network, time } = await open();
  network.last().say("STATE_UPDATE", stage({ voting: "CLOSED", window: windowAt({ ms: time.ms - 90_000 }, 60) }));
  const refused = assert.rejects(show.vote("c01"), { code: "VOTING_CLOSED" });
  assert.equal(network.last().of("VOTE").length, 1);
  network.last().say("ERROR", { code: "VOTING_CLOSED", message: "", retryable: false, id: "id-1" });
  await refused;
});

test("sent from one place to the next without end, it takes its time", async () => {
  const { show, network, time } = client({ backoff: { base: 1000, cap: 4000 } });
  show.connect("ws://test/", {});
  for (const wait of [1, 1 + 1000, 1 + 2000, 1 + 2000]) {
    const before = network.sockets.length;
    network.last().accept();
    network.last().say("RECONNECT", { afterMs: 0, reason: "deploy" });
    await time.pass(wait - 1);
    assert.equal(network.sockets.length, before);
    await time.pass(1);
    assert.equal(network.sockets.length, before + 1);
  }
});

test("a handshake that is turned away is tried again after Retry-After, where the platform tells of it", async () => {
  const { show, network, time } = client();
  network.FakeSocket.prototype.on = function (name, listener) {
    this[name] = listener;
  };
  show.connect("ws://test/", {});
  network.last()["unexpected-response"](null, { statusCode: 503, headers: { "retry-after": "7" } });
  await time.pass(7_000);
  assert.equal(network.sockets.length, 1);
  await time.pass(251);
  assert.equal(network.sockets.length, 2);
  network.last()["unexpected-response"](null, { statusCode: 403, headers: {} });
  await time.pass(60_000);
  assert.equal(network.sockets.length, 2);
  assert.equal(show.connection, "closed");
});

test("4004 forgets the position", async () => {
  const { network, time } = await open();
  network.last().say("WARNING", WARNING, at(7));
  network.last().fall(4004);
  await time.pass(300);
  network.last().accept();
  assert.equal(network.last().of("SUBSCRIBE")[0].since, undefined);
});

test("counts down by the corrected clock, without any message", async () => {
  const { show, network, time } = client();
  show.connect("ws://test/", {});
  const socket = network.last();
  socket.accept();
  const ahead = 7_000; // the server's clock is 7 s ahead of this machine's
  socket.say("PONG", { t0: time.ms - 40, t1: time.ms - 20 + ahead, t2: time.ms - 20 + ahead });
  const window = windowAt({ ms: time.ms + ahead }, 5);
  const seconds = [];
  show.on("second", (s) => seconds.push(s));
  socket.say("STATE_UPDATE", stage({ voting: "OPEN", window }));
  assert.equal(show.remainingMs, 5000);
  await time.pass(6_000);
  assert.deepEqual(seconds, [5, 4, 3, 2, 1, 0]);
});

test("the countdown goes on while the connection is lost", async () => {
  const { show, network, time } = await open(5);
  const seconds = [];
  show.on("second", (s) => seconds.push(s));
  network.last().fall(1006);
  await time.pass(5_100);
  assert.deepEqual(seconds, [4, 3, 2, 1, 0]);
});

test("an extension moves the close", async () => {
  const { show, network, time } = await open(10);
  network.last().say("TIME_UPDATE", { remaining: 70, closesAt: iso(time.ms + 70_000) });
  assert.equal(show.seconds, 70);
});

test("is blind after 2 s without a connection, live again after WELCOME", async () => {
  const { show, network, time } = await open(60, { backoff: { base: 60_000, cap: 60_000 } });
  const said = [];
  show.on("connection", (c) => said.push(c));
  network.last().fall(1006);
  await time.pass(1_999);
  assert.deepEqual(said, ["connecting"]);
  await time.pass(1);
  assert.deepEqual(said, ["connecting", "blind"]);
  await time.pass(28_000);
  signIn({ network, time });
  assert.deepEqual(said, ["connecting", "blind", "live"]);
});

test("a silent connection is asked, then given up", async () => {
  const { show, network, time } = await open(60, { heartbeatMs: 1000, silenceMs: 2000 });
  const before = network.last().of("PING").length;
  await time.pass(1_900);
  assert.ok(network.last().of("PING").length > before);
  await time.pass(200);
  assert.equal(show.connection, "blind");
  assert.equal(network.sockets[0].closedWith, 1000);
});

test("a cue carries the expected revision and resolves with its ack", async () => {
  const { show, network } = await open();
  const cue = show.cue("VOTING_OPEN", { duration: 90 }, { expectedRevision: 12 });
  assert.deepEqual(network.last().of("CUE"), [
    { type: "CUE", cueId: "id-1", event: "VOTING_OPEN", data: { duration: 90 }, expectedRevision: 12 },
  ]);
  network.last().say("CUE_ACK", { cueId: "id-1", revision: 13, executedAt: "", latenessMs: 0, replayed: false });
  assert.equal((await cue).revision, 13);
});

test("a refused cue says why", async () => {
  const { show, network } = await open();
  const cue = show.cue("VOTING_CLOSE");
  network.last().say("ERROR", { code: "STALE_REVISION", message: "m", retryable: false, cueId: "id-1", revision: 4 });
  await assert.rejects(cue, { code: "STALE_REVISION", revision: 4 });
});

test("a cue is sent again with the same id after a reconnect, but not late", async () => {
  const { show, network, time } = await open();
  const cue = assert.rejects(show.cue("VOTING_CLOSE"), { code: "UNCONFIRMED" });
  network.last().fall(1006);
  await time.pass(300);
  assert.deepEqual(signIn({ network, time }).of("CUE").map((m) => m.cueId), ["id-1"]);
  network.last().fall(1006);
  await time.pass(30_000);
  await cue;
  assert.equal(signIn({ network, time }).of("CUE").length, 0);
});

test("rubbish from the server is reported, not thrown", async () => {
  const { show, network } = await open();
  const problems = [];
  show.on("problem", (problem) => problems.push(problem.code));
  network.last().onmessage({ data: "{half" });
  network.last().onmessage({ data: "null" });
  network.last().say("SOMETHING_NEW", {});
  network.last().say("SOMETHING_NEW", {});
  assert.deepEqual(problems, ["BAD_MESSAGE", "BAD_MESSAGE", "UNKNOWN_TYPE"]);
});

test("close ends everything", async () => {
  const { show, network, time } = await open();
  const vote = assert.rejects(show.vote("c01"), { code: "UNCONFIRMED" });
  show.close();
  await vote;
  await time.pass(120_000);
  assert.equal(network.sockets.length, 1);
  assert.equal(show.connection, "closed");
});

test("a refused token is said once, not sent again, and takes the waiting votes with it", async () => {
  const { show, network, time } = client();
  const said = [];
  show.on("token", ({ code }) => said.push(code));
  show.connect("ws://test/", { token: "old" });
  network.last().accept();
  const vote = assert.rejects(show.vote("c01"), { code: "TOKEN_EXPIRED" });
  network.last().say("ERROR", { code: "TOKEN_EXPIRED", message: "", retryable: false });
  await vote;
  assert.deepEqual(said, ["TOKEN_EXPIRED"]);
  network.last().fall(1006);
  await time.pass(300);
  network.last().accept();
  assert.equal(network.last().of("AUTH").length, 0);
  show.setToken("new");
  assert.deepEqual(network.last().of("AUTH"), [{ type: "AUTH", token: "new" }]);
});

test("a replay of older states is told, and does not take the screen back", async () => {
  const { show, network } = await open();
  const socket = network.last();
  const seen = offsets(show);
  socket.say("STATE_UPDATE", stage({ revision: 4 }), at(4));
  socket.say("STATE_UPDATE", stage({ revision: 9, voting: "CLOSED" })); // the snapshot that greets a new socket
  socket.say("SUBSCRIBED", { channel: "show", recovered: true, epoch: "e1", offset: 9 });
  socket.say("STATE_UPDATE", stage({ revision: 5, voting: "OPEN" }), at(5));
  assert.equal(show.state.revision, 9);
  assert.equal(show.state.voting, "CLOSED");
  assert.deepEqual(seen, [4, 5]);
});

test("what must arrive is acknowledged with the next message, or by a PING of its own", async () => {
  const { show, network, time } = await open();
  const socket = network.last();
  for (const channel of ["show", "results"]) socket.say("SUBSCRIBED", { channel, recovered: false, epoch: "e1", offset: 6 });
  await time.pass(1_600); // past the burst of clock samples
  socket.say("WARNING", WARNING, at(7));
  show.vote("c01").catch(() => {});
  assert.deepEqual(socket.of("VOTE")[0].ack, { show: { epoch: "e1", offset: 7 } });
  show.requestUpdate();
  assert.equal(socket.of("REQUEST_UPDATE")[0].ack, undefined);
  const pings = socket.of("PING").length;
  socket.say("STATE_UPDATE", stage({ revision: 8 }), at(8));
  await time.pass(2_500);
  assert.deepEqual(socket.of("PING").slice(pings).map((m) => m.ack), [{ show: { epoch: "e1", offset: 8 } }]);
});

test("the snapshot that greets a newcomer is acknowledged as the position that it stands for", async () => {
  const { show, network } = await open();
  const socket = network.last();
  socket.say("SUBSCRIBED", { channel: "show", recovered: false, epoch: "e1", offset: 9 });
  show.requestUpdate();
  assert.deepEqual(socket.of("REQUEST_UPDATE")[0].ack, { show: { epoch: "e1", offset: 9 } });
});

test("who has missed nothing acknowledges its place to the server that it comes back to", async () => {
  const { show, network, time } = await open();
  network.last().say("WARNING", WARNING, at(9));
  network.last().fall(1006);
  await time.pass(300);
  const socket = signIn({ network, time });
  socket.say("SUBSCRIBED", { channel: "show", recovered: true, epoch: "e1", offset: 9 });
  show.requestUpdate();
  assert.deepEqual(socket.of("REQUEST_UPDATE")[0].ack, { show: { epoch: "e1", offset: 9 } });
});

test("boards and replies are not acknowledged", async () => {
  const { network, time } = await open();
  const socket = network.last();
  await time.pass(1_600);
  socket.say("LIVE_RESULTS", { results: [], totalVotes: 0 }, { channel: "results", epoch: "w", offset: 3 });
  await time.pass(6_000);
  assert.ok(socket.sent.every((message) => message.ack === undefined));
});

/** Connected with a token that ends in `seconds` and somebody who gives the next ones. */
async function withRefresh(seconds, refreshToken) {
  const c = client();
  c.show.connect("ws://test/", { token: "t1", refreshToken });
  const socket = c.network.last();
  socket.accept();
  socket.say("WELCOME", { sessionId: "s", node: "n", serverTime: iso(c.time.ms), pingInterval: 20 });
  authOk(socket, { expiresAt: iso(c.time.ms + seconds * 1000) });
  socket.say("STATE_UPDATE", stage({ voting: "OPEN", window: windowAt(c.time, 600) }));
  await settled();
  return { ...c, socket };
}

test("a token is renewed before it ends, on the same socket", async () => {
  const { socket, network, time } = await withRefresh(600, async () => "t2");
  for (let s = 0; s < 505; s += 5) {
    socket.say("TIME_UPDATE", { remaining: 1 });
    await time.pass(5_000);
  }
  assert.equal(socket.of("AUTH").length, 1);
  socket.say("TIME_UPDATE", { remaining: 1 });
  await time.pass(6_000);
  authOk(socket);
  assert.deepEqual(socket.of("AUTH").map((m) => m.token), ["t1", "t2"]);
  assert.equal(network.sockets.length, 1);
});

test("a vote that meets the end of its token goes out again with the next one", async () => {
  const { show, socket } = await withRefresh(3600, async () => "t2");
  const vote = show.vote("c01");
  socket.say("ERROR", { code: "TOKEN_EXPIRED", message: "", retryable: false, id: "id-1" });
  await settled();
  assert.deepEqual(socket.of("AUTH").map((m) => m.token), ["t1", "t2"]);
  authOk(socket);
  assert.deepEqual(socket.of("VOTE").map((m) => m.id), ["id-1", "id-1"]);
  socket.say("VOTE_ACK", { id: "id-1", ...ACK, remaining: { free: 4 } });
  await vote;
});

test("no next token: what waits is told so", async () => {
  const { show, socket } = await withRefresh(3600, async () => null);
  const vote = assert.rejects(show.vote("c01"), { code: "TOKEN_EXPIRED" });
  socket.say("ERROR", { code: "TOKEN_EXPIRED", message: "", retryable: false, id: "id-1" });
  await vote;
});

test("a refresh that fails is tried again, with jitter", async () => {
  let calls = 0;
  const { socket, time } = await withRefresh(3600, async () => {
    if (++calls < 3) throw new Error("offline");
    return "t2";
  });
  socket.say("ERROR", { code: "TOKEN_EXPIRED", message: "", retryable: false });
  await time.pass(3_000);
  assert.equal(calls, 3);
  assert.equal(socket.of("AUTH").at(-1).token, "t2");
});
