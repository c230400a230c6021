/** The front door: what is running, and the way to the phone, the studio screen and the control room. */
import { byId, count, setText } from "./page.js";

const AGAIN_MS = 4000;

/** The previews are whole pages, drawn at their own size and made small. */
function fit(glass) {
  const width = Number(glass.dataset.width);
  const frame = glass.querySelector("iframe");
  const scale = glass.clientWidth / width;
  frame.style.width = `${width}px`;
  frame.style.height = `${glass.clientHeight / scale}px`;
  frame.style.transform = `scale(${scale})`;
}

const watcher = new ResizeObserver((entries) => entries.forEach(({ target }) => fit(target)));
for (const glass of document.querySelectorAll(".glass[data-width]")) watcher.observe(glass);

function duration(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

const WORDS = { IDLE: "on air", OPEN: "lines open", CLOSING: "counting", CLOSED: "lines closed" };

function onAir({ show, voting, rehearsal }) {
  if (!show) return rehearsal ? "Rehearsal is about to start" : "No show is on. Start one in the control room.";
  return `${show.title}, ${WORDS[voting] ?? voting}${rehearsal ? " (rehearsal)" : ""}`;
}

async function refresh() {
  try {
    const response = await fetch("/api/v1/status", { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const status = await response.json();
    byId("on-air").dataset.state = status.voting === "OPEN" ? "OPEN" : status.show ? "ON" : "";
    setText(byId("on-air"), onAir(status));
    setText(byId("sockets"), count(status.sockets));
    setText(byId("votes"), status.totalVotes === null ? "–" : count(status.totalVotes));
    setText(byId("uptime"), duration(status.uptimeS));
    setText(byId("engines"), `Valkey ${status.engines?.valkey ?? "–"}, PostgreSQL ${status.engines?.postgres ?? "–"}`);
    setText(byId("node"), `${status.node} ${status.version}`);
  } catch {
    byId("on-air").dataset.state = "LOST";
    setText(byId("on-air"), "The server does not answer. Trying again.");
  }
  setTimeout(refresh, AGAIN_MS);
}

setText(byId("curl"), `curl ${location.origin}/control/cues \\
  -H "authorization: Bearer $(broadcast-sync token --role control)" \\
  -H "content-type: application/json" \\
  -d '{"event": "VOTING_OPEN", "data": {"duration": 90}}'`);
refresh();
