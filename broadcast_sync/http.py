"""What every HTTP route of ours does the same way: bounded bodies in, JSON and typed errors out."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from broadcast_sync.errors import Refusal

BODY_TIMEOUT_S: Final = 10.0
JSON: Final = "application/json"

T = TypeVar("T")


async def read_body(request: Request, limit: int, timeout_s: float = BODY_TIMEOUT_S) -> bytes:
    """The body, of at most `limit` bytes and within `timeout_s`. Raises Refusal TOO_LARGE or BAD_MESSAGE."""
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise Refusal("TOO_LARGE", f"The body may have {limit} bytes.")
    except TimeoutError:
        raise Refusal("BAD_MESSAGE", f"The body did not arrive within {timeout_s:g} s.") from None
    except ClientDisconnect:
        raise Refusal("BAD_MESSAGE", "The body was cut off.") from None
    return bytes(body)


async def read_json(
    request: Request, to: type[T], limit: int, *, media: tuple[str, ...] = (JSON,), required: bool = True
) -> T:
    """The body as `to`; none at all is an empty object unless `required`. A body without a content type is taken for
    JSON. Raises Refusal UNSUPPORTED_MEDIA_TYPE, TOO_LARGE or BAD_MESSAGE, which says what is wrong and where."""
    kind = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if kind not in media:
        raise Refusal("UNSUPPORTED_MEDIA_TYPE")
    body = await read_body(request, limit)
    try:
        return msgspec.json.decode(body if body or required else b"{}", type=to)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("BAD_MESSAGE", explain(error)) from None


def explain(error: Exception) -> str:
    """What is wrong, short, and such that it can be written down: an unknown field may be named anything."""
    return str(error)[:300].encode("utf-8", "replace").decode()


def read_query(request: Request, to: type[T]) -> T:
    """The query string as `to`. Raises Refusal BAD_MESSAGE for what is wrong, unknown or given twice."""
    pairs = request.query_params.multi_items()
    if len(dict(pairs)) < len(pairs):
        raise Refusal("BAD_MESSAGE", "A parameter is given twice.")
    try:
        return msgspec.convert(dict(pairs), to, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal("BAD_MESSAGE", explain(error)) from None


def json_response(content: Any, status: int = 200) -> Response:
    """`content` as JSON that nobody caches."""
    return Response(msgspec.json.encode(content), status, {"Cache-Control": "no-store"}, JSON)


def refusal_response(refusal: Refusal, body: Struct | None = None) -> Response:
    """A refusal with its status and headers; without a `body` of its own it is worded as `{"code", "message",
    "retryable", "retryAfter"?, ...}`."""
    plain: dict[str, object] = {"code": refusal.code, "message": refusal.message, "retryable": refusal.retryable}
    if refusal.retry_after is not None:
        plain["retryAfter"] = refusal.retry_after
    response = json_response(plain | (refusal.detail or {}) if body is None else body, refusal.status)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    if refusal.code == "TOO_LARGE":
        response.headers["Connection"] = "close"  # what is left of the body is not going to be read
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
