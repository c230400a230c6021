/** What a press means: the first of many, one too many, or the second that was asked for. Pure; time is an argument. */

/** Presses of one button that follow each other faster than this are one press: bouncing glass, a nervous finger. */
export const HAMMER_MS = 400;
/** A guard that nobody goes through falls back after this long. */
export const GUARD_MS = 4000;

const NONE = Object.freeze({ name: "", until: -Infinity });

export class Presses {
  /** @param {() => number} now milliseconds, steady */
  constructor(now) {
    this._now = now;
    this._last = { name: "", at: -Infinity };
    this._lifted = NONE;
  }

  /** The button whose guard is up, or "". */
  get lifted() {
    return this._now() < this._lifted.until ? this._lifted.name : "";
  }

  /**
   * One press of `name`. Only one guard is up at a time: a press elsewhere drops it. While its last cue has no answer
   * (`busy`) a press is one too many, and is remembered as such.
   * @param {string} name @param {boolean} guarded @param {boolean} [busy]
   * @returns {"ignore" | "lift" | "take"}
   */
  press(name, guarded, busy = false) {
    const at = this._now();
    const hammered = name === this._last.name && at - this._last.at < HAMMER_MS;
    this._last = { name, at };
    if (hammered || busy) return "ignore";
    const lifted = this.lifted;
    this._lifted = NONE;
    if (!guarded || lifted === name) return "take";
    this._lifted = { name, until: at + GUARD_MS };
    return "lift";
  }

  /** The guard falls back; the next press is a first one, however soon it comes. */
  drop() {
    this._lifted = NONE;
    this._last = { name: "", at: -Infinity };
  }
}

/**
 * The cues on their way, one of each kind at a time. A cue that got no answer keeps its id while the show stands where it
 * stood: pressed again it is the same cue, and is taken once.
 */
export class Outgoing {
  /** @param {() => string} newId */
  constructor(newId) {
    this._newId = newId;
    /** @type {Map<string, {cueId: string, content: string, revision: number, waits: boolean}>} */
    this._cues = new Map();
  }

  /**
   * @param {string} name tells cues apart
   * @param {string} content what it carries; with other content it is another cue
   * @param {number} revision of the show as the desk shows it
   * @param {string} [cueId] of a cue that exists already and is answered to
   * @returns {string | null} the id to send it with; null while one under this name waits for its answer
   */
  begin(name, content, revision, cueId = "") {
    const last = this._cues.get(name);
    if (last?.waits) return null;
    const again = last && last.content === content && last.revision === revision;
    const id = cueId || (again ? last.cueId : this._newId());
    this._cues.set(name, { cueId: id, content, revision, waits: true });
    return id;
  }

  waits(name) {
    return this._cues.get(name)?.waits === true;
  }

  /** It was taken or refused: the next press is another cue. */
  answered(name) {
    this._cues.delete(name);
  }

  /** The cues without an answer, as [name, cueId]. */
  get lost() {
    return [...this._cues].filter(([, cue]) => !cue.waits).map(([name, { cueId }]) => [name, cueId]);
  }

  /** Nobody knows what became of it. */
  unanswered(name) {
    const last = this._cues.get(name);
    if (last) last.waits = false;
  }
}

/** @returns {string} a random id of 32 hexadecimal characters; needs no secure context, as randomUUID would */
export function newCueId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
