/** The viewer's phone: watch, vote, see the result. What is where: phone/ (docs/phone.md). */
import { BroadcastSync, plainWords } from "./sdk/index.js";
import { byId, setText, socketUrl, stored, titles } from "./page.js";
import { Acts, face, shareOf } from "./phone/acts.js";
import { configuredDelay, StreamDelay } from "./phone/delay.js";
import { History } from "./phone/history.js";
import { BOUGHT, leftOf, offers, plainType } from "./phone/kinds.js";
import { drawClosing, drawResult } from "./phone/outcome.js";
import { Pass } from "./phone/pass.js";
import { Sheet } from "./phone/sheet.js";
import { drawAllowance, LAST_SECONDS, Timer } from "./phone/timer.js";
import { MyVotes } from "./phone/votes.js";
import { chooseLanguage, LANGUAGES, languageOf, namesOf } from "./phone/words.js";

const WAITING = "broadcast-sync.waiting";
const LANGUAGE = "broadcast-sync.language";
const WORKER_AFTER_MS = 2_000;
const SAID_AT = new Set([60, 30, LAST_SECONDS]);

const query = new URLSearchParams(location.search);
/** Looks on without a token; what the home page shows of this page. */
const preview = query.get("preview") === "1";

const show = new BroadcastSync({
  keep: {
    load: loadWaiting,
    save: (waiting) => stored.set(WAITING, waiting.length ? JSON.stringify(waiting) : null),
  },
});

let language = chooseLanguage([query.get("lang"), stored.get(LANGUAGE), ...navigator.languages]);
let words = LANGUAGES[language];
let refusedForGood = "";
let announcedView = "loading";
let resultAt = 0; // when the result may be shown: the picture is behind
let drawnResult = null;

/** Votes that a reload interrupted; what is broken is no vote. */
function loadWaiting() {
  try {
    return JSON.parse(stored.get(WAITING) ?? "[]");
  } catch {
    return [];
  }
}

// --- the parts ------------------------------------------------------------------------------------------------

const delay = new StreamDelay({
  now: () => show.clock.now(),
  configuredMs: configuredDelay(document.querySelector("meta[name=stream-delay-ms]").content, navigator.userAgent, navigator.maxTouchPoints),
  changed: () => render(),
});
const timer = new Timer({ show, delay, second });
const pass = new Pass({
  preview,
  changed: (token) => (show.connection === "closed" ? connect() : show.setToken(token)),
  worth: () => timer.leftMs !== 0,
});
const mine = new MyVotes({
  show, store: stored, joined: () => Boolean(pass.token), join: () => pass.join(), changed: () => render(), answered,
});
const acts = new Acts({
  list: byId("acts"), stage: byId("on-stage-act"), finder: byId("finder"), field: byId("find"), chips: byId("kinds"), found: byId("found"),
}, { press, more: ask }, async (query) => (await show.contestants({ ...query, limit: 100 })).contestants);
const sheet = new Sheet(byId("sheet"));
const history = new History(byId("history"), { token: () => pass.token, words: () => words, nameOf: (id) => acts.rows.get(id)?.name ?? null });

// --- what is known --------------------------------------------------------------------------------------------

/** loading, waiting, open, closing, result */
function view() {
  const { show: on, voting, result, revision, window } = show.state;
  if (!revision && !on && show.connection !== "live") return "loading";
  if (timer.leftMs) return "open";
  if (result && voting !== "OPEN") return show.clock.now() < resultAt ? "closing" : "result";
  return voting === "IDLE" || !window ? "waiting" : "closing";
}

const lineUp = () => (show.state.window?.contestants?.length ? show.state.window.contestants : show.state.contestants);
const actOf = (id) => lineUp().find((act) => act.id === id);
const rules = () => show.state.window?.rules;
const left = () => leftOf(plainType(rules()), rules(), show.state.remaining, mine.underWay);
const offered = () => offers(rules(), show.state.remaining, mine.underWay);

// --- voting ---------------------------------------------------------------------------------------------------

/** A plain tap votes at once, as long as it costs nothing; where only bought votes are left it asks first. */
function press(act) {
  if (act.status !== "active" || timer.leftMs === 0) return;
  if (mine.isDone(act.id, rules())) return announce(words.code({ code: "ALREADY_VOTED" }, plainWords));
  if (left() === 0) return offered().length ? ask(act) : announce(words.noneLeftWhy);
  void mine.cast(act.id, plainType(rules()));
}

function ask(act) {
  const found = offered();
  if (found.length) sheet.ask(namesOf(act, language)[0], found, words, (type, amount) => void mine.cast(act.id, type, amount));
}

function answered(actId, ack, refusal) {
  const name = acts.nameOf(actId);
  if (ack) {
    const still = ack.remaining?.[ack.voteType];
    const rest = still === undefined ? "" : still === 0 && ack.voteType === "free" ? words.lastFree : `${words.votesLeft(still)}.`;
    announce(`${words.countedFor(ack.voteCount, name)} ${rest}`);
    navigator.vibrate?.(30);
  } else announce(words.refusedFor(name, noteOf("refused", refusal)));
  history.soon();
}

function noteOf(phase, refusal) {
  if (phase === "retrying") return words.kept;
  if (!refusal) return "";
  return refusal.code === "UNCONFIRMED" ? words.notKnown : words.code(refusal, plainWords);
}

/** What an act's row shows now. */
function standing(board, spent) {
  const here = rules();
  const other = offered();
  const more = other.length > 0;
  const weighty = other.some(({ type }) => !BOUGHT.includes(type)); // what was bought comes after what is free
  return (act) => {
    const phase = mine.phaseOf(act.id);
    const done = mine.isDone(act.id, here);
    const out = act.status !== "active";
    const counted = mine.countedFor(act.id);
    const idle = out ? words.out : done ? words.voted : spent ? (more ? words.buy : words.noneLeft) : counted ? words.again : words.vote;
    return {
      label: phase ? words[phase] : idle,
      phase,
      off: out || (!phase && (done || (spent && !more))),
      more: weighty && !spent && !out && !done,
      note: phase === "sending" || phase === "counted" ? "" : noteOf(phase, mine.of(act.id).refusal),
      share: shareOf(board?.get(act.id)),
      mine: counted,
    };
  };
}

// --- what is shown --------------------------------------------------------------------------------------------

/** For screen readers: what happened, never what merely goes on. */
const announce = (text) => setText(byId("announce"), text);

/** Once for each view. @param {() => string} text */
function announceView(now, text) {
  if (now === announcedView) return;
  announcedView = now;
  announce(text());
}

const CHIP = { loading: "IDLE", waiting: "IDLE", open: "OPEN", closing: "CLOSING", result: "RESULT" };

function drawTop(now) {
  const title = titles(show.state.show);
  setText(byId("show-title").firstElementChild, title.show || words.liveVote);
  const numbered = show.state.show && title.episode === `Episode ${show.state.show.episode}`;
  setText(byId("episode-title"), numbered ? words.episode(show.state.show.episode) : title.episode);
  byId("state").dataset.state = CHIP[now];
  setText(byId("state"), words.chip[now]);
}

function drawBanner() {
  const banner = byId("offline");
  const lost = show.connection === "blind" || (show.connection === "connecting" && show.state.revision > 0);
  const text = refusedForGood ? words.refusedForGood(refusedForGood)
    : lost ? (show.waiting ? words.offlineKept(show.waiting) : words.offline)
      : show.state.degraded ? words.degraded : "";
  setText(banner, text);
  banner.hidden = !text;
}

function drawStage(now) {
  const { show: on, performance } = show.state;
  const performer = performance && actOf(performance.contestantId);
  byId("stage").hidden = now === "open" || now === "closing" || now === "result";
  byId("on-stage").hidden = now !== "open" || !performer;
  if (byId("stage").hidden) return;
  const photo = byId("stage-photo");
  const wanted = performer ? `${performer.id} ${language}` : "";
  const [name, other] = performer ? namesOf(performer, language) : ["", ""];
  if (photo.dataset.of !== wanted) {
    photo.dataset.of = wanted;
    photo.replaceChildren(...(performer ? [face(performer, name, { lazy: false, size: 320 })] : []));
  }
  const idle = now === "loading" ? words.stageLoading : on ? words.stageIdle : words.stageOff;
  setText(byId("stage-eyebrow"), performer ? words.stageNow : idle[0]);
  setText(byId("stage-name"), performer ? name : idle[1]);
  byId("stage-name").lang = performer ? languageOf(name) : language;
  setText(byId("stage-other"), other);
  byId("stage-other").lang = languageOf(other);
  setText(byId("stage-line"), performer ? (performance.songName ? `“${performance.songName}”` : performer.hometown ?? "") : idle[2]);
}

function drawActs(now) {
  const { window, contestants, contestantCount } = show.state;
  const total = lineUp() === contestants ? contestantCount : window.contestantCount ?? window.contestants.length;
  acts.show(lineUp(), total, show.state.performance?.contestantId ?? null, language, words);
  byId("acts").hidden = byId("acts-head").hidden = now === "result" || now === "closing";
  const board = now === "open" && show.state.board ? new Map(show.state.board.results.map((row) => [row.contestantId, row])) : null;
  acts.draw(standing(board, left() === 0));
}

function mineInWords() {
  const list = mine.counted.map(([id, n]) => `${acts.nameOf(id)} (${n})`).join(", ");
  const unsure = mine.unsure.map((id) => acts.nameOf(id)).join(", ");
  return [list && words.mine(list), unsure && words.unsure(unsure)].filter(Boolean).join(" ");
}

function render() {
  const { window, result, voting } = show.state;
  if (window && (voting === "OPEN" || voting === "CLOSING")) mine.enter(window.windowId, show.state.show?.showId);
  // over, and no other one open that an old vote could get into
  if (voting === "CLOSED" && window && pass.token && show.connection === "live") mine.askAgain(window.windowId);
  const now = view();
  document.body.dataset.view = now;
  drawTop(now);
  drawBanner();
  drawStage(now);
  drawActs(now);
  byId("timer").hidden = now !== "open";
  if (now !== "open") byId("behind").hidden = true;
  if (now !== "open") sheet.close();
  byId("closing").hidden = now !== "closing";
  byId("result").hidden = byId("standing").hidden = now !== "result";
  byId("secret").hidden = now !== "open" || (window?.visibility ?? "public") === "public";
  setText(byId("rules"), now === "open" ? words.rules(rules()) : "");
  byId("rules").lang = languageOf(byId("rules").textContent);
  setText(byId("mine"), now === "result" ? mineInWords() : "");
  byId("history").hidden = preview || !pass.token;
  if (now === "open") {
    announceView(now, () => words.opened);
    if (!preview) mine.sendUnsent();
    drawAllowance(rules(), show.state.remaining, mine.underWay, words);
  } else if (now === "closing") {
    announceView(now, () => words.closedSaid);
    drawClosing(show.state.board, mineInWords(), words);
  } else if (now === "result" && drawnResult !== result) {
    drawnResult = result;
    const names = drawResult(result, actOf, language, words);
    announceView(now, () => words.resultFirst(names));
  }
  timer.run(words);
}

function second(seconds) {
  if (SAID_AT.has(seconds)) announce(words.secondsLeft(seconds));
  if (seconds === 0) queueMicrotask(render);
}

/** Every word of the page anew. */
function speak() {
  words = LANGUAGES[language];
  document.documentElement.lang = language;
  document.title = words.title;
  for (const element of document.querySelectorAll("[data-words]")) setText(element, words[element.dataset.words]);
  const other = language === "km" ? "en" : "km";
  setText(byId("language"), LANGUAGES[other].name);
  byId("language").lang = other;
  pass.speak(words);
  drawnResult = null;
  render();
}

// --- start ----------------------------------------------------------------------------------------------------

function connect() {
  refusedForGood = "";
  show.connect(socketUrl("/voting/sync"), { token: pass.token, channels: ["show", "results"] });
}

byId("language").addEventListener("click", () => {
  language = language === "km" ? "en" : "km";
  stored.set(LANGUAGE, language);
  speak();
});
show.on("change", render);
show.on("message", ({ type, timestamp }) => {
  if (type !== "RESULTS_READY" || !delay.ms) return;
  resultAt = Date.parse(timestamp) + delay.ms;
  setTimeout(render, Math.max(0, resultAt - show.clock.now()) + 20);
});
show.on("token", () => {
  pass.forget();
  if (show.connection === "closed") connect();
  render();
});
show.on("refused", ({ code, reason }) => {
  if (code !== 4500) refusedForGood = reason;
  render();
});
document.addEventListener("visibilitychange", () => document.hidden || show.syncClock());

const interrupted = loadWaiting(); // before the SDK writes what waits now
speak();
connect();
if (!preview) mine.resume(interrupted);
if (!preview && navigator.serviceWorker) {
  // last of all: what it keeps has been loaded by then
  addEventListener("load", () => setTimeout(() => {
    navigator.serviceWorker.register("/web/phone/worker.js", { scope: "/phone" }).catch(() => {}); // the page does without
  }, WORKER_AFTER_MS));
}
if (query.has("hls")) delay.watchPlaylist(query.get("hls"));
