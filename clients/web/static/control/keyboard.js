/** The keyboard: what each key does, the overlay that says so, and whether keys give cues at all. */
import { byId, el, stored } from "../page.js";
import { CUES } from "./cues.js";
import { eventOf, isTyping, keyOf, PLACES } from "./keys.js";

const KEYS_OFF = "broadcast-sync.control.keys-off";

export class Keyboard {
  /** @param {{press: (event: string) => void, drop: () => void}} desk `drop` lets a lifted guard fall, and what lies over the desk */
  constructor(desk) {
    this._desk = desk;
    this._dialog = byId("help");
    this._switch = byId("keys-on");
  }

  build() {
    const row = (key, does) => el("li", {}, el("kbd", {}, key), el("span", {}, does));
    byId("help-cues").replaceChildren(...Object.values(CUES).map(({ name, key, guarded }) =>
      row(key, guarded ? `${name}, then again to take it` : name)));
    byId("help-places").replaceChildren(...Object.entries(PLACES).map(([key, { name }]) => row(key, name)),
      row("Esc", "Leave a field, drop a guard, close this"), row("?", "This list"));
    this._switch.checked = stored.get(KEYS_OFF) === null;
    this._switch.addEventListener("change", () => {
      stored.set(KEYS_OFF, this._switch.checked ? null : "1");
      this._mark();
    });
    byId("help-open").addEventListener("click", () => this._dialog.showModal());
    byId("help-close").addEventListener("click", () => this._dialog.close());
    document.addEventListener("keydown", (event) => this._pressed(event));
    this._mark();
  }

  _mark() {
    document.body.classList.toggle("keys-off", !this._switch.checked);
    byId("keys-mark").hidden = this._switch.checked;
  }

  _pressed(event) {
    const key = keyOf(event);
    if (key === null || event.repeat) return;
    if (this._dialog.open) {
      if (key === "?") this._dialog.close();
      return; // Escape closes a dialog by itself
    }
    if (key === "Escape") {
      this._desk.drop();
      if (isTyping(document.activeElement)) document.activeElement.blur();
      return;
    }
    if (isTyping(event.target) || byId("desk").inert || !byId("gate").hidden) return;
    if (key === "?") return this._dialog.showModal();
    if (!this._switch.checked) return;
    const cue = eventOf(key);
    if (cue) this._desk.press(cue);
    else if (PLACES[key]) goTo(byId(PLACES[key].id));
    else return;
    event.preventDefault(); // the letter must not land in the field that has just got the focus
  }
}

/** To the first thing in `place` that can be used; the place itself when there is none. */
function goTo(place) {
  const usable = [...place.querySelectorAll("input, select, button")].find((each) =>
    !each.disabled && each.checkVisibility({ visibilityProperty: true }) && !each.closest(".presets"));
  (usable ?? place).focus();
}
