"""`GET /api/v1/results`, `.../{window_id}` and `.../{window_id}/certificate`: the archive over HTTP.

A result that has not been released yet is not there for anybody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Final
from uuid import UUID

import structlog
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, ErrorBody, ErrorForm, Parameter, endpoint
from broadcast_sync.errors import Refusal
from broadcast_sync.http import JSON, refusal_response
from broadcast_sync.show.model import Stage
from broadcast_sync.signatures import canonical
from results.archive import Archive, ResultSummary, StoredResult
from results.certificate import SealedCertificate
from results.releases import released_now
from voting.ledger.store import OUTAGE

MOST: Final = 100
DEFAULT: Final = 20

FORM: Final = ErrorForm(ErrorBody, refusal_response, {"BAD_MESSAGE": 422})
"""A question that was understood as HTTP and makes no sense is 422 here."""

WindowId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]

log = structlog.get_logger()


class ResultsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MOST)] = DEFAULT


class ResultList(Struct, frozen=True):
    """Newest first."""

    results: list[ResultSummary]


class ResultRoutes:
    """`stage` is the show as this node knows it. PostgreSQL being down is answered with 503 (fails closed)."""

    def __init__(self, archive: Archive, stage: Callable[[], Stage]) -> None:
        self._archive = archive
        self._stage = stage

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint(
                "GET", "/api/v1/results", "The results, newest first", self._list, tag="results", form=FORM,
                query=ResultsQuery, answers={200: Answer(ResultList, "Without what is not released.")},
                refuses=("BUSY",),
            ),
            endpoint(
                "GET", "/api/v1/results/{window_id}", "The result of a window with its certificate", self._one,
                tag="results", form=FORM, path_parameters={"window_id": Parameter(WindowId, "The window's id.")},
                answers={200: Answer(StoredResult, "As it is stored for ever.")},
                refuses=("BAD_MESSAGE", "NOT_FOUND", "BUSY"),
            ),
            endpoint(
                "GET", "/api/v1/results/{window_id}/certificate", "The certificate of a window, to be verified offline",
                self._certificate, tag="results", form=FORM,
                path_parameters={"window_id": Parameter(WindowId, "The window's id.")},
                answers={200: Answer(SealedCertificate, "The canonical bytes, as `broadcast-sync verify` takes them.")},
                refuses=("BAD_MESSAGE", "NOT_FOUND", "BUSY"),
            ),
        ]

    async def _list(self, request: Request, query: ResultsQuery) -> ResultList:
        async with reading():
            return ResultList(await self._archive.newest(query.limit, released_now(self._stage())))

    async def _one(self, request: Request) -> StoredResult:
        window = window_of(request.path_params["window_id"])
        async with reading():
            public = window == released_now(self._stage()) or await self._archive.is_released(window)
            found = await self._archive.get(window) if public else None
        if found is None:
            raise Refusal("NOT_FOUND", "There is no result of this window.")
        return found

    async def _certificate(self, request: Request) -> Response:
        found = await self._one(request)
        headers = {
            "Content-Disposition": f'attachment; filename="certificate-{found.window_id}.json"',
            "Cache-Control": "no-store",
        }
        return Response(canonical(found.certificate), headers=headers, media_type=JSON)


@asynccontextmanager
async def reading() -> AsyncIterator[None]:
    """Turns PostgreSQL's absence into Refusal BUSY."""
    try:
        yield
    except OUTAGE as error:
        log.warning("results_unavailable", error=repr(error))
        raise Refusal("BUSY", "The results cannot be read right now.", retry_after=2.0) from None


def window_of(text: str) -> UUID:
    """The window id in a path. Raises Refusal BAD_MESSAGE for any other text."""
    try:
        window = UUID(text)
    except ValueError:
        raise Refusal("BAD_MESSAGE", "A window id is a UUID.") from None
    if str(window) != text.lower():
        raise Refusal("BAD_MESSAGE", "A window id is a UUID.")
    return window
