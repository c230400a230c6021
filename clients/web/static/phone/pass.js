/** The viewer's token: from the address, from this phone, from the server as a guest at the first vote, or pasted. */
import { fullJitter } from "../sdk/backoff.js";
import { Refusal } from "../sdk/index.js";
import { byId, guestToken, setText, stored, tokenFromAddress } from "../page.js";

const TOKEN = "broadcast-sync.token";
/** Set when the token is a guest's: the next one may be had by asking. Another's owner must not become a guest unseen. */
const GUEST = "broadcast-sync.guest";
const AGAIN = { base: 800, cap: 8_000 };

export class Pass {
  /**
   * @param {object} given
   * @param {boolean} given.preview looks on without a token, whatever this phone has
   * @param {(token: string) => void} given.changed there is another one: the connection is to use it
   * @param {() => boolean} given.worth whether there is still a reason to ask for one
   */
  constructor({ preview, changed, worth }) {
    this._changed = changed;
    this._worth = worth;
    this._asking = null;
    this.why = null;
    const given = preview ? null : tokenFromAddress();
    if (given) this._keep(given, false);
    this.token = preview ? null : given ?? stored.get(TOKEN);
    byId("pass-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const pasted = byId("token").value.trim();
      if (pasted) this.use(pasted);
    });
    // the same tab may be opened again by a link with a pass
    addEventListener("hashchange", () => {
      const opened = tokenFromAddress();
      if (opened) this.use(opened);
    });
  }

  use(token, isGuest = false) {
    this.token = token;
    this.why = null;
    this._keep(token, isGuest);
    byId("pass").hidden = true;
    this._changed(token);
  }

  _keep(token, isGuest) {
    stored.set(TOKEN, token);
    stored.set(GUEST, isGuest ? "1" : null);
  }

  /** The server takes it no more. */
  forget() {
    const wasGuest = stored.get(GUEST) === "1";
    this.token = null;
    this._keep(null, false);
    if (!wasGuest) this.say("passAgain");
  }

  /** Resolves once there is a token: at the first vote a guest's is asked for, until there is one or no vote could count. */
  async join() {
    if (this.token) return;
    if (this.why) this._refuse(this.why);
    this._asking ??= this._ask().finally(() => (this._asking = null));
    await this._asking;
  }

  async _ask() {
    for (let attempt = 0; this._worth(); attempt++) {
      let guest;
      try {
        guest = await guestToken("user");
      } catch {
        await new Promise((resolve) => setTimeout(resolve, fullJitter(attempt, AGAIN, Math.random)));
        continue;
      }
      if (this.token) return;
      return guest ? this.use(guest, true) : this._refuse("pass");
    }
    throw new Refusal({ code: "VOTING_ENDED" });
  }

  _refuse(why) {
    this.say(why);
    byId("token").focus();
    throw new Refusal({ code: "UNAUTHENTICATED" });
  }

  /** Shows the form for a pass. @param {"pass" | "passAgain"} why */
  say(why) {
    this.why = why;
    byId("pass").hidden = false;
    this.speak();
  }

  /** In the page's language. @param {object} [words] */
  speak(words = this._words) {
    this._words = words;
    if (!this.why) return;
    setText(byId("pass-head"), words[this.why][0]);
    setText(byId("pass-line"), words[this.why][1]);
  }
}
