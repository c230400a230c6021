/** Which picture is on air. Pure. */

/**
 * @typedef {"title" | "act" | "waiting" | "open" | "closed" | "reveal" | "final"} View
 */

/**
 * @param {object} now
 * @param {import("../sdk/show.js").ShowState} now.state
 * @param {number | null} now.remainingMs of the open window
 * @param {boolean} now.act the performing act is of the line-up
 * @param {number | null} now.releasedMs when the result was released, Unix milliseconds
 * @param {boolean} now.told the whole result has been told
 * @param {string} [now.wanted] `title`, `act`, `board` or `result`: taken when there is something of it to show
 * @returns {View}
 */
export function viewOf({ state, remainingMs, act, releasedMs, told, wanted = "auto" }) {
  const { voting, window, result, performance } = state;
  const ranking = voting === "IDLE" ? "waiting" : voting === "OPEN" && remainingMs !== 0 ? "open" : "closed";
  const outcome = told ? "final" : "reveal";
  if (wanted === "title") return "title";
  if (wanted === "act" && act) return "act";
  if (wanted === "board" && (window || state.contestants.length)) return ranking;
  if (wanted === "result" && result) return outcome;
  if (voting === "OPEN") return ranking;
  // an act that was on before the release is not news any more: the result is
  if (act && !(result && !(Date.parse(performance.startedAt) > (releasedMs ?? Infinity)))) return "act";
  if (result) return outcome;
  return window && voting !== "IDLE" ? "closed" : "title";
}
