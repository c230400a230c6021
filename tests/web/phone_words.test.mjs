import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { plainWords } from "../../clients/web/sdk/index.js";
import { chooseLanguage, LANGUAGES, languageOf, namesOf } from "../../clients/web/static/phone/words.js";

const { en, km } = LANGUAGES;
const KHMER = /[\u1780-\u17ff]/;
/** Codes that only a control room or a wrong address can meet. */
const NOT_A_VOTERS = new Set([
  "STALE_REVISION", "CUE_REJECTED", "TIMECODE_INVALID", "NOT_FOUND", "METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE",
]);

/** Every text that a table can say, with figures in the place of what it is told. */
function said(entry, path = "") {
  if (typeof entry === "string") return [[path, entry]];
  if (typeof entry === "function") return said(entry(...Array.from({ length: entry.length }, (_, i) => i + 2)), path);
  return Object.entries(entry).flatMap(([name, value]) => said(value, `${path}.${name}`));
}

const shape = (entry) =>
  entry !== null && typeof entry === "object" ? Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, shape(value)])) : typeof entry;

test("both languages say the same things", () => {
  assert.deepEqual(shape(km), shape(en));
});

test("every sentence in Khmer has Khmer letters, none in English has", () => {
  const own = new Set([".name", ".and", ".kind.sms", ".rules", ".refusedForGood"]);
  const without = ({ code, ...rest }) => rest;
  for (const [path, text] of said(without(km))) if (/\p{L}/u.test(text) && !own.has(path)) assert.match(text, KHMER, path);
  for (const [path, text] of said(without(en))) assert.doesNotMatch(text, KHMER, path);
});

test("every refusal that a voter can meet is said in plain words in both languages", () => {
  const python = readFileSync(new URL("../../broadcast_sync/errors.py", import.meta.url), "utf8");
  const codes = [...python.matchAll(/^ {4}"([A-Z_]+)": Code\(/gm)].map(([, code]) => code);
  assert.ok(codes.length > 25);
  for (const code of [...codes, "UNCONFIRMED"].filter((each) => !NOT_A_VOTERS.has(each))) {
    assert.match(km.code({ code }), KHMER, code);
    assert.notEqual(km.code({ code }), km.code({ code: "?" }), code);
    assert.doesNotMatch(en.code({ code }, plainWords), /_|^Something/, code);
  }
  assert.equal(km.code({ code: "OF_TOMORROW", message: "said by the server" }), "said by the server");
});

test("English has one and many, also of numbers beyond what JavaScript counts", () => {
  assert.equal(en.countedFor(1, "Sok"), "Counted: 1 vote for Sok.");
  assert.equal(en.countedFor(1200, "Sok"), "Counted: 1,200 votes for Sok.");
  assert.equal(en.share("50.0%", "9007199254740993", true), "50.0% each of 9,007,199,254,740,993 votes");
  assert.equal(km.share("50.0%", "9007199254740993", false), "50.0% នៃ 9,007,199,254,740,993 សំឡេង");
  assert.equal(en.secondsLeft(1), "1 second left.");
});

test("the rules are said in Khmer where their limits have names", () => {
  assert.match(km.rules({ freeVotesPerEpisode: 5, text: "Everybody has 5" }), /5 សំឡេង/);
  assert.equal(km.rules({ text: "One each." }), "One each.");
  assert.equal(km.rules(undefined), "");
});

test("the language is the first wish that there is", () => {
  assert.equal(chooseLanguage([null, undefined, "fr-FR", "km-KH", "en"]), "km");
  assert.equal(chooseLanguage(["EN-us", "km"]), "en");
  assert.equal(chooseLanguage(["constructor", "", "zh"]), "en");
});

test("the name in the reader's letters comes first, where there is one", () => {
  const act = { name: "Sok Dara", khmerName: "សុខ តារា" };
  assert.deepEqual(namesOf(act, "km"), ["សុខ តារា", "Sok Dara"]);
  assert.deepEqual(namesOf(act, "en"), ["Sok Dara", "សុខ តារា"]);
  assert.deepEqual(namesOf({ name: "Sok Dara" }, "km"), ["Sok Dara", ""]);
  assert.equal(languageOf("សុខ"), "km");
  assert.equal(languageOf("Sok"), "en");
});
