/** Buttons that give cues: hammering is one press, and what cannot be taken back asks for a second, deliberate one. */
import { el, setText } from "../page.js";
import { GUARD_MS, HAMMER_MS } from "./press.js";

/** What a button with its guard up says below its question. */
export const AGAIN = "Press again";

/** A button of two lines, and the key that does the same. */
export function cueButton({ key = "", ...props }, name) {
  const button = el("button", { type: "button", ...props },
    el("span", { class: "name" }, name),
    el("span", { class: "sub" }),
    key ? el("kbd", { "aria-hidden": "true" }, key) : null);
  if (key) button.setAttribute("aria-keyshortcuts", key);
  return button;
}

/** Sets what a button says. */
export function tell(button, name, sub = "") {
  setText(button.querySelector(".name"), name);
  setText(button.querySelector(".sub"), sub);
}

export class Guards {
  /**
   * @param {import("./press.js").Presses} presses
   * @param {(words: string) => void} say for those who do not see the button
   * @param {() => void} lowered called when a guard fell back, to write the button's own words again
   */
  constructor(presses, say, lowered) {
    this._presses = presses;
    this._say = say;
    this._lowered = lowered;
    this._fuse = 0;
    this._ready = 0;
    /** The button whose guard is up, or null. */
    this.button = null;
  }

  /**
   * One press of `button`.
   * @param {HTMLButtonElement} button
   * @param {{name: string, ask: string | null, busy: boolean, take: () => void}} cue `name` tells buttons apart; `ask` is
   *   what it asks before the second press, null when one is enough; `busy` while its last press has no answer
   */
  press(button, { name, ask, busy, take }) {
    const meant = this._presses.press(name, ask !== null, busy);
    if (meant === "ignore") {
      if (button === this.button) this._hold(); // hammered: the second press is still to come
      return;
    }
    this._lower();
    if (meant === "take") take();
    else this._raise(button, ask);
  }

  /** The guard falls back, and nothing is taken. */
  drop() {
    this._presses.drop();
    this._lower();
  }

  _raise(button, ask) {
    this.button = button;
    tell(button, ask, AGAIN);
    this._say(`${ask} ${AGAIN}.`);
    this._fuse = setTimeout(() => this.drop(), GUARD_MS);
    this._hold();
  }

  /** `lifted` while a press would be one of hammering, `ready` when it would be meant. */
  _hold() {
    const { button } = this;
    clearTimeout(this._ready);
    button.dataset.guard = "lifted";
    this._ready = setTimeout(() => (button.dataset.guard = "ready"), HAMMER_MS);
  }

  _lower() {
    clearTimeout(this._fuse);
    clearTimeout(this._ready);
    if (!this.button) return;
    delete this.button.dataset.guard;
    this.button = null;
    this._lowered();
  }
}
