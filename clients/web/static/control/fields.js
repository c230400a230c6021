/** The desk's fields: what a cue carries is read from them. */
import { byId, el } from "../page.js";

const PRESETS = {
  duration: [[30, "30 s"], [60, "60 s"], [90, "90 s"], [1800, "30 min"]],
  extend: [[15, "15 s"], [30, "30 s"], [60, "60 s"]],
};

let lineUp = "";

/** Puts the presets beside their fields. */
export function buildFields() {
  for (const [id, choices] of Object.entries(PRESETS)) presets(id, choices);
}

function presets(id, choices) {
  const input = byId(id);
  const made = choices.map(([seconds, label]) =>
    el("button", { type: "button", "data-seconds": String(seconds), onclick: () => choose(seconds) }, label));
  const mark = () => made.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.seconds === input.value)));
  const choose = (seconds) => {
    input.value = String(seconds);
    mark();
  };
  byId(`${id}-presets`).replaceChildren(...made);
  input.addEventListener("input", mark);
  mark();
}

/** Shows the fields of the cues that fit, and the acts of the line-up. */
export function renderFields(legal, contestants) {
  for (const fields of document.querySelectorAll(".fields")) fields.hidden = !legal.has(fields.dataset.for);
  const acts = contestants.filter((c) => c.status === "active");
  const key = JSON.stringify(acts);
  if (key === lineUp) return;
  lineUp = key;
  const select = byId("contestant");
  const chosen = select.value;
  select.replaceChildren(...acts.map((c) => el("option", { value: c.id }, `${c.number}  ${c.name}`)));
  if (acts.some((c) => c.id === chosen)) select.value = chosen;
}

/** The first field of `event` that a person can fill in, or null. */
export const firstField = (event) => document.querySelector(`.fields[data-for="${event}"] :is(input, select)`);

/**
 * What `event` carries.
 * @param {string} event
 * @param {import("../sdk/show.js").ShowState} state
 * @returns {object | null} null when a field is not filled in as it must be; the field says so
 */
export function dataOf(event, { performance }) {
  switch (event) {
    case "SHOW_START":
      return complete({ showId: text("show-id"), episode: number("episode"), ...(byId("rehearsal").checked && { rehearsal: true }) });
    case "PERFORMANCE_START":
      return { contestantId: byId("contestant").value, songName: byId("song").value.trim() };
    case "PERFORMANCE_END":
      return { contestantId: performance?.contestantId };
    case "VOTING_OPEN":
      return complete({ duration: number("duration"), ...optional("ruleset", "ruleset"), ...optional("visibility", "visibility") });
    case "VOTING_EXTEND":
      return complete({ seconds: number("extend") });
    case "TIMECODE_SET":
      return { rate: byId("rate-of-timecode").value, ...optional("label", "label") };
    case "VOID":
      return complete({ reason: text("reason"), [byId("void-by").value]: list("void-ids") });
    default:
      return {};
  }
}

const complete = (data) => (Object.values(data).includes(null) ? null : data);

function number(id) {
  const input = byId(id);
  return input.reportValidity() && input.value !== "" ? Number(input.value) : null;
}

function text(id) {
  const input = byId(id);
  const value = input.value.trim();
  return input.reportValidity() && value ? value : null;
}

function list(id) {
  const found = text(id)?.split(/[\s,;]+/).filter(Boolean) ?? [];
  return found.length ? found : null;
}

function optional(id, name) {
  const value = byId(id).value.trim();
  return value ? { [name]: value } : {};
}
