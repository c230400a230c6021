/** A vote or a cue that was not taken. `code` is the protocol's, or `UNCONFIRMED` when no answer came in time. */
export class Refusal extends Error {
  /** @param {{code: string, message?: string, retryable?: boolean, retryAfter?: number, revision?: number}} data */
  constructor(data) {
    super(data.message ?? data.code);
    this.name = "Refusal";
    this.code = data.code;
    this.retryable = data.retryable === true;
    /** seconds, or undefined */
    this.retryAfter = data.retryAfter;
    /** the show's current revision, with STALE_REVISION */
    this.revision = data.revision;
  }
}

/** Codes after which the same message with the same id is sent again: nothing was decided. */
export const RETRY_CODES = new Set(["TRY_AGAIN", "BUSY", "RATE_LIMIT"]);

const WORDS = {
  BAD_MESSAGE: "Your app and the studio do not understand each other. Reload the page.",
  TOO_LARGE: "That was too much to send. Reload the page.",
  NOT_FOUND: "This cannot be found.",
  UNSUPPORTED: "This is not available here.",
  UNSUPPORTED_MEDIA_TYPE: "This is not available here.",
  METHOD_NOT_ALLOWED: "This is not available here.",
  UNAUTHENTICATED: "Join first, then vote.",
  TOKEN_EXPIRED: "Your pass has run out. Join again to vote.",
  FORBIDDEN: "Your pass does not allow this.",
  RATE_LIMIT: "That was very fast. Give it a moment.",
  BUSY: "The lines are busy. We keep trying for you.",
  TRY_AGAIN: "The lines are busy. We keep trying for you.",
  VOTING_CLOSED: "The lines are not open.",
  VOTING_ENDED: "The lines have closed. This vote came too late.",
  INVALID_CONTESTANT: "This act is not in tonight's vote.",
  CONTESTANT_ELIMINATED: "This act has left the competition.",
  INVALID_VOTE_TYPE: "This kind of vote is not offered here.",
  INVALID_VOTE_COUNT: "That number of votes is not possible.",
  NO_FREE_VOTES: "You have used all your free votes for this episode.",
  INSUFFICIENT_VOTE_BALANCE: "You do not have enough votes left.",
  INSUFFICIENT_BUNDLE_VOTES: "Your bundle does not have enough votes left.",
  PHONE_NOT_VERIFIED: "Confirm your phone number first.",
  SMS_LIMIT: "You have reached today's SMS limit.",
  ALREADY_VOTED: "You have voted here already.",
  ROUND_LIMIT: "You have used all your votes for this round.",
  DAILY_LIMIT: "You have used all your votes for today.",
  SUPER_LIMIT: "Your super vote for this round is used.",
  MEGA_LIMIT: "Your mega vote for this round is used.",
  STALE_REVISION: "The show moved on before this cue arrived. Look again, then press again.",
  CUE_REJECTED: "This cue does not fit the show right now.",
  TIMECODE_INVALID: "This timecode cannot exist.",
  UNCONFIRMED: "The studio did not confirm this in time.",
};

/**
 * Plain words for a viewer. Unknown codes fall back on the server's own message.
 * @param {{code: string, message?: string}} error
 * @returns {string}
 */
export function plainWords(error) {
  return WORDS[error.code] ?? error.message ?? "Something went wrong.";
}
