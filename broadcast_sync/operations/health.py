"""`/healthz` (the loop turns), `/readyz` (the canary came back), `/metrics` (Prometheus), `/api/v1/status`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from broadcast_sync.http import json_response


class Health:
    """`ready` says why not, or nothing when all is well; `status` makes the answer of /api/v1/status."""

    def __init__(self, ready: Callable[[], list[str]], status: Callable[[], dict[str, object]]) -> None:
        self._ready = ready
        self._status = status

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/api/v1/status", self._show_status),
        ]

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("alive\n", headers={"Cache-Control": "no-store"})

    async def _readyz(self, _request: Request) -> Response:
        reasons = self._ready()
        return json_response({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _metrics(self, _request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def _show_status(self, _request: Request) -> Response:
        return json_response(self._status())
