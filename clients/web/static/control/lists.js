/** What waits and what was: requests for a second person, the rundown with what is armed, and the cue log. */
import { byId, el, setText } from "../page.js";
import { nameOf, requestWords } from "./cues.js";
import { cueButton, tell } from "./guard.js";
import { renderKeyed } from "./keyed.js";
import { items, SOON_MS } from "./rundown.js";
import { dueWords, isRefused, lateness, outcome, plain, timeOfDay, toGo } from "./words.js";

const STATES = { armed: "Armed", taken: "Taken", refused: "Refused", cancelled: "Cancelled" };
const MODES = {
  take: { name: "Take now", ask: "Take it early?" },
  cancel: { name: "Cancel", ask: "Cancel it?" },
  confirm: { name: "Confirm", ask: "Confirm it?" },
  withdraw: { name: "Withdraw", ask: "Withdraw it?" },
};

export class Lists {
  /**
   * @param {import("../sdk/index.js").BroadcastSync} show
   * @param {import("./guard.js").Guards} guards
   * @param {import("./sender.js").Sender} sender
   * @param {(words: string) => void} speak for those who do not see the lists
   */
  constructor(show, guards, sender, speak) {
    this._show = show;
    this._guards = guards;
    this._sender = sender;
    this._speak = speak;
    this._logged = "";
  }

  render(live) {
    this._requests(live);
    this._rundown(live);
    this._log();
    const { button } = this._guards;
    if (button && !button.isConnected) this._guards.drop(); // its row is gone, and so is what it asked
  }

  _requests(live) {
    const { tally, identity } = this._show.state;
    const now = this._show.clock.now();
    const pending = (tally?.pending ?? []).filter((cue) => Date.parse(cue.expiresAt) > now);
    setText(byId("requests-count"), pending.length ? `(${pending.length})` : "");
    byId("requests").classList.toggle("waiting", pending.length > 0);
    byId("requests-empty").hidden = pending.length > 0;
    renderKeyed(byId("requests-list"), pending, (cue) => cue.cueId, (cue) => this._requestRow(cue, identity), (row, cue) => {
      setText(row.querySelector(".togo"), `${toGo(Date.parse(cue.expiresAt) - now)} left`);
      this._buttons(row, live);
    });
  }

  _requestRow(cue, identity) {
    const own = cue.by === identity?.userId;
    const asks = own ? "You asked; another person must confirm" : `Asked by ${cue.by}`;
    this._speak(`${asks}: ${requestWords(cue.event, cue.data)}`);
    return el("li", { "data-testid": `request-${cue.cueId}` },
      el("span", { class: "what" }, requestWords(cue.event, cue.data)),
      el("span", { class: "togo tabular" }),
      el("span", { class: "by" }, asks),
      el("span", { class: "acts" },
        own ? null : this._button("confirm", "confirm", cue),
        this._button("cancel", own ? "withdraw" : "cancel", cue)));
  }

  _rundown(live) {
    const { tally } = this._show.state;
    const now = this._show.clock.now();
    const found = items(tally);
    const waiting = found.filter((item) => item.waits).length;
    setText(byId("rundown-name"), tally?.rundown?.name ?? "");
    byId("rundown-name").title = tally?.rundown?.name ?? "";
    setText(byId("rundown-count"), waiting ? `${waiting} to come` : "");
    byId("rundown-empty").hidden = found.length > 0;
    renderKeyed(byId("rundown-list"), found, (item) => item.cueId, (item) => this._rundownRow(item), (row, item) => {
      const left = item.atMs - now;
      row.dataset.state = item.state;
      row.classList.toggle("soon", item.waits && left <= SOON_MS);
      setText(row.querySelector(".togo"), item.waits ? toGo(left) : STATES[item.state] ?? item.state);
      setText(row.querySelector(".at"), [item.timecode || timeOfDay(item.atMs), item.by].filter(Boolean).join(", "));
      row.querySelector(".acts").hidden = !item.waits;
      this._buttons(row, live);
    });
    renderKeyed(byId("rundown-due"), tally?.due ?? [], dueWords, (due) => el("li", {}, dueWords(due)), () => {});
  }

  _rundownRow(item) {
    return el("li", { "data-testid": `item-${item.cueId}` },
      el("span", { class: "togo tabular" }),
      el("span", { class: "what" }, nameOf(item.event)),
      el("span", { class: "by at tabular" }),
      el("span", { class: "acts" }, this._button("take", "take", item), this._button("cancel", "cancel", item)));
  }

  _button(mode, words, cue) {
    const { name, ask } = MODES[words];
    const button = cueButton({
      class: `act ${mode}`,
      "data-testid": `${mode}-${cue.cueId}`,
      "data-name": name,
      "data-waits": `${mode}:${cue.cueId}`,
      "aria-label": `${name}: ${nameOf(cue.event)}`,
      onclick: () => this._guards.press(button, {
        name: button.dataset.waits,
        ask,
        busy: this._sender.waits(button.dataset.waits),
        take: () => this._sender.answer(mode, cue),
      }),
    }, name);
    return button;
  }

  _buttons(row, live) {
    for (const button of row.querySelectorAll("button")) {
      if (!live && this._guards.button === button) this._guards.drop();
      button.disabled = !live;
      const waits = this._sender.waits(button.dataset.waits);
      button.setAttribute("aria-busy", String(waits));
      if (this._guards.button !== button) tell(button, waits ? "Sent" : button.dataset.name);
    }
  }

  _log() {
    const cues = this._show.state.tally?.cues ?? [];
    const key = JSON.stringify(cues);
    if (key === this._logged) return;
    this._logged = key;
    byId("log-empty").hidden = cues.length > 0;
    byId("log").replaceChildren(...cues.map(logRow));
  }
}

function logRow(cue) {
  const when = cue.executedAt ?? cue.at;
  const refused = isRefused(cue);
  const why = [cue.by, plain(cue.message)].filter(Boolean).join(": ");
  return el("li", { class: refused ? "refused" : "" },
    el("time", { class: "tabular", dateTime: when }, timeOfDay(when)),
    el("span", { class: "event" }, nameOf(cue.event)),
    el("span", { class: "late tabular" }, cue.outcome === "executed" ? lateness(cue.latenessMs) : ""),
    el("span", { class: "by" }, why),
    el("span", { class: "outcome" }, outcome(cue)));
}
