"""`/healthz` (the loop turns), `/readyz` (the canary came back), `/metrics` (Prometheus), `/api/v1/status`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from broadcast_sync.api import Answer, Endpoint, endpoint
from broadcast_sync.http import json_response
from broadcast_sync.operations.exposition import Exposition
from broadcast_sync.wire.server import ShowInfo

TEXT: Final = "text/plain"


class Readiness(Struct, frozen=True):
    """`reasons` why this node should get no traffic; empty when it is ready."""

    ready: bool
    reasons: list[str]


class EngineVersions(Struct, frozen=True):
    valkey: str
    postgres: str


class Status(Struct, frozen=True, rename="camel"):
    """What is running. `uptimeS` in seconds, `guests` as in auth.guests, `sockets` of this node; `streams` of TALLY.
    `totalVotes` is null while it is not for everybody."""

    version: str
    node: str
    uptime_s: int
    rehearsal: bool
    guests: str
    show: ShowInfo | None
    voting: str
    sockets: int
    degraded: bool
    engines: EngineVersions
    total_votes: int | None
    streams: str


class Health:
    """`ready` says why not, or nothing when all is well; `status` makes the answer of /api/v1/status."""

    def __init__(self, ready: Callable[[], list[str]], status: Callable[[], Status], figures: Exposition) -> None:
        self._ready = ready
        self._status = status
        self._figures = figures

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint(
                "GET", "/healthz", "The process is alive", self._healthz, tag="operations",
                answers={200: Answer(str, "Alive.", "alive\n", media=TEXT)},
            ),
            endpoint(
                "GET", "/readyz", "This node should get traffic", self._readyz, tag="operations",
                answers={
                    200: Answer(Readiness, "Ready.", Readiness(True, [])),
                    503: Answer(Readiness, "Not now.", Readiness(False, ["cut off from the show"])),
                },
            ),
            endpoint(
                "GET", "/metrics", "Figures for Prometheus", self._metrics, tag="operations",
                answers={200: Answer(str, "Prometheus text.", media=TEXT)},
            ),
            endpoint(
                "GET", "/api/v1/status", "What is running", self._show_status, tag="operations",
                answers={200: Answer(Status, "This node and what is on air.")},
            ),
        ]

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("alive\n", headers={"Cache-Control": "no-store"})

    async def _readyz(self, request: Request) -> Response:
        reasons = self._ready()
        return json_response(Readiness(not reasons, reasons), 503 if reasons else 200)

    async def _metrics(self, request: Request) -> Response:
        return Response(generate_latest(self._figures), media_type=CONTENT_TYPE_LATEST)

    async def _show_status(self, request: Request) -> Status:
        return self._status()
