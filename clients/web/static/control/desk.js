/** The cue buttons: only what fits can be pressed, by finger or by key, and each says what has become of it. */
import { byId, el } from "../page.js";
import { askingCues, buttonName, CUES, question } from "./cues.js";
import { dataOf, firstField } from "./fields.js";
import { AGAIN, cueButton, tell } from "./guard.js";
import { toGo } from "./words.js";

/** The shelf of what is seldom given lies over the lists, so that no cue button moves; closed, it gives the focus back. */
export function showSeldom(shown) {
  const within = byId("seldom").contains(document.activeElement);
  byId("seldom").hidden = !shown;
  if (within && !shown) byId("seldom-open").focus();
  byId("seldom-open").setAttribute("aria-expanded", String(shown));
}

export class Desk {
  /**
   * @param {import("../sdk/index.js").BroadcastSync} show
   * @param {import("./guard.js").Guards} guards
   * @param {import("./sender.js").Sender} sender
   * @param {(words: string, kind: "good" | "bad") => void} say
   */
  constructor(show, guards, sender, say) {
    this._show = show;
    this._guards = guards;
    this._sender = sender;
    this._say = say;
    this._season = null;
    /** @type {Set<string>} the cues that a press only asks for */
    this._asking = new Set();
    /** What the cue would carry whose guard is up. */
    this._lifted = {};
    /** @type {Map<string, HTMLButtonElement>} */
    this._buttons = new Map();
  }

  build() {
    byId("seldom-open").addEventListener("click", () => showSeldom(byId("seldom").hidden));
    byId("seldom-close").addEventListener("click", () => showSeldom(false));
    byId("desk").addEventListener("input", () => this._guards.drop()); // it asked about what the fields said
    for (const slot of document.querySelectorAll(".slot")) {
      const event = slot.dataset.cue;
      const { name, key, guarded } = CUES[event];
      const button = cueButton({
        key,
        class: guarded ? "cue guarded" : "cue",
        "data-cue": event,
        "data-testid": `cue-${event}`,
        hidden: true,
        onclick: () => this.press(event),
      }, name);
      this._buttons.set(event, button);
      slot.append(el("span", { class: "ghost", "aria-hidden": "true" }, name), button);
    }
  }

  /** A press of the cue's button, or of its key; one that does not fit now does nothing. */
  press(event) {
    const button = this._buttons.get(event);
    if (button.hidden || button.disabled) return;
    if (button.closest("#seldom")) showSeldom(true); // its key works from outside, and what it asks must be seen
    const data = dataOf(event, this._show.state);
    if (data === null) return this._incomplete(event);
    const ask = CUES[event].guarded ? this._question(event, data) : null;
    const busy = this._sender.waits(event);
    this._lifted = data;
    this._guards.press(button, { name: event, ask, busy, take: () => this._sender.give(event, data) });
  }

  /** Shows the buttons of `legal`; without a connection none can be pressed. `season` is null without rounds. */
  render(legal, live, season) {
    this._season = season;
    this._asking = askingCues(this._show.state);
    for (const [event, button] of this._buttons) {
      const fits = legal.has(event);
      if ((!fits || !live) && this._guards.button === button) this._guards.drop();
      button.hidden = !fits;
      button.disabled = !live;
      button.setAttribute("aria-busy", String(this._sender.waits(event)));
      if (this._guards.button === button) this._askAgain(button, event);
      else tell(button, buttonName(event, this._asking.has(event)), this._sub(event));
    }
  }

  /** The question goes with the time; a guard that would now ask something else falls, since nobody has meant that. */
  _askAgain(button, event) {
    const words = this._question(event, this._lifted);
    if (event === "VOTING_CLOSE") tell(button, words, AGAIN);
    else if (words !== button.querySelector(".name").textContent) this._guards.drop();
  }

  _question(event, data) {
    return question(event, { seconds: this._show.seconds, asks: this._asking.has(event), season: this._season, data });
  }

  /** The second line: what is on its way, asked for, or armed; else whether another person will have to confirm. */
  _sub(event) {
    if (this._sender.waits(event)) return "Sent, no answer yet";
    const { tally } = this._show.state;
    const left = (iso) => toGo(Date.parse(iso) - this._show.clock.now());
    const asked = tally?.pending?.find((cue) => cue.event === event);
    if (asked) return `Asked, ${left(asked.expiresAt)}`;
    const armed = tally?.armed?.find((cue) => cue.event === event);
    if (armed) return `Armed, ${left(armed.at)}`;
    return this._asking.has(event) ? "Another confirms" : "";
  }

  _incomplete(event) {
    const field = firstField(event);
    const wrong = field?.closest(".fields").querySelector("input:invalid");
    (wrong ?? field)?.focus();
    this._say(`${CUES[event].name}: a field is empty or wrong.`, "bad");
  }
}
