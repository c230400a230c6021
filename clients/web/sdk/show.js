/**
 * What is known of the show, as a pure function of the messages: `next(state, message) -> state`.
 * The same object comes back when nothing changed.
 */

/**
 * @typedef {object} ShowState
 * @property {{showId: string, episode: number, title: string} | null} show
 * @property {{contestantId: string, songName: string, startedAt: string} | null} performance
 * @property {"IDLE" | "OPEN" | "CLOSING" | "CLOSED"} voting
 * @property {object | null} window the last voting window, with windowId, closesAt, hardClosesAt, rules, contestants
 * @property {object[]} contestants the line-up: the first two hundred of `contestantCount`
 * @property {number} contestantCount
 * @property {number} revision
 * @property {boolean} degraded the node is cut off from an engine: what is shown may be old
 * @property {boolean} resultsReleased
 * @property {{results: object[], totalVotes: number} | null} board the newest ranking
 * @property {object | null} result RESULTS_READY of the window
 * @property {object | null} tally control room only
 * @property {Record<string, number> | null} remaining votes the viewer may still cast, by type; null: not known
 * @property {{userId: string, roles: string[]} | null} identity
 */

/** @type {Readonly<ShowState>} */
export const EMPTY = Object.freeze({
  show: null,
  performance: null,
  voting: "IDLE",
  window: null,
  contestants: [],
  contestantCount: 0,
  revision: 0,
  degraded: false,
  resultsReleased: false,
  board: null,
  result: null,
  tally: null,
  remaining: null,
  identity: null,
});

const sameEpisode = (a, b) => a?.showId === b?.showId && a?.episode === b?.episode;

/** A new window starts with an empty slate; the same one keeps what is known of it. */
function withWindow(state, window) {
  if (!window || window.windowId === state.window?.windowId) return { window };
  return { window, board: null, result: null };
}

function stateUpdate(state, data) {
  const next = {
    ...state,
    show: data.show,
    performance: data.performance,
    voting: data.voting,
    revision: data.revision,
    degraded: data.degraded,
    resultsReleased: data.resultsReleased ?? false,
    contestants: data.contestants ?? data.window?.contestants ?? state.contestants,
    ...withWindow(state, data.window),
  };
  next.contestantCount = data.contestantCount ?? next.contestants.length;
  if (!sameEpisode(state.show, data.show)) {
    next.board = null;
    if (state.show) next.remaining = null;
  }
  if (!data.window) next.result = null;
  return next;
}

/**
 * A board of more than a hundred comes in parts: what a part does not say stays as it was, so that all rows are right
 * within a minute. Names and photos come with the best; of the others the line-up has them, as far as it is listed.
 */
function mergedRows(state, rows) {
  const before = state.board?.results ?? [];
  const known = new Map(before.map((row) => [row.contestantId, row]));
  const newer = rows.map((row) => ({ ...(known.get(row.contestantId) ?? named(state, row.contestantId)), ...row }));
  for (const row of rows) known.delete(row.contestantId);
  return known.size ? [...newer, ...known.values()].sort((a, b) => a.rank - b.rank) : newer;
}

function named(state, id) {
  const person = state.contestants.find((contestant) => contestant.id === id);
  return person && { contestantName: person.name, contestantPhoto: person.photoUrl };
}

function boardUpdate(state, data) {
  return { ...state, board: { ...data, results: mergedRows(state, data.results) } };
}

/**
 * @param {ShowState} state
 * @param {{type: string, data: any}} message
 * @returns {ShowState}
 */
export function next(state, { type, data }) {
  switch (type) {
    case "STATE_UPDATE":
      return stateUpdate(state, data);
    case "VOTING_OPEN":
      // a replay tells of an opening that we know to be over
      if (state.window?.windowId === data.windowId && state.voting !== "OPEN" && state.voting !== "IDLE") return state;
      return { ...state, voting: "OPEN", ...withWindow(state, data) };
    case "TIME_UPDATE":
      if (!state.window || !data.closesAt || state.window.closesAt === data.closesAt) return state;
      return { ...state, window: { ...state.window, closesAt: data.closesAt } };
    case "VOTING_CLOSED":
      if (state.window && state.window.windowId !== data.windowId) return state;
      return { ...state, voting: state.voting === "CLOSED" ? "CLOSED" : "CLOSING" };
    case "LIVE_RESULTS":
    case "VOTE_UPDATE":
      return boardUpdate(state, data);
    case "RESULTS_READY":
      // a replay tells of a result that the next window has put aside
      if (data.windowId !== state.window?.windowId && (state.voting === "OPEN" || state.voting === "CLOSING")) return state;
      return { ...state, result: data, board: { results: data.results, totalVotes: data.totalVotes } };
    case "TALLY":
      return { ...state, tally: data };
    case "AUTH_OK":
      return {
        ...state,
        identity: { userId: data.userId, roles: data.roles },
        remaining: data.remaining ?? state.remaining,
      };
    case "VOTE_ACK":
      // an ack names what its ballot touched; the rest is as it was
      return { ...state, remaining: data.remaining ? { ...state.remaining, ...data.remaining } : state.remaining };
    default:
      return state;
  }
}
