import assert from "node:assert/strict";
import { test } from "node:test";

import { bought, leftOf, offers, plainType } from "../../clients/web/static/phone/kinds.js";
import { categories, folded, matches, monogram } from "../../clients/web/static/phone/search.js";
import { MyVotes } from "../../clients/web/static/phone/votes.js";
import { settled } from "./fakes.mjs";

const XFACTOR = { voteTypes: ["free", "paid", "bundle", "sms"], freeVotesPerEpisode: 5, maxVoteCount: 100 };
const HYBRID = { voteTypes: ["standard", "super", "mega"], maxVoteCount: 1 };

test("a plain tap is the free vote, or the ruleset's first", () => {
  assert.equal(plainType(XFACTOR), "free");
  assert.equal(plainType(HYBRID), "standard");
  assert.equal(plainType(undefined), "free");
  assert.equal(plainType({ voteTypes: [] }), "free");
});

test("votes left are the server's, less what is under way; the rules' before it has said anything", () => {
  assert.equal(leftOf("free", XFACTOR, null), 5);
  assert.equal(leftOf("free", XFACTOR, null, { free: 2 }), 3);
  assert.equal(leftOf("free", XFACTOR, { free: 4, paid: 9 }, { free: 1, paid: 5 }), 3);
  assert.equal(leftOf("free", XFACTOR, { free: 1 }, { free: 3 }), 0);
  assert.equal(leftOf("free", {}, null), null);
  assert.equal(leftOf("paid", XFACTOR, null), 0);
  assert.equal(bought(XFACTOR, { free: 1, paid: 12, bundle: 3 }, { paid: 2 }), 13);
});

test("a limit that is no vote type bounds them all", () => {
  assert.equal(leftOf("standard", HYBRID, { round: 3, standard: 150, super: 1, mega: 0 }, { super: 1 }), 2);
  assert.equal(leftOf("super", HYBRID, { round: 0, standard: 150, super: 1 }), 0);
});

test("what was bought is offered by amounts that there are, what weighs more one at a time", () => {
  assert.deepEqual(offers(XFACTOR, { free: 0, paid: 7, bundle: 0 }), [{ type: "paid", amounts: [1, 5], left: 7 }]);
  assert.deepEqual(offers(XFACTOR, null), []);
  assert.deepEqual(offers({ ...XFACTOR, maxVoteCount: 1 }, { free: 0, paid: 7 }), [{ type: "paid", amounts: [1], left: 7 }]);
  assert.deepEqual(offers(HYBRID, { round: 9, standard: 9, super: 1, mega: 0 }), [{ type: "super", amounts: [1], left: 1 }]);
});

const ACTS = [
  { id: "a", number: 1, name: "Sok Dara", khmerName: "សុខ តារា", hometown: "Kampot", category: "Solo" },
  { id: "b", number: 12, name: "Café Éclair", category: "Group" },
];

test("acts are found by number, by any word, without accents, in Khmer, within a category", () => {
  const found = (query, category) => ACTS.filter((act) => matches(act, query, category)).map((act) => act.id).join("");
  assert.equal(found(""), "ab");
  assert.equal(found("1"), "ab");
  assert.equal(found("12"), "b");
  assert.equal(found("  DARA sok"), "a");
  assert.equal(found("eclair cafe"), "b");
  assert.equal(found("តារា"), "a");
  assert.equal(found("តា\u200bរា"), "a");
  assert.equal(found("kampot"), "a");
  assert.equal(found("", "Group"), "b");
  assert.equal(found("sok", "Group"), "");
  assert.equal(found("%_'\"; drop"), "");
  assert.deepEqual(categories(ACTS), ["Solo", "Group"]);
  assert.equal(folded("  A\u0301\u202e  b "), "a b");
});

test("a monogram is the first letter that can be seen, with its signs", () => {
  assert.equal(monogram("sok dara"), "S");
  assert.equal(monogram("\u202eevil"), "E");
  assert.equal(monogram("👩‍🎤 star"), "👩‍🎤");
  assert.equal(monogram(""), "");
  assert.ok("ញ៉ែម បុប្ផា".startsWith(monogram("ញ៉ែម បុប្ផា")));
});

/** A show that answers when the test says so, and a phone's storage. */
function setting(kept = {}, { joined = () => true, join = async () => {} } = {}) {
  const answers = [];
  const told = [];
  const store = { get: (key) => kept[key] ?? null, set: (key, value) => (kept[key] = value) };
  const show = {
    connection: "live",
    vote: (actId, ballot) => new Promise((resolve, reject) => answers.push({ actId, ...ballot, resolve, reject })),
    resumeVotes: () => kept.waiting ?? [],
  };
  const mine = new MyVotes({ show, store, joined, join, changed: () => {}, answered: (...what) => told.push(what) });
  return { mine, show, answers, told, kept };
}

test("a vote is sending, then counted; the tap of a moment later is one of its own", async () => {
  const { mine, answers, told } = setting();
  mine.enter("w1", "demo");
  void mine.cast("a", "free");
  void mine.cast("a", "paid", 5);
  assert.equal(mine.phaseOf("a"), "sending");
  await settled();
  assert.deepEqual(mine.underWay, { free: 1, paid: 5 });
  answers[0].resolve({ voteCount: 1 });
  await settled();
  assert.equal(mine.phaseOf("a"), "sending");
  answers[1].resolve({ voteCount: 5 });
  await settled();
  assert.equal(mine.phaseOf("a"), "counted");
  assert.deepEqual([mine.countedFor("a"), mine.underWay, told.length], [6, { free: 0, paid: 0 }, 2]);
  clearTimeout(mine.of("a").timer);
});

test("without a connection it is being retried; unanswered at the end, nobody knows", async () => {
  const { mine, show, answers } = setting();
  void mine.cast("a", "free");
  await settled();
  show.connection = "blind";
  assert.equal(mine.phaseOf("a"), "retrying");
  answers[0].reject({ code: "UNCONFIRMED" });
  await settled();
  assert.equal(mine.phaseOf("a"), "unknown");
  void mine.cast("a", "free");
  assert.equal(mine.phaseOf("a"), "retrying");
  await settled();
  answers[1].reject({ code: "NO_FREE_VOTES" });
  await settled();
  assert.deepEqual([mine.phaseOf("a"), mine.of("a").refusal.code, mine.countedFor("a")], ["refused", "NO_FREE_VOTES", 0]);
  clearTimeout(mine.of("a").timer);
});

test("a refused vote's button is a button again after a while; why it was refused stays", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { mine, answers } = setting();
  void mine.cast("a", "free");
  await Promise.resolve();
  answers[0].reject({ code: "RATE_LIMIT" });
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  assert.equal(mine.phaseOf("a"), "refused");
  context.mock.timers.tick(6_000);
  assert.deepEqual([mine.phaseOf("a"), mine.of("a").refusal.code], ["", "RATE_LIMIT"]);
});

test("one vote an act: done once counted, done once the server says so, and for the whole show", async () => {
  const { mine, answers } = setting();
  mine.enter("w1", "demo");
  void mine.cast("a", "standard");
  void mine.cast("b", "standard");
  await settled();
  answers[0].resolve({ voteCount: 1 });
  answers[1].reject({ code: "ALREADY_VOTED" });
  await settled();
  assert.ok(mine.isDone("a", { votesPerContestant: 1 }) && !mine.isDone("a", {}));
  assert.ok(mine.isDone("b", {}));
  mine.enter("w2", "demo");
  assert.ok(!mine.isDone("a", { votesPerContestant: 1 }) && mine.isDone("b", {}));
  mine.enter("w3", "another");
  assert.ok(!mine.isDone("b", {}));
  for (const id of ["a", "b"]) clearTimeout(mine.of(id).timer);
});

test("what was counted and what a reload interrupted is taken up again; a broken storage is an empty one", async () => {
  const { mine, kept, answers } = setting();
  mine.enter("w1", "demo");
  void mine.cast("a", "free");
  await settled();
  answers[0].resolve({ voteCount: 1 });
  await settled();
  clearTimeout(mine.of("a").timer);
  const again = setting({ ...kept, waiting: [[{ contestantId: "b", voteType: "free", voteCount: 1 }, Promise.resolve({ voteCount: 1 })]] });
  again.mine.enter("w1", "demo");
  again.mine.resume([]);
  assert.equal(again.mine.phaseOf("b"), "sending");
  await settled();
  assert.deepEqual(again.mine.counted, [["a", 1], ["b", 1]]);
  clearTimeout(again.mine.of("b").timer);
  assert.deepEqual(setting({ "broadcast-sync.mine": "{broken" }).mine.counted, []);
  assert.deepEqual(setting({ "broadcast-sync.mine": "null" }).mine.counted, []);
});

test("a vote that nobody knew of is asked about by its id once the window is over, and by no other window", async () => {
  const { mine, answers, kept } = setting();
  mine.enter("w1", "demo");
  void mine.cast("a", "free");
  void mine.cast("b", "free");
  await settled();
  for (const answer of answers.splice(0)) answer.reject({ code: "UNCONFIRMED" });
  await settled();
  assert.deepEqual(mine.unsure, ["a", "b"]);
  const late = { message: { id: "kept", contestantId: "c", voteType: "free", voteCount: 1 }, scope: "w1" };
  const again = setting(kept); // after a reload, with one that the SDK gave up meanwhile
  again.mine.resume([late]);
  assert.deepEqual(again.mine.unsure, ["a", "b", "c"]);
  assert.equal(again.mine.phaseOf("a"), "unknown");
  again.mine.askAgain("w2");
  assert.equal(again.answers.length, 0);
  again.mine.askAgain("w1");
  again.mine.askAgain("w1"); // once
  assert.deepEqual(again.answers.map(({ actId }) => actId), ["a", "b", "c"]);
  assert.equal(again.answers[2].id, "kept");
  assert.match(again.answers[0].id, /^[0-9a-f]{32}$/);
  again.answers[0].resolve({ voteCount: 1 });
  again.answers[1].reject({ code: "VOTING_ENDED" });
  again.answers[2].reject({ code: "UNCONFIRMED" });
  await settled();
  clearTimeout(again.mine.of("a").timer);
  assert.deepEqual([again.mine.counted, again.mine.unsure], [[["a", 1]], ["c"]]);
  assert.equal(again.mine.phaseOf("b"), "refused");
  again.mine.enter("w2", "demo");
  assert.deepEqual(again.mine.unsure, []);
});

test("a vote that waits for a token is kept over a reload, and sent once with its id", async () => {
  const first = setting({}, { joined: () => false, join: () => new Promise(() => {}) });
  first.mine.enter("w1", "demo");
  void first.mine.cast("a", "free");
  await settled();
  assert.equal(first.answers.length, 0);
  let join;
  const again = setting(first.kept, { joined: () => false, join: () => new Promise((done) => (join = done)) });
  again.mine.enter("w1", "demo");
  again.mine.sendUnsent();
  again.mine.sendUnsent();
  assert.equal(again.mine.phaseOf("a"), "sending");
  join();
  await settled();
  assert.equal(again.answers.length, 1);
  again.answers[0].resolve({ voteCount: 1 });
  await settled();
  clearTimeout(again.mine.of("a").timer);
  assert.deepEqual(JSON.parse(again.kept["broadcast-sync.mine"]).unsent, []);
  const refused = setting({}, { joined: () => false, join: () => Promise.reject({ code: "UNAUTHENTICATED" }) });
  void refused.mine.cast("a", "free");
  await settled();
  assert.equal(refused.mine.phaseOf("a"), "refused");
  assert.deepEqual(JSON.parse(refused.kept["broadcast-sync.mine"]).unsent, []);
  clearTimeout(refused.mine.of("a").timer);
});
