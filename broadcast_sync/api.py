"""The table of HTTP routes. Both Starlette's routes and `/openapi.json` are made of it, so they cannot disagree.

To add a route, give your class a method `endpoints()` that returns Endpoints, and name it in serve.py beside the
others:

    endpoint(
        "GET", "/api/v1/keys", "The keys that sign", self._keys,
        tag="results", answers={200: Answer(Keys, "The public keys.", example=Keys([]))}, refuses=("BUSY",),
    )

The handler is called with the request and, by keyword, with what the entry declares: `identity` (there is a `guard`),
`query` and `body` (the Structs, read and checked before the handler sees them). It returns a Struct, which goes out
as JSON with the entry's first status, or a Response for anything else. It raises Refusal; every code that it may raise
stands in `refuses`, those of guard, query and body excepted. What is no part of the table (pages and their files) is a
Starlette route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from broadcast_sync.cors import cors
from broadcast_sync.errors import CODES, Refusal
from broadcast_sync.http import JSON, json_response, read_json, read_query, refusal_response
from broadcast_sync.tokens import Identity

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[..., Awaitable[Response | Struct]]


class ErrorBody(Struct, frozen=True, rename="camel"):
    """A refusal: `code` for machines, `message` for people; `retryable` says whether the same request may succeed
    later, `retryAfter` in how many seconds. `revision` and `cueId` come with refused cues."""

    code: str
    message: str
    retryable: bool
    retry_after: float | UnsetType = UNSET
    revision: int | UnsetType = UNSET
    cue_id: str | UnsetType = UNSET


class ErrorForm(Struct, frozen=True):
    """How an entry words its refusals: the Struct of the body, what makes the response of one, and the statuses that
    differ from the codes' own."""

    body: type[Struct]
    respond: Callable[[Refusal], Response]
    statuses: Mapping[str, int] = {}

    def status(self, code: str) -> int:
        return self.statuses.get(code, CODES[code].status)


PLAIN: Final = ErrorForm(ErrorBody, refusal_response)


class Answer(Struct, frozen=True):
    """What comes with one status: `body` is a Struct, `str` for text, None for nothing."""

    body: Any
    description: str
    example: Any = None
    media: str = JSON
    also: tuple[str, ...] = ()
    """Further media types that it may come in, as text."""
    headers: Mapping[str, str] = {}
    """Name -> what it says."""


class Parameter(Struct, frozen=True):
    """A header or a part of the path, as the document has it; the handler reads it."""

    type: Any
    description: str
    example: Any = None


class Guard(Protocol):
    """Who is let in."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names of the document's security schemes, any one of which will do."""
        ...

    @property
    def refuses(self) -> tuple[str, ...]: ...

    def admit(self, request: Request) -> Identity:
        """Whose request it is. Raises Refusal."""
        ...


class Endpoint(Struct, frozen=True, kw_only=True):
    """One method of one path. With `reads` false the handler reads query, body and credentials itself (a signature is
    over the body's bytes); the document says the same either way."""

    method: Method
    path: str
    summary: str
    handle: Handler
    tag: str
    answers: Mapping[int, Answer]
    refuses: tuple[str, ...] = ()
    guard: Guard | None = None
    schemes: tuple[str, ...] = ()
    """Security schemes of an entry whose handler admits by itself."""
    query: type[Struct] | None = None
    body: type[Any] | None = None
    """A Struct, read as JSON; `str` for text, which the handler reads itself."""
    body_bytes: int = 4_096
    body_required: bool = True
    media: tuple[str, ...] = (JSON,)
    """Content types of the body that are taken; another is refused with 415."""
    reads: bool = True
    example: Any = None
    """A body as a client sends it."""
    path_parameters: Mapping[str, Parameter] = {}
    headers: Mapping[str, Parameter] = {}
    description: str = ""
    form: ErrorForm = PLAIN

    def codes(self) -> tuple[str, ...]:
        """Every code that this entry may refuse with."""
        found = [*(self.guard.refuses if self.guard else ()), *self.refuses]
        if self.query is not None or self.body is not None:
            found.append("BAD_MESSAGE")
        if self.body is not None:
            found += ["TOO_LARGE", *(["UNSUPPORTED_MEDIA_TYPE"] if self.reads else [])]
        return tuple(dict.fromkeys(found))

    async def answer(self, request: Request) -> Response:
        """The response to `request`, refusals included."""
        try:
            made = await self.handle(request, **await self._declared(request))
        except Refusal as refusal:
            response = self.form.respond(refusal)
            response.status_code = self.form.status(refusal.code)
            return response
        return made if isinstance(made, Response) else json_response(made, next(iter(self.answers)))

    async def _declared(self, request: Request) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.guard is not None:
            found["identity"] = self.guard.admit(request)
        if self.query is not None and self.reads:
            found["query"] = read_query(request, self.query)
        if self.body is not None and self.reads:
            found["body"] = await read_json(
                request, self.body, self.body_bytes, media=self.media, required=self.body_required
            )
        return found


def endpoint(method: Method, path: str, summary: str, handle: Handler, **rest: Any) -> Endpoint:
    """An entry, its first four parts by position."""
    return Endpoint(method=method, path=path, summary=summary, handle=handle, **rest)


def routes(table: Sequence[Endpoint]) -> list[Route]:
    """Starlette's routes of the table, one a path: a method that a path does not have is 405 with all of its own in
    Allow; HEAD is GET without its body. Raises ValueError if two entries have the same method and path."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for entry in table:
        methods = paths.setdefault(entry.path, {})
        if entry.method in methods:
            raise ValueError(f"two entries for {entry.method} {entry.path}")
        methods[entry.method] = entry
    return [Route(path, _by_method(methods), methods=list(methods)) for path, methods in paths.items()]


def application(
    table: Sequence[Endpoint], others: Sequence[BaseRoute] = (), *, origins: Sequence[str] = ()
) -> Starlette:
    """The table and `others` as an application in which no error is untyped. Pages of `origins` may use it."""
    return Starlette(
        routes=[*routes(table), *others],
        middleware=cors(origins),
        exception_handlers={HTTPException: _http_error, Exception: _fault},
    )


def _by_method(methods: Mapping[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method].answer(request)

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such path, no such method."""
    assert isinstance(error, HTTPException)  # what it is registered for
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_MESSAGE")
    response = refusal_response(Refusal(code))
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of ours; what was done is unknown. Starlette raises it again for the log."""
    response = refusal_response(Refusal("TRY_AGAIN"))
    response.status_code = 500
    return response
