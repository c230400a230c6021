/** The control room: the cues that fit now, the state, the tally, and the truth about the connection. */
import { BroadcastSync, plainWords } from "./sdk/index.js";
import { byId, clockText, count, el, guestToken, setText, socketUrl, titles, tokenFromAddress } from "./page.js";

const TOKEN = "broadcast-sync.control";
const GUARD_MS = 3000;
const LAST_SECONDS = 10;
const SAID_MS = 4000;

const CUES = {
  SHOW_START: "Start show",
  SHOW_END: "End show",
  PERFORMANCE_START: "Act on stage",
  PERFORMANCE_END: "Act off stage",
  VOTING_OPEN: "Open lines",
  VOTING_EXTEND: "Extend",
  VOTING_CLOSE: "Close lines",
  RESULTS_RELEASE: "Release result",
};
/** These cannot be taken back: they ask for a second press. */
const GUARDED = new Set(["VOTING_CLOSE", "RESULTS_RELEASE", "SHOW_END"]);
const STATES = { IDLE: "Idle", OPEN: "Lines open", CLOSING: "Closing", CLOSED: "Lines closed" };
const RECOUNT = { EQUAL: "Equal", PENDING: "Pending", DIFFERS: "Differs" };

/** Looks on without a token and without buttons; what the home page shows of this desk. */
const preview = new URLSearchParams(location.search).get("preview") === "1";

// A desk must know within two seconds that it is blind, so it asks each second.
const show = new BroadcastSync({ backoff: { base: 200, cap: 2000 }, heartbeatMs: 1000, silenceMs: 2000, blindAfterMs: 2000 });
const buttons = new Map();
let lineUp = "";
let logged = "";
let blindSince = 0;
let noticeTimer = 0;

// --- signing in ---------------------------------------------------------------------------------------------------

const session = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (token) => (token === null ? sessionStorage.removeItem(TOKEN) : sessionStorage.setItem(TOKEN, token)),
};

function connect(token) {
  byId("gate").hidden = true;
  byId("desk").inert = preview;
  if (token) session.set(token);
  show.connect(socketUrl(preview ? "/voting/sync" : "/control/sync"), { token, channels: ["show", "results"] });
}

function askForToken(line) {
  show.close();
  session.set(null);
  byId("gate").hidden = false;
  if (line) setText(byId("gate-line"), line);
  byId("token").focus();
}

async function start() {
  if (preview) return connect(null);
  const known = tokenFromAddress() ?? session.get();
  if (known) return connect(known);
  try {
    const guest = await guestToken("control");
    return guest ? connect(guest) : askForToken();
  } catch {
    askForToken("The server could not be reached. Paste a token with the role control, made with the command below:");
  }
}

byId("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const pasted = byId("token").value.trim();
  if (pasted) connect(pasted);
});

show.on("token", ({ code }) => askForToken(code === "TOKEN_EXPIRED"
  ? "The token has expired. Make a new one on the server and paste it here:"
  : "The token was refused. Make one with the role control on this server and paste it here:"));
show.on("refused", ({ code, reason }) => {
  if (code === 4502 || code === 4504) askForToken("This token does not have the role control. Make one that has, and paste it here:");
  else say(`The server closed this desk: ${reason} Reload to try again.`, "bad");
});

// --- cues ---------------------------------------------------------------------------------------------------------

function say(text, kind) {
  const box = byId("notice");
  clearTimeout(noticeTimer);
  box.dataset.kind = kind;
  box.hidden = false;
  const close = el("button", { type: "button", onclick: () => (box.hidden = true) }, "Dismiss");
  box.replaceChildren(el("span", {}, text), ...(kind === "bad" ? [close] : []));
  if (kind === "good") noticeTimer = setTimeout(() => (box.hidden = true), SAID_MS);
}

/** What a cue carries, read from the desk; null when a field is not filled in as it must be. */
function dataOf(event) {
  const number = (id) => {
    const input = byId(id);
    return input.reportValidity() && input.value !== "" ? Number(input.value) : null;
  };
  switch (event) {
    case "SHOW_START": {
      const episode = number("episode");
      const showId = byId("show-id").value.trim();
      return episode === null || !showId ? null : { showId, episode };
    }
    case "PERFORMANCE_START":
      return { contestantId: byId("contestant").value, songName: byId("song").value.trim() };
    case "PERFORMANCE_END":
      return { contestantId: show.state.performance?.contestantId };
    case "VOTING_OPEN": {
      const duration = number("duration");
      return duration === null ? null : { duration };
    }
    case "VOTING_EXTEND": {
      const seconds = number("extend");
      return seconds === null ? null : { seconds };
    }
    default:
      return {};
  }
}

async function give(event) {
  const button = buttons.get(event);
  const data = dataOf(event);
  if (data === null) return say(`${CUES[event]}: a field is not filled in.`, "bad");
  button.setAttribute("aria-busy", "true");
  try {
    const ack = await show.cue(event, data, { expectedRevision: show.state.revision });
    say(`${CUES[event]}: done, revision ${ack.revision}${ack.latenessMs > 0 ? `, ${ack.latenessMs} ms late` : ""}.`, "good");
  } catch (refusal) {
    say(refusalWords(event, refusal), "bad");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function refusalWords(event, refusal) {
  if (refusal.code === "UNCONFIRMED") return `${CUES[event]}: no answer. Look at the state before you press again.`;
  if (refusal.code === "STALE_REVISION") return `${CUES[event]}: not taken. ${plainWords(refusal)} (STALE_REVISION)`;
  return `${CUES[event]}: not taken. ${refusal.message} (${refusal.code})`;
}

function disarm(button, event) {
  clearTimeout(button.fuse);
  button.classList.remove("armed");
  setText(button, CUES[event]);
}

function press(event) {
  const button = buttons.get(event);
  if (button.getAttribute("aria-busy") === "true") return;
  if (!GUARDED.has(event)) return give(event);
  if (button.classList.contains("armed")) {
    disarm(button, event);
    return give(event);
  }
  button.classList.add("armed");
  setText(button, "Press again");
  button.fuse = setTimeout(() => disarm(button, event), GUARD_MS);
}

function build() {
  for (const slot of document.querySelectorAll(".slot")) {
    const event = slot.dataset.cue;
    const button = el("button", {
      class: GUARDED.has(event) ? "cue guarded" : "cue",
      type: "button",
      "data-cue": event,
      "data-testid": `cue-${event}`,
      hidden: true,
      onclick: () => press(event),
    }, CUES[event]);
    buttons.set(event, button);
    slot.append(el("span", { class: "ghost", "aria-hidden": "true" }, CUES[event]), button);
  }
  presets("duration", [[30, "30 s"], [60, "60 s"], [90, "90 s"], [1800, "30 min"]]);
  presets("extend", [[15, "15 s"], [30, "30 s"], [60, "60 s"]]);
}

function presets(id, choices) {
  const input = byId(id);
  const made = choices.map(([seconds, label]) =>
    el("button", { type: "button", "data-seconds": String(seconds), onclick: () => choose(seconds) }, label));
  const mark = () => made.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.seconds === input.value)));
  const choose = (seconds) => {
    input.value = String(seconds);
    mark();
  };
  byId(`${id}-presets`).replaceChildren(...made);
  input.addEventListener("input", mark);
  mark();
}

/** The server says what fits; until its tally comes, the state tells. */
function legalCues() {
  const { tally, show: on, voting, performance, window, resultsReleased, revision } = show.state;
  if (tally && tally.revision >= revision) return new Set(tally.legal);
  if (!on) return new Set(["SHOW_START"]);
  const legal = new Set([performance ? "PERFORMANCE_END" : "PERFORMANCE_START"]);
  if (voting === "OPEN") ["VOTING_EXTEND", "VOTING_CLOSE"].forEach((cue) => legal.add(cue));
  if (voting === "IDLE" || voting === "CLOSED") ["VOTING_OPEN", "SHOW_END"].forEach((cue) => legal.add(cue));
  if (voting === "CLOSED" && window && !resultsReleased) legal.add("RESULTS_RELEASE");
  return legal;
}

// --- what is shown ------------------------------------------------------------------------------------------------

function renderCues() {
  const legal = legalCues();
  const live = preview || (show.connection === "live" && show.state.identity !== null);
  for (const [event, button] of buttons) {
    const fits = legal.has(event);
    if (!fits && button.classList.contains("armed")) disarm(button, event);
    button.hidden = !fits;
    button.disabled = !live;
  }
  for (const fields of document.querySelectorAll(".fields")) fields.hidden = !legal.has(fields.dataset.for);
  const acts = show.state.contestants.filter((c) => c.status === "active");
  const key = JSON.stringify(acts);
  if (key === lineUp) return;
  lineUp = key;
  const select = byId("contestant");
  const chosen = select.value;
  select.replaceChildren(...acts.map((c) => el("option", { value: c.id }, `${c.number}  ${c.name}`)));
  if (acts.some((c) => c.id === chosen)) select.value = chosen;
}

function renderTally() {
  const { tally, board } = show.state;
  setText(byId("total"), count(tally?.totalVotes ?? board?.totalVotes ?? 0));
  setText(byId("rate"), tally ? count(Math.round(tally.votesPerSecond)) : "–");
  setText(byId("sockets"), tally ? count(tally.sockets) : "–");
  setText(byId("applied"), tally ? `${Math.floor(tally.applied * 1000) / 10}%` : "–");
  setText(byId("lag"), tally ? `${count(tally.ledgerLag)} ${tally.ledgerLag === 1 ? "vote" : "votes"}` : "–");
  byId("recount").dataset.recount = tally?.recount ?? "";
  setText(byId("recount"), tally ? RECOUNT[tally.recount] ?? tally.recount : "–");
  const key = JSON.stringify(tally?.cues ?? []);
  if (key === logged) return;
  logged = key;
  const cues = tally?.cues ?? [];
  byId("log-empty").hidden = cues.length > 0;
  byId("log").replaceChildren(...cues.map((cue) => {
    const taken = cue.outcome === "executed";
    const at = new Date(cue.at);
    return el("li", { class: taken ? "" : "refused" },
      el("time", { class: "tabular", dateTime: cue.at }, at.toLocaleTimeString("en-GB")),
      el("span", { class: "event" }, CUES[cue.event] ?? cue.event),
      el("span", { class: "late tabular" }, `${cue.latenessMs} ms late`),
      el("span", { class: "by" }, cue.by),
      el("span", { class: "outcome" }, taken ? `Revision ${cue.revision}` : cue.outcome),
    );
  }));
}

function renderTime() {
  const seconds = show.seconds;
  const open = seconds !== null;
  setText(byId("countdown"), clockText(seconds ?? 0));
  byId("countdown").classList.toggle("idle", !open);
  byId("drain").style.transform = `scaleX(${open ? show.share : 0})`;
  document.querySelector(".now").classList.toggle("last", open && seconds > 0 && seconds <= LAST_SECONDS);
}

function renderLink() {
  const { connection, reason } = show;
  byId("link").dataset.connection = connection;
  setText(byId("link"), { live: "Live", connecting: "Connecting", blind: "Blind", closed: "Closed" }[connection]);
  const blind = connection === "blind" || (connection === "closed" && byId("gate").hidden);
  if (blind && !blindSince) blindSince = Date.now();
  if (!blind) blindSince = 0;
  document.body.classList.toggle("blind", blind);
  const alarm = byId("blind");
  const degraded = !blind && (show.state.degraded || show.state.tally?.degraded);
  alarm.hidden = !blind && !degraded;
  alarm.classList.toggle("mild", Boolean(degraded));
  if (blind) {
    setText(alarm, `This desk is blind: no contact with the server. What it shows is old, and cues are not sent. ${reason} Trying again.`);
  } else if (degraded) {
    setText(alarm, "The server is cut off from its engine. The countdown goes on; cues may be refused until it is back.");
  }
}

function render() {
  const { show: on, voting, window, performance, revision, contestants } = show.state;
  const title = titles(on);
  setText(byId("show-title"), on ? title.show : "No show is on");
  setText(byId("episode-title"), title.episode);
  setText(byId("revision"), revision);
  byId("state").dataset.state = voting;
  setText(byId("state"), STATES[voting] ?? voting);
  const act = performance && contestants.find((c) => c.id === performance.contestantId);
  setText(byId("on-stage"), act ? `On stage: ${act.number} ${act.name}${performance.songName ? `, “${performance.songName}”` : ""}` : "");
  const at = (iso) => new Date(iso).toLocaleTimeString("en-GB");
  setText(byId("closes"), voting === "OPEN" && window ? `Closes at ${at(window.closesAt)}, votes in time count until ${at(window.hardClosesAt)}` : "");
  renderCues();
  renderTally();
  renderTime();
  renderLink();
}

function frame() {
  if (show.state.voting === "OPEN") renderTime();
  requestAnimationFrame(frame);
}

document.body.classList.toggle("preview", preview);
build();
show.on("change", render);
render();
start();
requestAnimationFrame(frame);
