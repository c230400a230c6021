/** The viewer's phone: join, watch, vote, see the result. */
import { BroadcastSync, plainWords } from "./sdk/index.js";
import {
  byId, clockText, count, el, firsts, guestToken, namesTogether, percent, portrait, setText, socketUrl, stored, titles,
  tokenFromAddress, votes,
} from "./page.js";

const TOKEN = "broadcast-sync.token";
const MINE = "broadcast-sync.mine";
const WAITING = "broadcast-sync.waiting";
const LAST_SECONDS = 10;
const NOTICE_MS = 4200;
const COUNTED_MS = 1500;

const show = new BroadcastSync({
  keep: {
    load: () => JSON.parse(stored.get(WAITING) ?? "[]"),
    save: (waiting) => stored.set(WAITING, waiting.length ? JSON.stringify(waiting) : null),
  },
});

/** What this viewer did, as far as this phone knows: window -> contestant -> counted votes. */
const mine = { windowId: "", counted: {}, ...JSON.parse(stored.get(MINE) ?? "{}") };
/** contestant id -> its card's parts */
const cards = new Map();
/** Looks on without a token; what the home page shows of this page. */
const preview = new URLSearchParams(location.search).get("preview") === "1";
let token = preview ? null : tokenFromAddress() ?? stored.get(TOKEN);
let line = null; // the line-up the cards were built from
let noticeTimer = 0;
let announced = "";

// --- saying things ------------------------------------------------------------------------------------------

function notice(text, kind = "plain", ms = NOTICE_MS) {
  const box = byId("notice");
  box.dataset.kind = kind;
  setText(box, text);
  box.classList.add("shown");
  clearTimeout(noticeTimer);
  if (ms) noticeTimer = setTimeout(() => box.classList.remove("shown"), ms);
}

/** For screen readers only, once each. */
function announce(text) {
  if (announced === text) return;
  announced = text;
  setText(byId("announce"), text);
}

// --- joining ------------------------------------------------------------------------------------------------

function useToken(newToken) {
  token = newToken;
  stored.set(TOKEN, newToken);
  byId("paste").hidden = true;
  byId("join").hidden = false;
  if (show.connection === "closed") connect();
  else show.setToken(newToken);
  render();
}

function askForPass(line) {
  byId("paste").hidden = false;
  byId("join").hidden = true;
  setText(byId("join-head"), "A pass is needed");
  setText(byId("join-line"), line);
  byId("token").focus();
}

byId("join").addEventListener("click", async () => {
  const button = byId("join");
  button.disabled = true;
  setText(button, "Joining");
  try {
    const guest = await guestToken("user");
    if (guest) {
      useToken(guest);
      notice("You are in. Your votes count from this phone.", "good");
    } else {
      askForPass("This show does not let guests vote. Paste the pass you were given, or open the link that came with it.");
    }
  } catch {
    notice("The studio could not be reached. Check your connection and try again.", "bad");
  } finally {
    button.disabled = false;
    setText(button, "Join the vote");
  }
});

byId("paste").addEventListener("submit", (event) => {
  event.preventDefault();
  const pasted = byId("token").value.trim();
  if (pasted) useToken(pasted);
});

show.on("token", ({ code }) => {
  token = null;
  stored.set(TOKEN, null);
  notice(code === "TOKEN_EXPIRED" ? plainWords({ code }) : "Your pass is not valid any more. Join again to vote.", "bad");
  if (show.connection === "closed") connect();
  render();
});

show.on("refused", ({ code, reason }) => {
  if (code !== 4500) notice(reason, "bad", 0);
});

// --- voting -------------------------------------------------------------------------------------------------

function press(contestant) {
  if (!token) {
    byId("join-panel").scrollIntoView({ block: "center" });
    byId("join").focus();
    return;
  }
  follow(contestant, show.vote(contestant.id));
}

/** Shows what becomes of one vote, from "Sending" to its answer. */
async function follow(contestant, answer) {
  const card = cards.get(contestant.id);
  if (card) card.sending += 1;
  renderCards();
  let phase = "counted";
  try {
    const ack = await answer;
    const left = ack.remaining?.[ack.voteType];
    mine.counted[contestant.id] = (mine.counted[contestant.id] ?? 0) + ack.voteCount;
    stored.set(MINE, JSON.stringify(mine));
    notice(`Counted: your vote for ${contestant.name}.${left === 0 ? " That was your last free vote." : ""}`, "good");
  } catch (refusal) {
    phase = "refused";
    const late = refusal.code === "UNCONFIRMED" && show.state.voting !== "OPEN";
    notice(late ? "The lines closed before the studio confirmed this vote." : plainWords(refusal), "bad");
  }
  const now = cards.get(contestant.id);
  if (!now) return;
  now.sending = Math.max(0, now.sending - 1);
  now.phase = phase;
  now.item.classList.toggle("counted", phase === "counted");
  clearTimeout(now.timer);
  now.timer = setTimeout(() => {
    now.phase = "";
    now.item.classList.remove("counted");
    renderCards();
  }, COUNTED_MS);
  renderCards();
}

// --- what is shown --------------------------------------------------------------------------------------------

/** loading, waiting, open, closing, result */
function view() {
  const { show: on, voting, result, revision } = show.state;
  if (!revision && !on && show.connection !== "live") return "loading";
  if (result && voting !== "OPEN") return "result";
  if (voting === "OPEN") return show.remainingMs === 0 ? "closing" : "open";
  if (voting === "CLOSING" || (voting === "CLOSED" && show.state.window)) return "closing";
  return "waiting";
}

const CHIP = {
  loading: ["IDLE", "Connecting"],
  waiting: ["IDLE", "Lines closed"],
  open: ["OPEN", "Lines open"],
  closing: ["CLOSING", "Counting"],
  result: ["RESULT", "Result"],
};

const contestants = () => show.state.window?.contestants?.length ? show.state.window.contestants : show.state.contestants;
const byContestant = (id) => contestants().find((c) => c.id === id);

function freeLimit() {
  return show.state.window?.rules?.freeVotesPerEpisode ?? null;
}

/** Free votes left as the viewer should see them: those under way are taken off already. null: no limit known. */
function freeLeft() {
  const left = show.state.remaining?.free ?? freeLimit();
  return left === null ? null : Math.max(0, left - show.waiting);
}

function buildCards() {
  const now = contestants();
  const key = JSON.stringify(now);
  if (key === line) return;
  line = key;
  const before = new Map(cards);
  cards.clear();
  byId("cards").replaceChildren(
    ...now.map((contestant) => {
      const button = el("button", {
        class: "vote",
        type: "button",
        "data-testid": `vote-${contestant.id}`,
        "aria-label": `Vote for number ${contestant.number}, ${contestant.name}`,
        onclick: () => press(contestant),
      }, "Vote");
      const badge = el("span", { class: "card-mine", hidden: true });
      const item = el("li", { class: "card" },
        el("div", { class: "card-photo" }, portrait(contestant), el("span", { class: "card-number tabular" }, String(contestant.number)), badge),
        el("div", { class: "card-words" },
          el("p", { class: "card-name" }, contestant.name),
          contestant.khmerName ? el("p", { class: "card-khmer khmer", lang: "km" }, contestant.khmerName) : null,
          el("p", { class: "card-town" }, contestant.hometown ?? ""),
        ),
        button,
      );
      const old = before.get(contestant.id);
      cards.set(contestant.id, { item, button, badge, contestant, sending: old?.sending ?? 0, phase: "", timer: 0 });
      return item;
    }),
  );
}

function renderCards() {
  const left = freeLeft();
  const spent = left !== null && left < 1;
  for (const { button, badge, contestant, sending, phase } of cards.values()) {
    const out = contestant.status !== "active";
    const shown = sending > 0 ? "sending" : phase;
    button.dataset.phase = shown;
    // A button with an answer to show keeps the focus; it only looks spent.
    button.disabled = out || (!sending && !phase && (spent && Boolean(token)));
    const counted = mine.counted[contestant.id] ?? 0;
    setText(button, out ? "Out" : { sending: "Sending", counted: "Counted", refused: "Not counted" }[shown]
      ?? (!token ? "Join to vote" : spent ? "No votes left" : counted ? "Vote again" : "Vote"));
    badge.hidden = counted === 0;
    setText(badge, `You: ${votes(counted)}`);
  }
}

function renderAllowance() {
  const limit = freeLimit();
  const left = freeLeft();
  byId("allowance").hidden = !token || left === null;
  if (byId("allowance").hidden) return;
  const whole = Math.max(limit ?? left, left);
  setText(byId("remaining"), `${left} of ${whole} free ${whole === 1 ? "vote" : "votes"} left`);
  const pips = byId("pips");
  pips.hidden = whole > 10;
  if (pips.childElementCount !== whole && whole <= 10) {
    pips.replaceChildren(...Array.from({ length: whole }, () => el("i", { class: "pip" })));
  }
  [...pips.children].forEach((pip, i) => {
    pip.classList.toggle("pending", i >= left && i < left + show.waiting);
    pip.classList.toggle("spent", i >= left + show.waiting);
  });
}

function renderStage(now) {
  const { show: on, performance } = show.state;
  const performer = performance && byContestant(performance.contestantId);
  const box = byId("stage");
  box.hidden = now === "result" || now === "closing" || (now === "open" && !performer);
  const photo = byId("stage-photo");
  const wanted = performer?.id ?? "";
  if (photo.dataset.of !== wanted) {
    photo.dataset.of = wanted;
    photo.replaceChildren(...(performer ? [portrait(performer)] : []));
  }
  setText(byId("stage-eyebrow"), performer ? "On stage now" : on ? "Stay with us" : "No show is on air");
  setText(byId("stage-name"), performer ? performer.name : on ? "The lines open soon" : "See you at the next show");
  setText(byId("stage-khmer"), performer?.khmerName ?? "");
  setText(byId("stage-line"), performer
    ? performance.songName ? `“${performance.songName}”` : performer.hometown
    : on ? "Keep this page open. It starts by itself." : "");
}

function renderResult() {
  const { result } = show.state;
  const first = result.results[0];
  const winners = firsts(result.results, byContestant);
  const names = namesTogether(winners.map((act) => act.name));
  const photo = byId("winner-photo");
  if (photo.dataset.of !== result.windowId) {
    photo.dataset.of = result.windowId;
    photo.dataset.acts = String(Math.min(4, winners.length));
    photo.replaceChildren(...winners.slice(0, 4).map((act) => portrait(act)));
    announce(`The result is in. First: ${names}.`);
  }
  const tied = winners.length > 1;
  setText(byId("winner-word"), tied ? "Equal first" : "Winner of the vote");
  setText(byId("winner"), names);
  byId("winner").classList.toggle("many", tied);
  setText(byId("winner-khmer"), tied ? "" : winners[0]?.khmerName ?? "");
  setText(byId("winner-share"), first ? `${percent(first.percentage)}${tied ? " each" : ""} of ${votes(result.totalVotes)}` : "");
  byId("seal").classList.toggle("open", !result.certified);
  setText(byId("seal"), result.certified
    ? `Certified: the ledger was counted again and has the same ${count(result.ledgerTotal)}.`
    : "Not certified yet: the count and the ledger are still being compared.");
  byId("ranking").replaceChildren(...result.results.map((row) => {
    const c = byContestant(row.contestantId);
    return el("li", { class: "rank-row" },
      el("span", { class: "rank-place tabular" }, String(row.rank)),
      portrait({ number: c?.number ?? "", photoUrl: row.contestantPhoto }),
      el("span", { class: "rank-name" }, row.contestantName, c?.khmerName ? el("span", { class: "khmer", lang: "km" }, c.khmerName) : null),
      el("span", { class: "rank-share tabular" }, percent(row.percentage), el("small", {}, count(row.voteCount))),
    );
  }));
}

/** What has come in so far; the certified number may still be a little higher. */
function renderReceived() {
  const received = show.state.board?.totalVotes;
  if (received) byId("closing-total").replaceChildren(count(received), el("small", {}, " votes received"));
  else byId("closing-total").replaceChildren();
}

function mineInWords() {
  const parts = Object.entries(mine.counted).map(([id, n]) => `${byContestant(id)?.name ?? id} (${n})`);
  return parts.length ? `Your votes: ${parts.join(", ")}.` : "";
}

function renderBanner() {
  const banner = byId("offline");
  const lost = show.connection === "blind" || (show.connection === "connecting" && show.state.revision > 0);
  banner.hidden = !lost && !show.state.degraded;
  if (lost) setText(banner, show.waiting ? "Reconnecting. Your vote is kept." : "Reconnecting to the studio.");
  else if (show.state.degraded) setText(banner, "The studio is busy. What you see may be a little behind.");
}

let renderedResult = null;

function render() {
  const now = view();
  const { window, result } = show.state;
  if (window && mine.windowId !== window.windowId && show.state.voting === "OPEN") {
    Object.assign(mine, { windowId: window.windowId, counted: {} });
    stored.set(MINE, JSON.stringify(mine));
  }
  document.body.dataset.view = now;
  const title = titles(show.state.show);
  setText(byId("show-title"), title.show || "Live vote");
  setText(byId("episode-title"), title.episode);
  const [state, word] = CHIP[now];
  byId("state").dataset.state = state;
  setText(byId("state"), word);
  renderBanner();
  buildCards();
  renderStage(now);
  byId("timer").hidden = now !== "open";
  byId("join-panel").hidden = Boolean(token) || !["open", "waiting"].includes(now);
  byId("closing").hidden = now !== "closing";
  setText(byId("mine"), now === "closing" ? mineInWords() : "");
  if (now === "closing") renderReceived();
  byId("result").hidden = now !== "result";
  byId("ranking").hidden = now !== "result";
  byId("cards").hidden = now === "result" || now === "closing";
  setText(byId("rules"), now === "open" ? window?.rules?.text ?? "" : now === "result" ? mineInWords() : "");
  if (now === "result" && renderedResult !== result) {
    renderedResult = result;
    renderResult();
  }
  if (now === "open") announce("The lines are open. You can vote now.");
  if (now === "closing") announce("Voting has closed. The votes are being counted.");
  renderAllowance();
  renderCards();
  renderTime();
}

/** In the last seconds only the last digits are drawn, large; the text stays a whole time for whoever reads it. */
function renderDigits(text) {
  const box = byId("countdown");
  if (box.textContent === text) return;
  const [leading] = /^0:0?(?=\d)/.exec(text) ?? [""];
  box.replaceChildren(el("span", { class: "leading" }, leading), text.slice(leading.length));
}

/** The clock runs with the screen, not with the messages. */
function renderTime() {
  const seconds = show.seconds;
  if (seconds === null) return;
  const last = seconds <= LAST_SECONDS;
  const timer = byId("timer");
  timer.classList.toggle("last", last);
  renderDigits(clockText(seconds));
  setText(byId("timer-word"), last ? "Last chance" : "Lines open");
  byId("drain").style.transform = `scaleX(${show.share ?? 0})`;
}

function frame() {
  if (show.state.voting === "OPEN") renderTime();
  requestAnimationFrame(frame);
}

// --- start ----------------------------------------------------------------------------------------------------

function connect() {
  show.connect(socketUrl("/voting/sync"), { token, channels: ["show", "results"] });
}

show.on("change", render);
show.on("second", (seconds) => {
  if (seconds === 60 || seconds === 30 || seconds === LAST_SECONDS) announce(`${seconds} seconds left.`);
  if (seconds === 0) render();
});
document.addEventListener("visibilitychange", () => document.hidden || show.syncClock());
// The same tab may be opened again by a link with a pass.
addEventListener("hashchange", () => {
  const given = tokenFromAddress();
  if (given) useToken(given);
});

if (token) stored.set(TOKEN, token);
connect();
for (const [message, answer] of preview ? [] : show.resumeVotes()) {
  follow({ id: message.contestantId, name: "the act you chose" }, answer);
}
render();
requestAnimationFrame(frame);
