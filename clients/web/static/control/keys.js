/** Which key does what, whatever the keyboard's layout, and when keys do nothing. Pure. */
import { CUES } from "./cues.js";

/** Keys that move the focus, by the id of where it goes. */
export const PLACES = Object.freeze({
  D: { name: "To the fields of the lines", id: "voting" },
  Q: { name: "To requests for a second person", id: "requests" },
  U: { name: "To the rundown", id: "rundown" },
});

const EVENTS = Object.freeze(Object.fromEntries(Object.entries(CUES).map(([event, { key }]) => [key, event])));
const TEXT_INPUTS = new Set(["INPUT", "SELECT", "TEXTAREA"]);

/**
 * The key that was pressed: a capital letter, `?`, `Escape`, or null for what the desk does not know. A layout without
 * Latin letters, Khmer for one, gives the letter that is printed at that place of the keyboard.
 * @param {{key: string, code?: string, ctrlKey?: boolean, altKey?: boolean, metaKey?: boolean, isComposing?: boolean}} event
 */
export function keyOf({ key, code = "", ctrlKey, altKey, metaKey, isComposing }) {
  if (isComposing || ctrlKey || altKey || metaKey) return null;
  if (key === "Escape" || key === "?") return key;
  if (/^[a-z]$/i.test(key)) return key.toUpperCase();
  const latin = key.length === 1 && key.charCodeAt(0) < 0x250;
  return latin ? null : /^Key([A-Z])$/.exec(code)?.[1] ?? null;
}

/** @returns {string | null} the cue of this key */
export const eventOf = (key) => EVENTS[key] ?? null;

/** Whether the focus is where letters are written or chosen: keys give no cue there. */
export function isTyping(element) {
  if (!element) return false;
  if (element.isContentEditable) return true;
  return TEXT_INPUTS.has(element.tagName) && element.type !== "checkbox";
}
