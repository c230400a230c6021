/** The truth about the connection: whether what is shown is of now, and whether it is a rehearsal. */
import { byId, setText } from "../page.js";
import { age } from "./words.js";

/** A tally comes each second; after this long without one the numbers are old. */
const TALLY_MS = 3500;
const LINKS = { live: "Live", connecting: "Connecting", blind: "Blind", closed: "Closed" };

export class Link {
  /**
   * @param {import("../sdk/index.js").BroadcastSync} show
   * @param {() => number} now milliseconds, steady
   */
  constructor(show, now) {
    this._show = show;
    this._now = now;
    this._heardAt = now();
    this._tallyAt = null;
    show.on("message", () => (this._heardAt = now()));
    show.on("TALLY", () => (this._tallyAt = now()));
  }

  /** @param {boolean} wanted whether there should be a connection at all; nobody is blind while signing in */
  render(wanted) {
    const { connection, reason } = this._show;
    byId("link").dataset.connection = connection;
    setText(byId("link"), LINKS[connection]);
    const blind = wanted && (connection === "blind" || connection === "closed");
    document.body.classList.toggle("blind", blind);
    byId("blind").hidden = !blind;
    if (blind) this._blind(connection === "closed" ? `${reason} Reload to try again.` : `${reason} Trying again by itself.`);
    this._caution(blind, connection === "live");
    this._rehearsal();
  }

  _blind(why) {
    setText(byId("blind-age"), age(this._now() - this._heardAt));
    setText(byId("blind-why"), `No contact with the server. No cue is sent or kept for later. ${why}`);
  }

  _caution(blind, live) {
    const { degraded, tally } = this._show.state;
    const old = this._tallyAt === null ? 0 : this._now() - this._tallyAt;
    let words = "";
    if (degraded || tally?.degraded) {
      words = "The server is cut off from its engine. The countdown goes on; cues may be refused.";
    } else if (live && old > TALLY_MS) {
      words = `No tally for ${age(old)}: the numbers, the rundown and the requests are that old.`;
    }
    byId("caution").hidden = blind || !words;
    setText(byId("caution"), words);
  }

  _rehearsal() {
    const { show, tally } = this._show.state;
    const rehearsal = Boolean(show?.rehearsal || (show && tally?.rehearsal));
    document.body.classList.toggle("rehearsing", rehearsal);
    byId("rehearsal-mark").hidden = !rehearsal;
    byId("air-mark").hidden = !show || rehearsal;
    document.title = `${rehearsal ? "REHEARSAL, " : ""}Control room`;
  }
}
