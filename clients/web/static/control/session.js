/** Signing in: a token with the role control, from the address, this tab, or the server if it lets guests in. */
import { byId, guestToken, setText, socketUrl, tokenFromAddress } from "../page.js";

const TOKEN = "broadcast-sync.control";

export class Session {
  /**
   * @param {import("../sdk/index.js").BroadcastSync} show
   * @param {{preview: boolean, say: (words: string, kind: "good" | "bad") => void}} options `preview` looks on without a
   *   token and without buttons
   */
  constructor(show, { preview, say }) {
    this._show = show;
    this._preview = preview;
    /** Whether there should be a connection: not before one was asked for, and not while a token is. */
    this.wanted = false;
    byId("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const pasted = byId("token").value.trim();
      if (pasted) this._connect(pasted);
    });
    show.on("token", ({ code }) => this._ask(code === "TOKEN_EXPIRED"
      ? "The token has expired. Make a new one on the server and paste it here:"
      : "The token was refused. Make one with the role control on this server and paste it here:"));
    show.on("refused", ({ code, reason }) => {
      if (code === 4502 || code === 4504) this._ask("This token does not have the role control. Make one that has, and paste it here:");
      else say(`The server closed this desk: ${reason} Reload to try again.`, "bad");
    });
  }


  async start() {
    if (this._preview) return this._connect(null);
    const known = tokenFromAddress() ?? sessionStorage.getItem(TOKEN);
    if (known) return this._connect(known);
    try {
      const guest = await guestToken("control");
      return guest ? this._connect(guest) : this._ask();
    } catch {
      this._ask("The server could not be reached. Paste a token with the role control, made with the command below:");
    }
  }

  _connect(token) {
    this.wanted = true;
    byId("gate").hidden = true;
    byId("desk").inert = this._preview;
    if (token) sessionStorage.setItem(TOKEN, token);
    this._show.connect(socketUrl(this._preview ? "/voting/sync" : "/control/sync"), { token, channels: ["show", "results"] });
  }

  _ask(line) {
    this.wanted = false;
    this._show.close();
    sessionStorage.removeItem(TOKEN);
    byId("gate").hidden = false;
    if (line) setText(byId("gate-line"), line);
    byId("token").focus();
  }
}
