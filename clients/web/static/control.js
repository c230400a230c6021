/** The control room: the cues that fit now, the state, the tally, and the truth about the connection. */
import { BroadcastSync } from "./sdk/index.js";
import { byId, clockText, el, setText, titles } from "./page.js";
import { legalCues } from "./control/cues.js";
import { Desk, showSeldom } from "./control/desk.js";
import { buildFields, renderFields } from "./control/fields.js";
import { Guards } from "./control/guard.js";
import { Keyboard } from "./control/keyboard.js";
import { Link } from "./control/link.js";
import { Lists } from "./control/lists.js";
import { newCueId, Outgoing, Presses } from "./control/press.js";
import { Sender } from "./control/sender.js";
import { Session } from "./control/session.js";
import { renderStrip } from "./control/strip.js";
import { TallyPanel } from "./control/tally.js";
import { timeOfDay } from "./control/words.js";

const LAST_SECONDS = 10;
const SAID_MS = 4000;
const STATES = { IDLE: "Idle", OPEN: "Lines open", CLOSING: "Closing", CLOSED: "Lines closed" };
const SLOTS = { voting: "lines open", locked: "finding its winner", waiting: "waits for its lines", finished: "season over" };

/** Looks on without a token and without buttons; what the home page shows of this desk. */
const preview = new URLSearchParams(location.search).get("preview") === "1";
const now = () => performance.now();

// A desk must know within two seconds that it is blind, so it asks each second; and a cue that found no answer until
// then is never sent again, because a late cue is worse than none.
const show = new BroadcastSync({
  backoff: { base: 200, cap: 2000 }, heartbeatMs: 1000, silenceMs: 2000, blindAfterMs: 2000, cueMs: 2000,
});
const sender = new Sender(show, new Outgoing(newCueId), say, () => render());
const guards = new Guards(new Presses(now), speak, () => render());
const desk = new Desk(show, guards, sender, say);
const lists = new Lists(show, guards, sender, speak);
const tallyPanel = new TallyPanel(now);
const link = new Link(show, now);
const session = new Session(show, { preview, say });
const keyboard = new Keyboard({ press: (event) => desk.press(event), drop });
let noticeTimer = 0;
let season = null;

function say(words, kind) {
  const box = byId("notice");
  clearTimeout(noticeTimer);
  box.dataset.kind = kind;
  box.hidden = false;
  const close = el("button", { type: "button", onclick: () => (box.hidden = true) }, "Dismiss");
  box.replaceChildren(el("span", {}, words), ...(kind === "bad" ? [close] : []));
  if (kind === "good") noticeTimer = setTimeout(() => (box.hidden = true), SAID_MS);
}

/** Escape: nothing is lifted, nothing lies over the desk. */
function drop() {
  guards.drop();
  showSeldom(false);
}

function speak(words) {
  setText(byId("spoken"), words);
}

function renderNow() {
  const { show: on, voting, window, performance: act, revision, contestants } = show.state;
  const title = titles(on);
  setText(byId("show-title"), on ? title.show : "No show is on");
  setText(byId("episode-title"), title.episode);
  setText(byId("slot"), season ? `Slot ${season.slot} of ${season.slots}, ${SLOTS[season.status] ?? season.status}` : "");
  setText(byId("revision"), revision);
  byId("state").dataset.state = voting;
  setText(byId("state"), STATES[voting] ?? voting);
  const who = act && contestants.find((c) => c.id === act.contestantId);
  setText(byId("on-stage"), who ? `On stage: ${who.number} ${who.name}${act.songName ? `, “${act.songName}”` : ""}` : "");
  byId("on-stage").title = byId("on-stage").textContent;
  setText(byId("closes"), voting === "OPEN" && window
    ? `Closes at ${timeOfDay(window.closesAt)}, votes in time count until ${timeOfDay(window.hardClosesAt)}` : "");
  document.body.classList.toggle("has-season", season !== null);
}

function renderTime() {
  const { seconds } = show;
  const open = seconds !== null;
  setText(byId("countdown"), clockText(seconds ?? 0));
  byId("countdown").classList.toggle("idle", !open);
  byId("countdown").classList.toggle("hours", seconds >= 3600);
  byId("drain").style.transform = `scaleX(${open ? show.share : 0})`;
  document.querySelector(".now").classList.toggle("last", open && seconds > 0 && seconds <= LAST_SECONDS);
}

function render() {
  const legal = legalCues({ ...show.state, season });
  const live = preview || sender.live;
  renderNow();
  renderTime();
  renderFields(legal, show.state.contestants);
  desk.render(legal, live, season);
  lists.render(live);
  renderStrip(show.state.tally, show.clock.now());
  tallyPanel.render(show.state);
  link.render(session.wanted);
}

/** What changes by itself: times to go, ages, expiries. */
function tick() {
  setText(byId("time-of-day"), timeOfDay(show.clock.now()));
  render();
  setTimeout(tick, 1000 - (show.clock.now() % 1000) + 5);
}

function frame() {
  if (show.state.voting === "OPEN") renderTime();
  requestAnimationFrame(frame);
}

document.body.classList.toggle("preview", preview);
buildFields();
desk.build();
keyboard.build();
show.on("STATE_UPDATE", (state) => (season = state.season ?? null));
show.on("TALLY", (tally) => {
  tallyPanel.take(tally);
  sender.heard(tally.cues);
});
show.on("change", render);
tick();
session.start();
requestAnimationFrame(frame);
