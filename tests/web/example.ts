// What an app writes with the SDK; compiled with `tsc --strict` against the packed package, never run.
import { BroadcastSync, closeWords, plainWords, Refusal, type Board, type ShowState, type VoteAck } from "broadcast-sync";

const show = new BroadcastSync({ backoff: { base: 500, cap: 20_000 }, silenceMs: 14_000 });

function leader(board: Board | null): string {
  const first = board?.results[0];
  return first ? `${first.contestantName ?? first.contestantId} ${first.percentage.toFixed(1)} %` : "nobody yet";
}

const off = show.on("change", (now) => {
  const state: ShowState = now.state;
  console.log(now.connection, state.voting, now.seconds, leader(state.board));
  if (state.performance) console.log(state.performance.songName);
});
show.on("second", (seconds) => console.log(seconds.toFixed(0)));
show.on("refused", ({ code, reason }) => console.log(closeWords(code, reason)));
show.on("problem", (problem) => console.log(problem.code, problem.message ?? ""));
show.on("RESULTS_READY", (result) => console.log(result.certified, result.ledgerTotal));
show.on("SLOT_DECIDED", ({ contestantName, nextSlot }) => console.log(contestantName ?? "nobody", nextSlot ?? "the end"));
show.on("HOLOGRAM", (data) => console.log(data.anything));

show.connect("wss://example.org/voting/sync", { token: "jwt", refreshToken: async () => null });

async function press(contestantId: string): Promise<VoteAck | null> {
  try {
    return await show.vote(contestantId, { voteType: "free", voteCount: 1, metadata: { seat: 7 } });
  } catch (error) {
    if (error instanceof Refusal) console.log(plainWords(error), error.retryAfter ?? 0);
    return null;
  }
}

void press("c07").then((ack) => console.log(ack?.remaining["free"]));
off();

// What must not compile.
// @ts-expect-error: votes are for a contestant
void show.vote(7);
// @ts-expect-error: there is no such mode
void show.cue("VOTING_OPEN", {}, { mode: "maybe" });
// @ts-expect-error: the state is not the page's to change
show.state.voting = "OPEN";
// @ts-expect-error: no such field
show.on("WARNING", ({ seconds }) => console.log(seconds));
