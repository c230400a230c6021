"""`GET /api/v1/results` and `GET /api/v1/results/{window_id}`: the archive over HTTP.

A result that has not been released yet is not there for anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broadcast_sync.errors import Refusal
from broadcast_sync.http import json_response, refusal_response
from broadcast_sync.show.model import Stage
from results.archive import Archive
from voting.ledger.store import OUTAGE

MOST: Final = 100
DEFAULT: Final = 20

log = structlog.get_logger()


def embargoed(stage: Stage) -> UUID | None:
    """PURE. The window whose result nobody may see yet: the one of the stage, until it is released."""
    return UUID(stage.window.window_id) if stage.window is not None and not stage.released else None


class ResultRoutes:
    """`stage` is the show as this node knows it. PostgreSQL being down is answered with 503 (fails closed)."""

    def __init__(self, archive: Archive, stage: Callable[[], Stage]) -> None:
        self._archive = archive
        self._stage = stage

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/results", self._list, methods=["GET"]),
            Route("/api/v1/results/{window_id}", self._one, methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        try:
            limit = _limit(request.query_params.get("limit"))
            return json_response({"results": await self._archive.newest(limit, embargoed(self._stage()))})
        except Refusal as refusal:
            return _refused(refusal)
        except OUTAGE as error:
            return _away(error)

    async def _one(self, request: Request) -> Response:
        try:
            window = _window(request.path_params["window_id"])
            found = None if window == embargoed(self._stage()) else await self._archive.get(window)
            if found is None:
                raise Refusal("NOT_FOUND", "There is no result of this window.")
            return json_response(found)
        except Refusal as refusal:
            return _refused(refusal)
        except OUTAGE as error:
            return _away(error)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST):
        raise Refusal("BAD_MESSAGE", f"limit is a whole number from 1 to {MOST}.")
    return int(text)


def _window(text: str) -> UUID:
    try:
        window = UUID(text)
    except ValueError:
        raise Refusal("BAD_MESSAGE", "A window id is a UUID.") from None
    if str(window) != text.lower():
        raise Refusal("BAD_MESSAGE", "A window id is a UUID.")
    return window


def _refused(refusal: Refusal) -> Response:
    """A question that was understood as HTTP and makes no sense is 422 here."""
    response = refusal_response(refusal)
    if refusal.code == "BAD_MESSAGE":
        response.status_code = 422
    return response


def _away(error: Exception) -> Response:
    log.warning("results_unavailable", error=repr(error))
    return refusal_response(Refusal("BUSY", "The results cannot be read right now.", retry_after=2.0))
