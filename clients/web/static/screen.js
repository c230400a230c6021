/** The studio screen: title card, act on stage, the ranking as it moves, the reveal. Shows, never asks. */
import { BroadcastSync } from "./sdk/index.js";
import {
  byId, clockText, count, el, firsts, guestToken, namesTogether, percent, portrait, setText, socketUrl, titles,
  tokenFromAddress,
} from "./page.js";

const LAST_SECONDS = 10;
const MOVE_MS = 900;
/** Up to this many rows are drawn large. */
const FEW = 7;
/** More acts than this do not fit a screen that people read from a sofa; the rest is below the line. */
const MOST = 12;

const show = new BroadcastSync({ backoff: { base: 300, cap: 4000 }, heartbeatMs: 3000, silenceMs: 6000 });
const still = matchMedia("(prefers-reduced-motion: reduce)");
/** contestant id -> its row's parts */
const rows = new Map();
let totalShown = 0;
let totalAim = 0;
let revealed = null;
let lineUp = "";

document.body.classList.toggle("keyed", new URLSearchParams(location.search).get("transparent") === "1");

const contestants = () => show.state.window?.contestants?.length ? show.state.window.contestants : show.state.contestants;
const byContestant = (id) => contestants().find((c) => c.id === id);

/** idle, stage, open, closed, reveal */
function view() {
  const { voting, result, performance, window } = show.state;
  if (voting === "OPEN") return show.remainingMs === 0 ? "closed" : "open";
  if (performance && byContestant(performance.contestantId)) return "stage";
  if (result) return "reveal";
  return window && voting !== "IDLE" ? "closed" : "idle";
}

// --- the board --------------------------------------------------------------------------------------------------

function makeRow(contestant) {
  const parts = {
    rank: el("span", { class: "rank tabular" }),
    bar: el("i"),
    votes: el("span", { class: "votes tabular" }),
    share: el("span", { class: "share tabular" }),
  };
  const item = el("li", { class: "row", "data-testid": `row-${contestant.id}` },
    parts.rank,
    portrait(contestant),
    el("div", { class: "lane" },
      el("p", { class: "name" }, contestant.name, contestant.khmerName ? el("span", { class: "khmer", lang: "km" }, contestant.khmerName) : null),
      el("div", { class: "bar" }, parts.bar),
    ),
    parts.votes,
    parts.share,
  );
  item.classList.toggle("out", contestant.status !== "active");
  return { item, ...parts, place: 0 };
}

/** The board, or the line-up without votes while there is none. */
function standing() {
  const { board } = show.state;
  const known = contestants();
  if (board?.results.length) return board.results.slice(0, MOST);
  return known.slice(0, MOST).map((c) => ({ contestantId: c.id, contestantName: c.name, contestantPhoto: c.photoUrl, voteCount: 0, percentage: 0, rank: 0 }));
}

/** FLIP: note where the rows are, reorder them, and let each run from its old place to its new one. */
function renderRows() {
  const list = byId("rows");
  const now = standing();
  const before = new Map([...rows].map(([id, row]) => [id, row.item.isConnected ? row.item.getBoundingClientRect().top : null]));
  for (const id of [...rows.keys()]) {
    if (!now.some((row) => row.contestantId === id)) {
      rows.get(id).item.remove();
      rows.delete(id);
    }
  }
  const most = Math.max(1, ...now.map((row) => row.voteCount));
  now.forEach((data, place) => {
    const id = data.contestantId;
    if (!rows.has(id)) {
      rows.set(id, makeRow(byContestant(id) ?? { id, number: "", name: data.contestantName, photoUrl: data.contestantPhoto, status: "active" }));
    }
    const row = rows.get(id);
    const climbed = row.item.isConnected && place < row.place && data.rank > 0;
    row.item.dataset.rank = data.rank || "";
    setText(row.rank, data.rank || "");
    setText(row.votes, data.rank ? count(data.voteCount) : "");
    setText(row.share, data.rank ? percent(data.percentage) : "");
    row.bar.style.transform = `scaleX(${data.voteCount / most})`;
    if (list.children[place] !== row.item) list.insertBefore(row.item, list.children[place] ?? null);
    if (climbed) {
      row.item.classList.remove("up");
      requestAnimationFrame(() => row.item.classList.add("up"));
      row.item.addEventListener("animationend", () => row.item.classList.remove("up"), { once: true });
    }
    row.place = place;
  });
  list.classList.toggle("few", now.length <= FEW);
  if (still.matches) return;
  for (const [id, row] of rows) {
    const old = before.get(id);
    const delta = old === null || old === undefined ? 0 : old - row.item.getBoundingClientRect().top;
    if (!delta) continue;
    row.item.style.zIndex = delta > 0 ? "2" : "1"; // who climbs passes in front
    row.item.animate(
      [{ transform: `translateY(${delta}px)` }, { transform: "none" }],
      { duration: MOVE_MS, easing: "cubic-bezier(0.45, 0, 0.1, 1)" },
    );
  }
}

// --- the rest ----------------------------------------------------------------------------------------------------

function fill(box, contestant) {
  const wanted = contestant ? `${contestant.id} ${contestant.photoUrl}` : "";
  if (box.dataset.of === wanted) return;
  box.dataset.of = wanted;
  box.replaceChildren(...(contestant ? [portrait(contestant)] : []));
}

function renderTitle() {
  const title = titles(show.state.show);
  setText(byId("title-show"), title.show || "Stand by");
  setText(byId("title-episode"), title.episode);
  setText(byId("side-show"), title.show);
  setText(byId("side-episode"), title.episode);
  document.title = title.show ? `${title.show}: studio screen` : "Studio screen";
  const key = JSON.stringify(contestants());
  if (key === lineUp) return;
  lineUp = key;
  rows.clear();
  byId("rows").replaceChildren();
  byId("line-up").replaceChildren(...contestants().slice(0, MOST).map((c) => portrait(c)));
}

function renderStage() {
  const { performance } = show.state;
  const act = performance && byContestant(performance.contestantId);
  byId("on-stage").hidden = !act;
  if (!act) return;
  fill(byId("performer-photo"), act);
  setText(byId("performer-number"), act.number);
  setText(byId("performer-name"), act.name);
  setText(byId("performer-khmer"), act.khmerName ?? "");
  setText(byId("performer-song"), performance.songName ? `“${performance.songName}”` : act.hometown ?? "");
  fill(byId("on-stage-photo"), act);
  setText(byId("on-stage-name"), act.name);
  setText(byId("on-stage-song"), performance.songName ? `“${performance.songName}”` : "");
}

function renderReveal() {
  const { result } = show.state;
  if (!result || revealed === result.windowId + result.certified) return;
  revealed = result.windowId + result.certified;
  const first = result.results[0];
  if (!first) return;
  const winners = firsts(result.results, byContestant);
  const names = namesTogether(winners.map((act) => act.name));
  byId("reveal-photo").dataset.acts = String(Math.min(4, winners.length));
  byId("reveal-photo").replaceChildren(...winners.slice(0, 4).map((act) => portrait(act)));
  setText(byId("reveal-word"), winners.length > 1 ? "Equal first" : "Winner of the vote");
  setText(byId("winner"), names);
  byId("winner").classList.toggle("long", names.length > 22);
  byId("winner").classList.toggle("many", winners.length > 2);
  setText(byId("winner-khmer"), winners.length === 1 ? winners[0].khmerName ?? "" : "");
  setText(byId("winner-share"), percent(first.percentage));
  setText(byId("winner-of"), `${winners.length > 1 ? "each " : ""}of ${count(result.totalVotes)} votes`);
  byId("seal").classList.toggle("open", !result.certified);
  setText(byId("seal"), result.certified
    ? "Certified: the ledger, recounted, agrees with the tally"
    : "Provisional: the count is being checked");
  const others = result.results.filter((row) => row.rank > 1).slice(0, MOST - winners.length);
  byId("podium").replaceChildren(...others.map((row, i) => {
    const item = el("li", {},
      el("span", { class: "place tabular" }, String(row.rank)),
      el("span", { class: "who" }, row.contestantName),
      el("span", { class: "tabular" }, percent(row.percentage)),
    );
    item.style.setProperty("--i", String(others.length - 1 - i));
    return item;
  }));
}

function renderTime() {
  const seconds = show.seconds;
  const open = seconds !== null && seconds > 0;
  const last = open && seconds <= LAST_SECONDS;
  byId("picture").classList.toggle("last", last);
  const text = !open ? "Counting" : last ? String(seconds) : clockText(seconds);
  setText(byId("countdown"), text);
  byId("countdown").classList.toggle("long", text.length > 5 && open);
  setText(byId("state"), open ? "Lines open" : "Lines closed");
  setText(byId("total-word"), open ? "votes so far" : "votes received");
  byId("drain").style.transform = open ? `scaleX(${show.share})` : "";
}

/** The total runs towards its newest value instead of jumping. */
function renderTotal() {
  const step = (totalAim - totalShown) * 0.12;
  totalShown = still.matches || Math.abs(step) < 0.5 || totalAim < totalShown ? totalAim : totalShown + step;
  setText(byId("total"), count(Math.round(totalShown)));
}

function render() {
  const now = view();
  document.body.dataset.view = now;
  byId("title-card").hidden = now !== "idle";
  byId("performer").hidden = now !== "stage";
  byId("board").hidden = now !== "open" && now !== "closed";
  byId("reveal").hidden = now !== "reveal";
  totalAim = show.state.board?.totalVotes ?? 0;
  // nothing is said of counts that are not told: 0 would be wrong
  byId("votes-so-far").hidden = !show.state.board && (show.state.window?.visibility ?? "public") !== "public";
  renderTitle();
  renderStage();
  renderRows();
  if (now === "reveal") renderReveal();
  else revealed = null;
  renderTime();
  const lost = show.connection === "blind" || show.connection === "closed";
  byId("trouble").hidden = !lost && !show.state.degraded;
  setText(byId("trouble"), lost ? show.reason || "No connection" : "The server is cut off from its engine");
}

function frame() {
  if (show.state.voting === "OPEN") renderTime();
  renderTotal();
  requestAnimationFrame(frame);
}

const given = tokenFromAddress();
let asked = given !== null;

/** A window whose counts are for screens alone needs a token: the address's, or a guest's where there are any. */
async function showThatWeAreAScreen() {
  if (asked || show.state.window?.visibility !== "screens") return;
  asked = true;
  try {
    const token = await guestToken("screen");
    if (token) show.setToken(token);
  } catch {
    asked = false; // the server could not be asked: the next change asks again
  }
}

show.on("change", render);
show.on("change", showThatWeAreAScreen);
show.on("second", (seconds) => seconds === 0 && render());
show.connect(socketUrl("/voting/results"), { token: given, channels: ["show", "results"] });
render();
requestAnimationFrame(frame);
