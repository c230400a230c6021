"""The floor of `bench.votes`: the same hub under the same uvicorn, whose VOTE handler acks at once and keeps nothing.

What a vote costs above this floor is what the rules, the engine and the ledger cost. Prints its port, then serves
until it is told to stop. Settings and keys are those of the environment, so that the same tokens are good here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Final

import structlog
import uvloop
from starlette.applications import Starlette
from uvicorn.config import Config
from uvicorn.server import Server

from broadcast_sync import settings as configuration
from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.router import Router
from broadcast_sync.hub.session import Session
from broadcast_sync.ids import uuid7
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import ContestantInfo, StateUpdate, VoteAck, WindowInfo
from broadcast_sync.wire.times import iso

DAY_MS: Final = 86_400_000


def window(now_ms: int) -> StateUpdate:
    """A show whose window is open for a day, with 12 contestants."""
    contestants = [ContestantInfo(f"c{n:02d}", n, f"Contestant {n}", "", "active") for n in range(1, 13)]
    closes_ms = now_ms + DAY_MS
    info = WindowInfo(
        str(uuid7(now_ms)), "OPEN", iso(now_ms), iso(closes_ms), iso(closes_ms + 5_000), 1, "none", {}, contestants
    )
    return StateUpdate(
        show=None, performance=None, voting="OPEN", window=info, revision=1, degraded=False, results_released=False,
        contestants=contestants,
    )


def echo(session: Session, vote: Vote, received_ms: int) -> None:
    """An ack of the size of a real one."""
    ack = VoteAck(
        vote.id, str(uuid7(received_ms)), "queued", vote.contestant_id, vote.vote_type, vote.vote_count, {}, False
    )
    session.reply(ack)


async def serve() -> None:
    # nobody reads what this process says after its port
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings, clock, router = configuration.load(), EngineClock(), Router()
    hub = Hub(settings, clock, router, Tokens(settings), "echo")
    router.register(Vote, echo, roles=frozenset({"user"}))
    state = Prepared.of(window(clock.now_ms()), clock.now_ms(), "show")
    hub.snapshot = lambda channel: [state] if channel == "show" else []
    hub.start()
    config = Config(
        Starlette(), host="127.0.0.1", port=0, ws=hub.protocol_factory, http="httptools", lifespan="off",  # type: ignore[arg-type]  # uvicorn calls `ws` and asks for nothing else of it
        log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    sys.stdout.write(f"{server.servers[0].sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await serving
    await hub.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # how it is told to stop
        uvloop.run(serve())
