/** Finding an act among many: by number, by category, by a name in Latin or Khmer letters. Pure. */

/** Letters as they are compared: small, without accents, without what cannot be seen. Khmer signs are kept. */
export function folded(text) {
  return text.normalize("NFD").replace(/[\u0300-\u036f\p{Cf}]/gu, "").normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim();
}

/**
 * @param {{number: number, name: string, khmerName?: string, hometown?: string, category?: string}} act
 * @param {string} query several words: each must be found; a number alone is the act's number
 * @param {string} category empty: any
 */
export function matches(act, query, category = "") {
  if (category && act.category !== category) return false;
  const wanted = folded(query);
  if (!wanted) return true;
  if (/^\d+$/.test(wanted)) return String(act.number).startsWith(wanted);
  const text = folded(`${act.name} ${act.khmerName ?? ""} ${act.hometown ?? ""}`);
  return wanted.split(" ").every((word) => text.includes(word));
}

/** @returns {string[]} the categories that there are, in the order of their first acts */
export const categories = (acts) => [...new Set(acts.map((act) => act.category ?? "").filter(Boolean))];

/** The letter that stands where a photo is missing. */
export function monogram(name) {
  const visible = name.replace(/[\p{Cc}\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, "").trim();
  const [first] = Intl.Segmenter ? new Intl.Segmenter("km", { granularity: "grapheme" }).segment(visible) : [];
  return (first?.segment ?? /^\P{M}\p{M}*/u.exec(visible)?.[0] ?? "").toUpperCase();
}
