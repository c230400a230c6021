/** Types of the BroadcastSync SDK; its head has the table of events. Times are ISO 8601 UTC strings, durations milliseconds unless a name says seconds. */

export interface Contestant {
  id: string;
  number: number;
  name: string;
  photoUrl: string;
  status: "active" | "eliminated";
  khmerName?: string;
  hometown?: string;
  category?: string;
}

export interface VotingWindow {
  windowId: string;
  state: string;
  opensAt: string;
  closesAt: string;
  hardClosesAt: string;
  episode: number;
  rulesHash: string;
  rules: Record<string, unknown>;
  contestants: Contestant[];
  /** Who sees counts before the result is released; until then there is no board for others. */
  visibility?: "public" | "screens" | "hidden";
  /** To be marked wherever the window is shown. */
  rehearsal?: boolean;
  /** There are so many; `contestants` lists the first two hundred. */
  contestantCount?: number;
}

export interface BoardRow {
  contestantId: string;
  contestantName?: string;
  contestantPhoto?: string;
  voteCount: number;
  formattedCount?: string;
  percentage: number;
  rank: number;
  change?: number;
  trend?: string;
}

export interface Board {
  results: BoardRow[];
  totalVotes: number;
  lastUpdated?: string;
  /** Seconds. */
  timeRemaining?: number;
  /** Votes by type. */
  breakdown?: Record<string, number>;
  /** An estimate. */
  uniqueVoters?: number;
  /** The rows are the best hundred of so many. */
  contestantCount?: number;
}

export interface Result extends Board {
  windowId: string;
  certified: boolean;
  ledgerTotal: number;
  certificate: Record<string, unknown>;
}

export interface Performance {
  contestantId: string;
  songName: string;
  startedAt: string;
}

export interface Show {
  showId: string;
  episode: number;
  title: string;
  rehearsal?: boolean;
  /** The episode's id over HTTP. */
  event?: number;
}

/** A season of slots; only when the show has rounds. */
export interface Season {
  slot: number;
  slots: number;
  status: "voting" | "locked" | "waiting" | "finished";
}

export interface ShowState {
  readonly show: Show | null;
  readonly performance: Performance | null;
  readonly voting: "IDLE" | "OPEN" | "CLOSING" | "CLOSED";
  /** The last voting window. */
  readonly window: VotingWindow | null;
  /** The line-up: the first two hundred of `contestantCount`. */
  readonly contestants: Contestant[];
  readonly contestantCount: number;
  readonly revision: number;
  /** The node is cut off from an engine: what is shown may be old. */
  readonly degraded: boolean;
  readonly resultsReleased: boolean;
  /** The newest ranking. */
  readonly board: Board | null;
  /** RESULTS_READY of the window. */
  readonly result: Result | null;
  /** Control room only. */
  readonly tally: Tally | null;
  /** Votes the viewer may still cast, by type; null: not known. */
  readonly remaining: Record<string, number> | null;
  readonly identity: { userId: string; roles: string[] } | null;
}

export interface VoteAck {
  id: string;
  voteId: string;
  status: string;
  contestantId: string;
  voteType: string;
  voteCount: number;
  remaining: Record<string, number>;
  /** This id had been counted before: this is that first answer again. */
  replayed: boolean;
  /** Signed, when the ballot asked for it. */
  receipt?: string;
}

export interface CueAck {
  cueId: string;
  revision: number;
  executedAt: string;
  latenessMs: number;
  replayed: boolean;
  /** It will be taken at `at`. */
  armed?: boolean;
  at?: string;
  /** A second person must confirm it until `expiresAt`. */
  pending?: boolean;
  expiresAt?: string;
}

/** The control room's figures; docs/protocol.md has them one by one. */
export interface Tally {
  revision: number;
  state: string;
  sockets: number;
  /** The share of the sockets that were sent this revision; `acked`: whose client has said so. */
  applied: number;
  acked?: number;
  /** Null, as `ledgerLag` and `totalVotes`, while the counts of the window are hidden. */
  votesPerSecond: number | null;
  ledgerLag: number | null;
  recount: "EQUAL" | "PENDING" | "DIFFERS";
  /** Cue events that would be accepted now. */
  legal: string[];
  /** Those of them that would wait for a second person. */
  asks?: string[];
  totalVotes: number | null;
  degraded: boolean;
  cues: {
    cueId: string;
    event: string;
    by: string;
    at: string;
    outcome: string;
    revision: number;
    latenessMs: number;
    mode?: string;
    message?: string;
    /** Null if it changed nothing. */
    executedAt?: string | null;
  }[];
  streams?: "OK" | "ALARM" | "FULL";
  armed?: { cueId: string; event: string; at: string; timecode: string; remainingMs: number; by: string }[];
  pending?: { cueId: string; event: string; by: string; expiresAt: string; data: Record<string, unknown> }[];
  rundown?: {
    name: string;
    items: { cueId: string; event: string; at: string; timecode: string; state: string }[];
  } | null;
  /** Rundowns that wait for their dates. */
  due?: { name: string; dueAt: string; cues: number; by: string }[];
  reference?: { label: string; at: string; rate: string } | null;
  rehearsal?: boolean;
  nodes?: {
    node: string;
    sockets: number;
    applied: number;
    acked: number;
    degraded: boolean;
    clockOffsetMs: number;
  }[];
  clock?: { offsetMs: number; healthy: boolean; ageMs: number | null; heldMs?: number };
  lastLatenessMs?: number | null;
  director?: { node: string; ageMs: number } | null;
}

/** The data of each message type of protocol version 1. */
export interface Messages {
  WELCOME: { sessionId: string; node: string; serverTime: string; pingInterval: number };
  AUTH_OK: {
    userId: string;
    roles: string[];
    organizationId: string;
    expiresAt: string;
    remaining: Record<string, number> | null;
  };
  SUBSCRIBED: { channel: string; recovered: boolean; epoch: string; offset: number };
  UNSUBSCRIBED: { channel: string };
  PONG: { t0: number; t1: number; t2: number };
  RECONNECT: { afterMs: number; reason: string };
  ERROR: Problem;
  STATE_UPDATE: {
    show: Show | null;
    performance: Performance | null;
    voting: "IDLE" | "OPEN" | "CLOSING" | "CLOSED";
    window: VotingWindow | null;
    revision: number;
    degraded: boolean;
    resultsReleased?: boolean;
    contestants?: Contestant[];
    contestantCount?: number;
    season?: Season;
  };
  VOTING_OPEN: VotingWindow;
  TIME_UPDATE: { remaining: number; closesAt: string };
  WARNING: { code: string; remaining: number };
  COUNTDOWN: { remaining: number };
  VOTING_CLOSED: { windowId: string; closedAt: string; reason: "TIMER" | "CUE" };
  SLOT_DECIDED: {
    slot: number;
    slots: number;
    windowId: string;
    /** Null, as the name, when nobody voted. */
    contestantId: string | null;
    contestantName: string | null;
    score: number;
    decidedBy: "SCORE" | "VOTERS" | "FIRST" | "NUMBER" | "NO_VOTES";
    /** Null when the season has finished. */
    nextSlot: number | null;
  };
  LIVE_RESULTS: Board;
  VOTE_UPDATE: Board;
  CONTESTANT_UPDATE: {
    contestantId: string;
    totalVotes: number;
    percentage: number;
    rank: number;
    /** Of the last minute. */
    recentVotes: number;
    trending: "hot" | "rising" | "stable" | "falling";
    recent?: { name: string; voteType: string; voteCount: number; at: string }[];
  };
  RESULTS_READY: Result;
  VOTE_ACK: VoteAck;
  CUE_ACK: CueAck;
  TALLY: Tally;
}

export interface Envelope {
  type: string;
  data: unknown;
  timestamp: string;
  channel?: string;
  epoch?: string;
  offset?: number;
}

/** The data of an ERROR. */
export interface Problem {
  code: string;
  message: string;
  retryable: boolean;
  /** Seconds. */
  retryAfter?: number;
  id?: string;
  cueId?: string;
  revision?: number;
  receipt?: string;
}

export type Connection = "closed" | "connecting" | "live" | "blind";

/** A vote or a cue that was not taken. `code` is the protocol's, or `UNCONFIRMED` when no answer came in time. */
export class Refusal extends Error {
  constructor(data: { code: string; message?: string; retryable?: boolean; retryAfter?: number; revision?: number });
  readonly code: string;
  readonly retryable: boolean;
  /** Seconds. */
  readonly retryAfter?: number;
  /** The show's current revision, with STALE_REVISION. */
  readonly revision?: number;
}

/** Plain words for a close code. */
export function closeWords(code: number, reason?: string): string;

/** Plain words for a viewer; unknown codes fall back on the server's own message. */
export function plainWords(error: { code: string; message?: string }): string;

export interface ContestantQuery {
  /** Two letters or more, Latin or Khmer. */
  search?: string;
  category?: string;
  sort?: "popular" | "name" | "number";
  /** `nextCursor` of the page before. */
  cursor?: string;
  page?: number;
  /** At most 100. */
  limit?: number;
}

/** Figures are null while none are public. */
export interface ContestantPage {
  event: number;
  contestants: (Contestant & {
    voteCount: number | null;
    formattedCount: string | null;
    percentage: number | null;
    rank: number | null;
    change: number | null;
    trend: string | null;
  })[];
  total: number;
  limit: number;
  nextCursor: string | null;
  totalVotes: number | null;
  countedAt: string | null;
}

export interface Options {
  WebSocket?: new (url: string) => WebSocket;
  fetch?: typeof fetch;
  /** Unix milliseconds, steady. */
  now?: () => number;
  random?: () => number;
  setTimeout?: (fn: () => void, ms: number) => unknown;
  clearTimeout?: (timer: any) => void;
  newId?: () => string;
  backoff?: { base: number; cap: number };
  heartbeatMs?: number;
  silenceMs?: number;
  blindAfterMs?: number;
  /** A vote, AUTH or SUBSCRIBE without an answer after so long goes out again. */
  answerMs?: number;
  cueMs?: number;
  /** Keeps unanswered votes over a reload. */
  keep?: { load: () => object[]; save: (votes: object[]) => void };
}

export interface ConnectOptions {
  /** A JWT; without one this client only watches. */
  token?: string | null;
  channels?: string[];
  /** Called shortly before the token ends and when it is refused; gives the next one, or null. Votes wait for it. */
  refreshToken?: (() => Promise<string | null>) | null;
}

export interface Events {
  change: BroadcastSync;
  second: number;
  connection: Connection;
  refused: { code: number; reason: string };
  token: { code: string };
  problem: Partial<Problem> & { code: string };
  message: Envelope;
}

export class BroadcastSync {
  constructor(options?: Options);
  readonly state: ShowState;
  readonly connection: Connection;
  /** Why the connection is gone, in plain words; empty while it lives. */
  readonly reason: string;
  /** How many votes wait for their answer. */
  readonly waiting: number;
  /** Milliseconds until the announced close, by the server's clock; null when no window is open. */
  readonly remainingMs: number | null;
  /** Whole seconds to show: 1 until the very end, then 0. */
  readonly seconds: number | null;
  /** The share of the window that is still to come, 1 to 0. */
  readonly share: number | null;
  readonly clock: { now(): number; readonly offset: number; readonly rtt: number };
  on<K extends keyof Events>(name: K, listener: (argument: Events[K]) => void): () => void;
  on<K extends keyof Messages>(messageType: K, listener: (data: Messages[K]) => void): () => void;
  /** A type that this SDK does not know. */
  on(messageType: string, listener: (data: any) => void): () => void;
  connect(url: string, options?: ConnectOptions): void;
  setToken(token: string | null): void;
  close(): void;
  /** Counted once whatever the network does; rejects with Refusal. */
  vote(
    contestantId: string,
    options?: { voteType?: string; voteCount?: number; metadata?: object; id?: string },
  ): Promise<VoteAck>;
  resumeVotes(): [object, Promise<VoteAck>][];
  /** Role control, on /control/sync; rejects with Refusal. */
  cue(
    event: string,
    data?: object | null,
    options?: {
      expectedRevision?: number;
      timecode?: string;
      /** When it was asked for, by the server's clock; lateness is counted from it. */
      timestamp?: string;
      mode?: "take" | "arm" | "cancel" | "confirm";
      cueId?: string;
    },
  ): Promise<CueAck>;
  /** Who stands in the show on air, by page, over HTTP; rejects with Refusal. */
  contestants(query?: ContestantQuery): Promise<ContestantPage>;
  requestUpdate(): void;
  syncClock(): void;
}
