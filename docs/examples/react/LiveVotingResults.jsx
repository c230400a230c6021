/** The ranking as it moves, with a countdown and a button for each contestant. */
import { memo } from "react";
import { useBroadcastSync, useSeconds, useVotes } from "./useBroadcastSync.js";

const TRENDS = {
  rising_fast: ["▲▲", "rising fast"],
  rising: ["▲", "rising"],
  stable: ["–", "steady"],
  falling: ["▼", "falling"],
  falling_fast: ["▼▼", "falling fast"],
};
const CONNECTIONS = { connecting: "Connecting …", blind: "No connection. Trying again …", closed: "Not connected." };

/**
 * @param {object} props
 * @param {string} props.url the socket, `wss://tv.example/voting/sync`
 * @param {string | null} [props.token] a JWT; without one there is nothing to press
 * @param {string} [props.locale] how numbers are written
 */
export function LiveVotingResults({ url, token = null, locale = "en" }) {
  const { client, state, connection, reason } = useBroadcastSync(url, { token });
  const [told, vote] = useVotes(client);
  const open = state.voting === "OPEN";
  return (
    <section className="results" aria-label="Live voting results">
      <header>
        <h1>{state.show?.title ?? "Waiting for the show"}</h1>
        <Countdown client={client} />
      </header>
      <p role="status">{connection === "live" ? headline(state) : reason || CONNECTIONS[connection]}</p>
      {state.board && (
        <p className="total">
          Total votes: <strong>{state.board.totalVotes.toLocaleString(locale)}</strong>
        </p>
      )}
      <ol>
        {rowsOf(state).map((row) => (
          <VoteResultCard
            key={row.contestantId}
            row={row}
            photo={photoUrl(row.contestantPhoto, url)}
            votes={row.formattedCount ?? null}
            note={told[row.contestantId]}
            vote={open && token ? vote : null}
          />
        ))}
      </ol>
    </section>
  );
}

/** Best first; while the counts are nobody's to see yet, the line-up without any. */
function rowsOf({ board, window, contestants }) {
  if (board) return board.results.filter((row) => row.contestantName !== undefined);
  const people = window?.contestants.length ? window.contestants : contestants;
  return people.map(({ id, name, photoUrl }) => ({ contestantId: id, contestantName: name, contestantPhoto: photoUrl }));
}

function headline({ voting, result, degraded }) {
  if (degraded) return "The studio is catching up.";
  if (result) return result.certified ? "The certified result" : "The result";
  return { IDLE: "The lines are not open yet.", OPEN: "The lines are open." }[voting] ?? "The lines are closed.";
}

/** Photos of a show may be named relative to its server. */
function photoUrl(photo, url) {
  return photo ? new URL(photo, url.replace(/^ws/, "http")).href : null;
}

function Countdown({ client }) {
  const seconds = useSeconds(client);
  if (seconds === null) return null;
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return <time role="timer" className={seconds <= 10 ? "last" : ""}>{text}</time>;
}

/** Renders again only when its own row, or what became of a vote for it, has changed. */
const VoteResultCard = memo(function VoteResultCard({ row, photo, votes, note, vote }) {
  const { contestantId, contestantName, rank, change, percentage, trend } = row;
  const [icon, words] = TRENDS[trend] ?? TRENDS.stable;
  return (
    <li data-testid={`card-${contestantId}`} className={rank === 1 ? "first" : ""}>
      <span className="rank">{rank}</span>
      {photo ? <img src={photo} alt="" width="56" height="56" /> : <span className="blank" aria-hidden="true" />}
      <div>
        <p className="name">{contestantName}</p>
        {rank !== undefined && (
          <>
            <progress value={percentage} max="100" aria-label={`${contestantName}: ${percentage.toFixed(1)} percent`} />
            <p className="figures">
              <span>{votes} votes</span>
              <span>{percentage.toFixed(1)}%</span>
              <span title={words} role="img" aria-label={words}>{icon}</span>
              {change ? <span className={change > 0 ? "up" : "down"}>{change > 0 ? `+${change}` : change}</span> : null}
            </p>
          </>
        )}
        {note && <p className={note.status} role="status">{note.words}</p>}
      </div>
      {vote && <button type="button" onClick={() => vote(contestantId)} aria-label={`Vote for ${contestantName}`}>Vote</button>}
    </li>
  );
});
