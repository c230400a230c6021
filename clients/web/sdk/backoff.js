/**
 * How long to wait before the next attempt: exponential backoff with full jitter, so that a million clients
 * that lost the same server come back spread out and not in waves.
 */

/**
 * @param {number} attempt 0 for the first attempt after a loss
 * @param {{base: number, cap: number}} limits milliseconds
 * @param {() => number} random uniform in [0, 1)
 * @returns {number} milliseconds, uniform in [0, min(cap, base * 2^attempt))
 */
export function fullJitter(attempt, { base, cap }, random) {
  return random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}

/**
 * Whether a close code invites the client back. 4500-4999 say "do not": the same request would fail again.
 * Anything else (4000-4499, 1001, 1006 for a lost network, ...) is worth another attempt.
 * @param {number} code
 */
export function mayReconnect(code) {
  return !(code >= 4500 && code <= 4999);
}

/** What the close codes of the protocol mean, in plain words. */
const CLOSE_WORDS = {
  4000: "The server is being replaced.",
  4001: "This connection was too slow.",
  4002: "The connection went silent.",
  4003: "The token has expired.",
  4004: "The place in the event stream was lost.",
  4005: "The server had a fault.",
  4500: "The token is not valid.",
  4501: "Too many messages that the server could not read.",
  4502: "This token may not do that here.",
  4503: "Too many connections.",
  4504: "No token was given in time.",
  4505: "An operator closed this connection.",
};

/**
 * @param {number} code
 * @param {string} reason what the server added
 * @returns {string} plain words for people
 */
export function closeWords(code, reason = "") {
  return CLOSE_WORDS[code] ?? (reason || "The connection was lost.");
}
