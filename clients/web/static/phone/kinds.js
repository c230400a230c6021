/** What a viewer may cast, from the window's rules and what is left. Pure. */

/** Votes that were paid for: spending one is asked about first. */
export const BOUGHT = ["paid", "bundle"];
const AMOUNTS = [1, 5, 10, 20, 50];

const typesOf = (rules) => rules?.voteTypes ?? ["free"];

/** @returns {string} the vote type of a plain tap: free where there is one, else the ruleset's first */
export function plainType(rules) {
  const types = typesOf(rules);
  return types.includes("free") || types.length === 0 ? "free" : types[0];
}

/**
 * @param {string} type @param {Record<string, any> | undefined} rules
 * @param {Record<string, number> | null} remaining as the server tells it; names that are no vote type bound every type
 * @param {Record<string, number>} [underWay] votes sent and not answered, by type
 * @returns {number | null} votes of `type` that are left; null when no limit is known
 */
export function leftOf(type, rules, remaining, underWay = {}) {
  if (!remaining) {
    if (BOUGHT.includes(type)) return 0;
    const limit = type === "free" ? rules?.freeVotesPerEpisode : undefined;
    return limit === undefined ? null : Math.max(0, limit - (underWay[type] ?? 0));
  }
  if (BOUGHT.includes(type)) return Math.max(0, (remaining[type] ?? 0) - (underWay[type] ?? 0));
  const types = typesOf(rules);
  const all = Object.values(underWay).reduce((sum, n) => sum + n, 0);
  const bounds = Object.entries(remaining).flatMap(([name, left]) =>
    name === type ? [left - (underWay[type] ?? 0)] : types.includes(name) || BOUGHT.includes(name) ? [] : [left - all]);
  return bounds.length ? Math.max(0, Math.min(...bounds)) : null;
}

/** @returns {number} votes that were bought and not cast */
export function bought(rules, remaining, underWay = {}) {
  return BOUGHT.filter((type) => typesOf(rules).includes(type))
    .reduce((sum, type) => sum + leftOf(type, rules, remaining, underWay), 0);
}

/**
 * What else than a plain tap there is: votes that were bought, votes that weigh more.
 * @returns {{type: string, amounts: number[], left: number | null}[]}
 */
export function offers(rules, remaining, underWay = {}) {
  const plain = plainType(rules);
  const most = rules?.maxVoteCount ?? 1;
  return typesOf(rules).filter((type) => type !== plain && type !== "sms").flatMap((type) => {
    const left = leftOf(type, rules, remaining, underWay);
    const wanted = BOUGHT.includes(type) ? AMOUNTS : [1];
    const amounts = wanted.filter((n) => n <= most && (left === null || n <= left));
    return amounts.length ? [{ type, amounts, left }] : [];
  });
}
