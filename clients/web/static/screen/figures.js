/** Counts and names as they go on air. Pure. */

const UNITS = [["K", 10n ** 3n], ["M", 10n ** 6n], ["B", 10n ** 9n], ["T", 10n ** 12n]];
/** Up to so many digits a row shows a count in full; more would push the names aside. */
const ROW_DIGITS = 7;

/**
 * @param {number | string | bigint} count a JSON number, or a string of digits where JavaScript would round
 * @returns {bigint | null} null when it is no whole count
 */
export function whole(count) {
  try {
    const value = BigInt(count);
    return value >= 0n ? value : null;
  } catch {
    return null;
  }
}

/** A number that JSON brought beyond 2^53 has been rounded on its way: its last digits are not to be shown. */
const rounded = (count) => typeof count === "number" && !Number.isSafeInteger(count);

/** 12345 -> "12,345", "9007199254740993" -> "9,007,199,254,740,993"; a count that came rounded in short; "" for none. */
export function inFull(count) {
  const value = whole(count);
  if (value === null) return "";
  return rounded(count) ? inShort(value) : value.toLocaleString("en");
}

/** 950 -> "950", 1250 -> "1.3K", 999950 -> "1.0M": one decimal, rounded half up and carried, as the server does it. */
export function inShort(count) {
  const value = whole(count);
  if (value === null) return "";
  if (value < 1000n) return String(value);
  const tenths = (scale) => (value * 10n + scale / 2n) / scale;
  const [unit, scale] = UNITS.find(([, each]) => tenths(each) < 10_000n) ?? UNITS.at(-1);
  return `${(tenths(scale) / 10n).toLocaleString("en")}.${tenths(scale) % 10n}${unit}`;
}

/** In full where a row has room for it, else in short. */
export function inRow(count) {
  const value = whole(count);
  return value !== null && String(value).length > ROW_DIGITS ? inShort(count) : inFull(count);
}

/** `count` as a part of `most`, 0 to 1. */
export function part(count, most) {
  const of = Number(most);
  return of > 0 ? Math.min(1, Math.max(0, Number(count) / of)) : 0;
}

/** Controls that turn the line's direction around, or are no text at all; joiners stay, emoji and Khmer need them. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** A name for one line: without controls, runs of white space as one. */
export const nameOf = (text) => String(text ?? "").replace(CONTROLS, " ").replace(/\s+/g, " ").trim();

const letters = new Intl.Segmenter("km", { granularity: "grapheme" });
const first = (word) => letters.segment(word)[Symbol.iterator]().next().value?.segment ?? "";

/** What stands where a photo is missing: "Sok Dara" -> "SD", "សុខ" -> "សុ", "" -> "". */
export function monogram(name) {
  const words = nameOf(name).split(" ").map((word) => word.replace(/^[^\p{L}]+/u, "")).filter(Boolean);
  if (!words.length) return first(nameOf(name));
  const initials = (words.length > 1 ? [words[0], words.at(-1)] : [words[0]]).map(first);
  return (initials.every((letter) => letter.length === 1) ? initials.join("") : initials[0]).toUpperCase();
}

/**
 * The size of type at which a line is no wider than it may be, without measuring: letters of the condensed faces here
 * are about `each` of their height.
 */
export const fitted = (text, width, largest, each = 0.47) =>
  Math.min(largest, Math.floor(width / (each * Math.max(1, [...letters.segment(String(text))].length))));
