"""Rundowns: the cues of a show with their times, as TOML or JSON. Pure.

A file has `name`, and `[[cues]]` with `id`, `event`, if wanted `data`, and either `timecode` (a label at the file's
`rate`) or `offset` (seconds from the start). The start is the label `start`, or is said when the rundown is loaded. A
rundown for a date has `due`, an ISO 8601 time: it is armed shortly before it, and offsets without a label begin then.
Cues stand in the order of their times, no two at one frame; labels may run over midnight once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from broadcast_sync.errors import Refusal
from broadcast_sync.show.arming import ARMED_MOST
from broadcast_sync.show.checks import whole_seconds
from broadcast_sync.show.cues import AdvanceSlotData, ExtendVotingData, OpenVotingData, event_data
from broadcast_sync.show.model import ArmedCue
from broadcast_sync.show.timecode import Rate, Reference, frames_in, frames_of, instant, rate_named
from broadcast_sync.wire.client import ClientId
from broadcast_sync.wire.times import parse_iso

FILE_BYTES: Final = 262_144
LONGEST_S: Final = 86_400

Text = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
Offset = Annotated[int, Meta(ge=0, le=LONGEST_S)] | Annotated[float, Meta(ge=0, le=LONGEST_S)]


class RundownCue(Struct, frozen=True, forbid_unknown_fields=True):
    """One line. `offset` in seconds from the start of the rundown."""

    id: ClientId
    event: Annotated[str, Meta(min_length=1, max_length=64)]
    timecode: Annotated[str, Meta(max_length=32)] | None = None
    offset: Offset | None = None
    data: dict[str, Any] = {}


class RundownFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A rundown as it is written; `check` says whether it makes sense."""

    name: Text
    cues: Annotated[list[RundownCue], Meta(min_length=1, max_length=ARMED_MOST)]
    rate: Annotated[str, Meta(max_length=16)] | None = None
    due: Annotated[str, Meta(max_length=64)] | None = None
    start: Annotated[str, Meta(max_length=32)] | None = None


class Problem(Struct, frozen=True):
    """Something wrong at `place`, such as `cues[2].timecode`."""

    place: str
    text: str


def parse(content: bytes, name: str) -> tuple[RundownFile | None, list[Problem]]:
    """The rundown in `content`, JSON if `name` ends in .json, else TOML, with all that is wrong; None if it could not
    be read at all."""
    if len(content) > FILE_BYTES:
        return None, [Problem("", "larger than 256 KiB")]
    is_json = name.lower().endswith(".json")
    try:
        raw: Any = msgspec.json.decode(content) if is_json else tomllib.loads(content.decode("utf-8"))
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, [Problem("", f"not {'JSON' if is_json else 'TOML'} ({error})")]
    shape = list(_misshapen(raw))
    if shape:
        return None, shape
    file = msgspec.convert(raw, RundownFile)
    return file, check(file)


def _misshapen(raw: Any) -> Iterator[Problem]:
    """What does not have the shape of a rundown: each cue is looked at, so that one fault does not hide the next."""
    cues = raw.get("cues") if isinstance(raw, dict) else None
    if isinstance(cues, list):
        for index, cue in enumerate(cues[:ARMED_MOST]):
            yield from _wrong(cue, RundownCue, f"cues[{index}]")
        raw = {**raw, "cues": [{"id": "x", "event": "X"}] * len(cues)}
    yield from _wrong(raw, RundownFile, "")


def _wrong(raw: Any, kind: type[Struct], place: str) -> Iterator[Problem]:
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        body, _, path = str(error).partition(" - at `")
        within = path.rstrip("`").removeprefix("$").removeprefix(".")
        yield Problem(".".join(part for part in (place, within) if part), body)


def check(file: RundownFile) -> list[Problem]:
    """Everything that is wrong with a rundown that has the right shape; empty if it can be loaded."""
    problems: list[Problem] = []
    if file.due is not None:
        try:
            parse_iso(file.due)
        except ValueError:
            problems.append(Problem("due", "expected an ISO 8601 time with its offset or Z"))
    rate = _rate(file, problems)
    seen: dict[str, int] = {}
    for index, cue in enumerate(file.cues):
        place = f"cues[{index}]"
        if cue.id in seen:
            problems.append(Problem(f"{place}.id", f"{cue.id} is that of cues[{seen[cue.id]}] too"))
        seen.setdefault(cue.id, index)
        _check_what(cue, place, problems)
        if (cue.timecode is None) == (cue.offset is None):
            problems.append(Problem(place, "has either `timecode` or `offset`"))
        if cue.offset is not None and file.start is None and any(one.timecode is not None for one in file.cues):
            problems.append(Problem(f"{place}.offset", "beside timecodes needs `start`, the label it counts from"))
    _check_order(file, rate, problems)
    return problems


def _rate(file: RundownFile, problems: list[Problem]) -> Rate | None:
    labels = [("start", file.start)] if file.start is not None else []
    labels += [(f"cues[{index}].timecode", cue.timecode) for index, cue in enumerate(file.cues) if cue.timecode]
    if file.rate is None:
        if labels:
            problems.append(Problem("rate", "is needed where there are labels"))
        return None
    try:
        rate = rate_named(file.rate)
    except Refusal as refusal:
        problems.append(Problem("rate", refusal.message))
        return None
    for place, label in labels:
        try:
            frames_of(label or "", rate)
        except Refusal as refusal:
            problems.append(Problem(place, refusal.message))
    return rate


def _check_what(cue: RundownCue, place: str, problems: list[Problem]) -> None:
    """The event and its data, as far as they can be judged without a show."""
    if cue.event in ("TIMECODE_SET", "VOID"):
        problems.append(Problem(f"{place}.event", f"{cue.event} cannot be in a rundown"))
        return
    try:
        data = event_data(cue.event, cue.data)
        if isinstance(data, OpenVotingData | AdvanceSlotData) and data.duration is not None:
            whole_seconds(data.duration, "duration")
        if isinstance(data, ExtendVotingData):
            whole_seconds(data.seconds, "seconds")
    except Refusal as refusal:
        where = "event" if refusal.code == "UNSUPPORTED" else "data"
        problems.append(Problem(f"{place}.{where}", refusal.message))


def _check_order(file: RundownFile, rate: Rate | None, problems: list[Problem]) -> None:
    before: tuple[int, Fraction] | None = None
    for index, cue in enumerate(file.cues):
        at = _position(file, cue, rate)
        if at is None:
            continue
        if before is not None:
            step = at - before[1]
            if rate is not None and cue.timecode is not None and -step * 2 > rate.day:
                step += rate.day  # over midnight
            if step == 0:
                problems.append(Problem(f"cues[{index}]", f"is at the same frame as cues[{before[0]}]"))
            elif step < 0:
                problems.append(Problem(f"cues[{index}]", f"is before cues[{before[0]}]: out of order"))
        before = (index, at)


def _position(file: RundownFile, cue: RundownCue, rate: Rate | None) -> Fraction | None:
    """Where a cue stands: in frames where there is a rate, else in milliseconds; None if that cannot be said."""
    try:
        if cue.timecode is not None:
            return Fraction(frames_of(cue.timecode, rate)) if rate is not None else None
        if cue.offset is None:
            return None
        seconds = Fraction(str(cue.offset))
        if rate is None:
            return Fraction(round(seconds * 1000))
        start = frames_of(file.start, rate) if file.start is not None else 0
        return Fraction(start + frames_in(seconds, rate))
    except Refusal:
        return None


def armed_cues(
    file: RundownFile, reference: Reference | None, start_ms: int | None, by: str, now_ms: int
) -> Sequence[ArmedCue]:
    """The cues of a checked rundown at their instants. Raises Refusal CUE_REJECTED if the show's timecode has another
    rate, or there is none and labels need it, or nobody says when the offsets begin."""
    labels = file.rate is not None and (file.start is not None or any(cue.timecode for cue in file.cues))
    if labels and reference is None:
        raise Refusal("CUE_REJECTED", "The show has no timecode yet: cue TIMECODE_SET first.")
    if labels and reference is not None and reference.rate != file.rate:
        raise Refusal("CUE_REJECTED", f"The rundown is at {file.rate}, the show's timecode at {reference.rate}.")
    if file.start is not None and reference is not None:
        start_ms = instant(file.start, reference, now_ms)
    found, after_ms = [], now_ms
    for cue in file.cues:
        if cue.timecode is not None and reference is not None:
            at_ms = instant(cue.timecode, reference, after_ms)
        elif start_ms is None:
            raise Refusal("CUE_REJECTED", "Say when the offsets begin: `start` in the file, or when it is loaded.")
        else:
            at_ms = start_ms + round(Fraction(str(cue.offset)) * 1000)
        after_ms = at_ms
        found.append(ArmedCue(cue.id, cue.event, at_ms, by, now_ms, cue.timecode or "", cue.data))
    return found
