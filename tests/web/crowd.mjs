// Clients on the JavaScript SDK, led by the lines of standard input; what they hear goes out as lines.
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

import { BroadcastSync } from "../../clients/web/sdk/index.js";

const [url, seed, options] = process.argv.slice(2);
const clients = [];

const say = (client, event, data) => process.stdout.write(`${JSON.stringify({ client, event, data })}\n`);

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
function dice(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const commands = {
  join({ client, token }) {
    const show = new BroadcastSync({ WebSocket, random: dice(Number(seed) + client), ...JSON.parse(options) });
    clients[client] = show;
    show.on("message", ({ type, epoch, offset }) => offset !== undefined && say(client, "event", [type, epoch, offset]));
    show.on("AUTH_OK", () => say(client, "live", null));
    show.on("SUBSCRIBED", (data) => say(client, "subscribed", data));
    show.on("second", (seconds) => say(client, "second", seconds));
    show.on("problem", (problem) => say(client, "problem", problem));
    show.connect(url, { token });
  },
  async vote({ client, id, contestant }) {
    const answer = clients[client].vote(contestant, { id });
    const [code, voteId] = await answer.then((ack) => ["ACK", ack.voteId], (refusal) => [refusal.code, ""]);
    say(client, "answer", [id, code, voteId]);
  },
  look({ client }) {
    const { clock, state } = clients[client];
    say(client, "looked", { offMs: clock.now() - Date.now(), roundTripMs: clock.rtt, voting: state.voting, revision: state.revision });
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    void commands[command.do](command);
  })
  .on("close", () => process.exit(0));
