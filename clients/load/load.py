"""A scenario run in this process: sockets come up, the crowd does its part for a while, a report comes out.

watch   every socket receives the show and the boards
closed  every socket votes, waits for the ack, votes again: how much the server can take
over    so many votes spread evenly over the time, whatever the server does; latency counts from when a vote was
        due, so a server that stalls cannot hide it
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from clients.load.crowd import Crowd, now_ns
from clients.load.report import Mode, Report
from clients.load.target import Target
from clients.load.voices import Voice, VoiceLost

WATCH_PATH: Final = "/voting/results"
VOTE_PATH: Final = "/voting/sync"
MAX_SOCKETS: Final = 25_000
"""About as many as one source address has ports for."""
MAX_SECONDS: Final = 86_400
CONNECT_S: Final = 15.0
WINDOW_S: Final = 15.0
"""How long to wait for an open window."""
ANSWER_S: Final = 5.0
"""How long the last answers may take."""
TICK_S: Final = 0.02
SPREAD_TICK_S: Final = 0.002
"""The least time between two looks at what is due in mode `over`: a vote's latency counts from when it was due, so
what it waits for us is in it."""
MEASURING: Final = "measuring"
MEASURED: Final = "measured"

Progress = Callable[[str, float], None]
"""Called now and then with the name of the stage and its share done; with MEASURING and 0 just before the first
vote, and with MEASURED when the time is over."""


class Unreachable(Exception):
    """Not even the first socket came up; the text says why."""


class Scenario(Struct, frozen=True):
    """`ramp` in sockets a second, `seconds` of measuring after the ramp. `first` is the number of the first voice,
    for a scenario split over processes; `votes` are the ones to be spread in mode `over`."""

    target: Target
    mode: Mode
    sockets: int
    seconds: float
    ramp: float = 1_000.0
    votes: int = 0
    tokens: tuple[bytes, ...] = ()
    first: int = 0

    @property
    def path(self) -> str:
        return WATCH_PATH if self.mode == "watch" else VOTE_PATH


def read_tokens(file: Path, most: int) -> tuple[bytes, ...]:
    """The first `most` AUTH messages of a file with one a line. Raises OSError, and ValueError for a line that is
    none."""
    with file.open("rb") as lines:
        found: list[bytes] = []
        for line in lines:
            if len(found) == most:
                break
            text = line.strip()
            if not (text.startswith(b"{") and b'"AUTH"' in text and text.endswith(b"}")):
                raise ValueError(f"{file}, line {len(found) + 1}: no AUTH message; `broadcast-sync token` makes them")
            found.append(text)
    return tuple(found)


def allow_files(count: int) -> None:
    """Raises this process's limit of open files, as far as it may, to hold `count` sockets. Raises OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise OSError(f"{count} sockets need {wanted} open files and {hard} are allowed; raise `ulimit -n`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run(scenario: Scenario, progress: Progress = lambda stage, share: None) -> Report:
    """Runs `scenario` to its end. Raises Unreachable if the first socket does not come up."""
    crowd = Crowd()
    voices = await _come_up(scenario, crowd, progress)
    note = ""
    began, cpu = time.perf_counter(), time.process_time()
    try:
        if scenario.mode == "watch" or await _window(crowd):
            crowd.start_counting()
            progress(MEASURING, 0.0)
            began, cpu = time.perf_counter(), time.process_time()
            await _measure(scenario, crowd, voices, progress)
        else:
            note = f"voting was not open within {WINDOW_S:.0f} s"
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        progress(MEASURED, 1.0)
        in_time = crowd.acked
        crowd.voting = False
        await _last_answers(voices)
        connected = crowd.connected
    finally:
        crowd.ending = True
        for voice in voices:
            voice.close()
        await asyncio.sleep(0)
    crowd.boards.finish()
    return Report(
        mode=scenario.mode, sockets=scenario.sockets, connected=connected,
        seconds=seconds, cpu_s=cpu, sent=crowd.sent,
        acked=crowd.acked, late=crowd.acked - in_time, replayed=crowd.replayed,
        unanswered=sum(1 for voice in voices if voice.voting_id), mismatched=crowd.mismatched, errors=crowd.errors,
        failures=crowd.failures, messages=crowd.messages, received_bytes=crowd.received_bytes,
        boards=crowd.boards.received, latency_us=crowd.latency.counts, board_spread_us=crowd.boards.spread.counts,
        note=note,
    )


async def _come_up(scenario: Scenario, crowd: Crowd, progress: Progress) -> list[Voice]:
    """Connects all voices at the ramp's pace, waits until each is greeted or has failed."""
    target = scenario.target
    handshake = target.handshake(scenario.path)
    voices: list[Voice] = []
    pending: set[asyncio.Task[None]] = set()
    began = time.perf_counter()
    for number in range(scenario.sockets):
        auth = scenario.tokens[number] if number < len(scenario.tokens) else None
        voice = Voice(crowd, handshake, scenario.first + number, auth)
        voices.append(voice)
        task = crowd.loop.create_task(_connect(crowd, target, voice))
        pending.add(task)
        task.add_done_callback(pending.discard)
        if number == 0:
            await task
            if not crowd.connected:  # nobody is there: better known before thousands have tried
                voice.close()
                raise Unreachable(", ".join(crowd.failures))
        ahead = (number + 1) / scenario.ramp - (time.perf_counter() - began)
        if ahead > 0.001:
            progress("connecting", (number + 1) / scenario.sockets)
            await asyncio.sleep(ahead)
    if pending:
        await asyncio.wait(pending)
    progress("connecting", 1.0)
    return voices


async def _connect(crowd: Crowd, target: Target, voice: Voice) -> None:
    try:
        async with asyncio.timeout(CONNECT_S):
            await crowd.loop.create_connection(lambda: voice, target.host, target.port, ssl=target.secure or None)
            await voice.ready
    except TimeoutError:
        crowd.failed("connect: timeout")
        voice.close()
    except VoiceLost:
        pass  # counted with its reason by the voice itself
    except OSError as error:
        crowd.failed(f"connect: {os.strerror(error.errno) if error.errno else type(error).__name__}")


async def _window(crowd: Crowd) -> bool:
    """True as soon as a window is open."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WINDOW_S):
            await crowd.window_open.wait()
    return crowd.window_open.is_set()


async def _measure(scenario: Scenario, crowd: Crowd, voices: Sequence[Voice], progress: Progress) -> None:
    began = time.perf_counter()
    if scenario.mode == "closed":
        crowd.voting = True
        for voice in voices:
            if voice.open:
                voice.vote()
    if scenario.mode == "over":
        await _spread(scenario, crowd, voices, progress)
        return
    while (elapsed := time.perf_counter() - began) < scenario.seconds:
        if crowd.voting and not crowd.window_open.is_set():
            return  # closed: the rest of the time would only dilute the rate
        progress(MEASURING, elapsed / scenario.seconds)
        await asyncio.sleep(min(0.25, scenario.seconds - elapsed))


async def _spread(scenario: Scenario, crowd: Crowd, voices: Sequence[Voice], progress: Progress) -> None:
    """Casts `votes` at even distances over `seconds`, by each voice in turn; a voice whose last vote has no answer
    yet is passed over. A vote that finds every voice busy waits, and its latency with it."""
    began_ns = now_ns()
    gap_ns = scenario.seconds * 1e9 / scenario.votes
    cast, turn = 0, random.randrange(len(voices))
    until = time.perf_counter() + scenario.seconds + ANSWER_S
    while cast < scenario.votes and time.perf_counter() < until:
        due = min(scenario.votes, int((now_ns() - began_ns) / gap_ns) + 1)
        free = len(voices)
        while cast < due and free > 0:
            voice = voices[turn % len(voices)]
            turn += 1
            free -= 1
            if voice.open and not voice.voting_id:
                voice.vote(began_ns + int(cast * gap_ns))
                cast += 1
                free = len(voices)
        if not crowd.window_open.is_set():
            return  # closed: nothing more can be counted
        progress(MEASURING, cast / scenario.votes)
        await asyncio.sleep(SPREAD_TICK_S)


async def _last_answers(voices: Sequence[Voice]) -> None:
    for _ in range(int(ANSWER_S / TICK_S)):
        if not any(voice.open and voice.voting_id for voice in voices):
            return
        await asyncio.sleep(TICK_S)
