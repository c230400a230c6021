/** Types of the BroadcastSync SDK. Times are ISO 8601 UTC strings, durations milliseconds unless a name says seconds. */

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
  timeRemaining?: number;
}

export interface Result extends Board {
  windowId: string;
  certified: boolean;
  ledgerTotal: number;
  certificate: Record<string, unknown>;
}

export interface ShowState {
  readonly show: { showId: string; episode: number; title: string; rehearsal?: boolean } | null;
  readonly performance: { contestantId: string; songName: string; startedAt: string } | null;
  readonly voting: "IDLE" | "OPEN" | "CLOSING" | "CLOSED";
  /** The last voting window. */
  readonly window: VotingWindow | null;
  /** The line-up. */
  readonly contestants: Contestant[];
  readonly revision: number;
  /** The node is cut off from an engine: what is shown may be old. */
  readonly degraded: boolean;
  readonly resultsReleased: boolean;
  /** The newest ranking. */
  readonly board: Board | null;
  /** RESULTS_READY of the window. */
  readonly result: Result | null;
  /** Control room only. */
  readonly tally: Record<string, unknown> | null;
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
  replayed: boolean;
}

export interface CueAck {
  cueId: string;
  revision: number;
  executedAt: string;
  latenessMs: number;
  replayed: boolean;
}

export interface Envelope {
  type: string;
  data: unknown;
  timestamp: string;
  channel?: string;
  epoch?: string;
  offset?: number;
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

export interface Options {
  WebSocket?: new (url: string) => WebSocket;
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
  /** A vote without an answer after so long goes out again. */
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
  problem: { code: string; message?: string };
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
  requestUpdate(): void;
  syncClock(): void;
}
