/** The two faces of the house. A shadow root cannot bring fonts of its own, so they are the document's. */

const FACES = [
  ["Archivo", "archivo.woff2", {
    weight: "100 900",
    stretch: "62% 125%",
    unicodeRange: "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+0304, U+0308, U+0329, U+2000-206F, "
      + "U+20AC, U+2122, U+2191, U+2193, U+2212, U+2215, U+FEFF, U+FFFD",
  }],
  ["Kantumruy Pro", "kantumruy-pro-khmer.woff2", { weight: "100 700", unicodeRange: "U+1780-17FF, U+19E0-19FF, U+200C-200D, U+25CC" }],
];

/** Adds them to the document unless it has them; they are fetched when a letter of theirs is drawn. */
export function loadFonts() {
  const known = new Set([...document.fonts].map((face) => face.family.replace(/^["']|["']$/g, "")));
  for (const [family, file, description] of FACES) {
    if (known.has(family)) continue;
    const address = new URL(`../fonts/${file}`, import.meta.url).href;
    document.fonts.add(new FontFace(family, `url("${address}") format("woff2")`, { ...description, display: "swap" }));
  }
}
