/** Cues on their way to the server: never without a connection, never twice, and each answer is said. */
import { ackWords, foundWords, refusalWords } from "./words.js";

export class Sender {
  /**
   * @param {import("../sdk/index.js").BroadcastSync} show
   * @param {import("./press.js").Outgoing} outgoing
   * @param {(words: string, kind: "good" | "bad") => void} say
   * @param {() => void} changed called when a cue leaves and when its answer comes
   */
  constructor(show, outgoing, say, changed) {
    this._show = show;
    this._outgoing = outgoing;
    this._say = say;
    this._changed = changed;
  }

  /** Whether a cue would go out this moment. A desk that is not sure of its connection gives none. */
  get live() {
    return this._show.connection === "live" && this._show.state.identity !== null;
  }

  waits(name) {
    return this._outgoing.waits(name);
  }

  /** A cue of this desk; refused by the server if the show has moved on from what the desk shows. */
  give(event, data) {
    const { revision } = this._show.state;
    return this._send(event, event, data, { expectedRevision: revision });
  }

  /** Takes, cancels or confirms the cue that waits under `cueId`. */
  answer(mode, { cueId, event }) {
    return this._send(`${mode}:${cueId}`, event, null, { mode, cueId });
  }

  /** The cue log has come: it knows what became of a cue whose answer was lost. */
  heard(log) {
    for (const [name, cueId] of this._outgoing.lost) {
      const line = log.find((cue) => cue.cueId === cueId);
      if (!line) continue;
      this._outgoing.answered(name);
      this._say(foundWords(line), "bad");
    }
  }

  async _send(name, event, data, options) {
    if (!this.live) return this._say("No connection: this cue was not sent.", "bad");
    const { revision, show } = this._show.state;
    const content = JSON.stringify([show?.showId, data]);
    const cueId = this._outgoing.begin(name, content, revision, options.cueId);
    if (!cueId) return;
    const timestamp = new Date(this._show.clock.now()).toISOString();
    this._changed();
    try {
      const ack = await this._show.cue(event, data, { ...options, cueId, timestamp });
      this._outgoing.answered(name);
      this._say(ackWords(event, ack, options.mode), "good");
    } catch (refusal) {
      if (refusal.code === "UNCONFIRMED") this._outgoing.unanswered(name);
      else this._outgoing.answered(name);
      this._say(refusalWords(event, refusal), "bad");
    }
    this._changed();
  }
}
