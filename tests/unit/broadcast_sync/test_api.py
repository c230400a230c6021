from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from msgspec import Meta, Struct
from starlette.requests import Request

from broadcast_sync.api import Answer, Endpoint, application, endpoint, routes
from broadcast_sync.errors import Refusal
from broadcast_sync.operations.openapi import OpenApi, document
from broadcast_sync.tokens import Identity


class Press(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=8)]
    count: int = 1


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=9)] = 3


class Told(Struct, frozen=True):
    text: str


class Door:
    schemes = ("bearer",)
    refuses = ("UNAUTHENTICATED",)

    def admit(self, request: Request) -> Identity:
        if "Authorization" not in request.headers:
            raise Refusal("UNAUTHENTICATED")
        return Identity("anna", "org", frozenset({"user"}), 0)


async def _read(request: Request, query: Page) -> Told:
    return Told(f"{request.path_params['id']} {query.limit}")


async def _press(request: Request, identity: Identity, body: Press) -> Told:
    if body.count > 5:
        raise Refusal("BUSY", retry_after=2.0)
    if body.count < 0:
        raise ZeroDivisionError
    return Told(f"{identity.user_id} {body.name}")


TABLE = [
    endpoint("GET", "/bells/{id}", "A bell", _read, tag="bells", query=Page, answers={200: Answer(Told, "It.")}),
    endpoint(
        "POST", "/bells/{id}", "Press", _press, tag="bells", guard=Door(), body=Press, body_bytes=64,
        example=Press("dong"), answers={201: Answer(Told, "Rung.", Told("anna dong"))}, refuses=("BUSY",),
    ),
]  # fmt: skip
AUTH = {"Authorization": "yes"}


@asynccontextmanager
async def serving(table: list[Endpoint], *origins: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(table, origins=origins), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


async def test_a_handler_gets_what_its_entry_declares() -> None:
    async with serving(TABLE) as http:
        assert (await http.get("/bells/7")).json() == {"text": "7 3"}
        assert (await http.get("/bells/7?limit=9")).json() == {"text": "7 9"}
        rung = await http.post("/bells/7", json={"name": "dong"}, headers=AUTH)
        assert (rung.status_code, rung.json()) == (201, {"text": "anna dong"})
        assert rung.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/bells/7?limit=0", {}, 400, "BAD_MESSAGE"),
        ("GET", "/bells/7?limit=x", {}, 400, "BAD_MESSAGE"),
        ("GET", "/bells/7?limit=1&limit=2", {}, 400, "BAD_MESSAGE"),
        ("GET", "/bells/7?volume=3", {}, 400, "BAD_MESSAGE"),
        ("GET", "/none", {}, 404, "NOT_FOUND"),
        ("DELETE", "/bells/7", {}, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/bells/7", {"json": {"name": 7}}, 401, "UNAUTHENTICATED"),
        ("POST", "/bells/7", {"json": {"name": 7}, "headers": AUTH}, 400, "BAD_MESSAGE"),
        ("POST", "/bells/7", {"json": {"name": "a", "x": 1}, "headers": AUTH}, 400, "BAD_MESSAGE"),
        ("POST", "/bells/7", {"content": b'{"name":"a","\\ud800":1}', "headers": AUTH}, 400, "BAD_MESSAGE"),
        ("POST", "/bells/7", {"content": b"", "headers": AUTH}, 400, "BAD_MESSAGE"),
        ("POST", "/bells/7", {"content": b"[" * 60, "headers": AUTH}, 400, "BAD_MESSAGE"),
        ("POST", "/bells/7", {"content": b" " * 65, "headers": AUTH}, 413, "TOO_LARGE"),
        ("POST", "/bells/7", {"data": {"name": "a"}, "headers": AUTH}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/bells/7", {"json": {"name": "a", "count": 9}, "headers": AUTH}, 503, "BUSY"),
        ("POST", "/bells/7", {"json": {"name": "a", "count": -1}, "headers": AUTH}, 500, "TRY_AGAIN"),
    ],
)
async def test_every_refusal_is_typed(method: str, path: str, options: dict[str, Any], status: int, code: str) -> None:
    async with serving(TABLE) as http:
        answer = await http.request(method, path, **options)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]
    assert answer.headers.get("Retry-After") == ("2" if code == "BUSY" else None)
    if status == 405:
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_head_is_get() -> None:
    async with serving(TABLE) as http:
        assert (await http.head("/bells/7")).status_code == 200


ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


async def test_pages_of_origins_that_are_let_in_may_use_it() -> None:
    async with serving(TABLE, "https://TV.example/", "file://") as http:
        for origin in ("https://tv.example", "file://"):
            asked = await http.options("/bells/7", headers={"Origin": origin} | ASKS)
            assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, origin)
            read = await http.get("/bells/7", headers={"Origin": origin})
            assert read.headers["Access-Control-Allow-Origin"] == origin
            assert "Access-Control-Allow-Credentials" not in read.headers  # nobody is known by a cookie
            refused = await http.get("/none", headers={"Origin": origin})
            assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (404, origin)
        alone = await http.get("/bells/7")
        assert "Origin" in alone.headers["Vary"]  # or a cache would give it to a page that needs the header


@pytest.mark.parametrize("origins", [(), ("https://tv.example",)])
async def test_pages_of_other_origins_are_told_nothing(origins: tuple[str, ...]) -> None:
    async with serving(TABLE, *origins) as http:
        for origin in ("https://tv.example.evil", "http://tv.example", "null", "https://evil"):
            asked = await http.options("/bells/7", headers={"Origin": origin} | ASKS)
            assert (asked.status_code, asked.json()["code"]) == (
                (403, "FORBIDDEN") if origins else (405, "METHOD_NOT_ALLOWED")
            )
            read = await http.get("/bells/7", headers={"Origin": origin})
            assert "access-control-allow-origin" not in [*asked.headers, *read.headers]


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two entries"):
        routes([TABLE[0], TABLE[0]])


def test_the_document_says_what_the_table_says() -> None:
    made = document(TABLE, "1.2.3")
    assert (made["openapi"], made["info"]["version"]) == ("3.1.0", "1.2.3")
    read, press = made["paths"]["/bells/{id}"]["get"], made["paths"]["/bells/{id}"]["post"]
    assert [(one["in"], one["name"], one["required"]) for one in read["parameters"]] == [
        ("path", "id", True), ("query", "limit", False),
    ]  # fmt: skip
    assert read["responses"].keys() == {"200", "400"} and read["security"] == []
    assert press["responses"].keys() == {"201", "400", "401", "413", "415", "503"}
    assert "Retry-After" in press["responses"]["503"]["headers"]
    assert press["security"] == [{"bearer": []}]
    body = press["requestBody"]["content"]["application/json"]
    assert body == {"schema": {"$ref": "#/components/schemas/Press"}, "example": {"name": "dong", "count": 1}}
    schema = made["components"]["schemas"]["Press"]
    assert schema["additionalProperties"] is False and schema["required"] == ["name"]


async def test_the_document_is_served_and_lists_itself() -> None:
    async with serving(OpenApi(TABLE, "1.2.3").endpoints()) as http:
        served = (await http.get("/openapi.json")).json()
    assert served["paths"].keys() == {"/bells/{id}", "/openapi.json"}
    assert served == msgspec.json.decode(msgspec.json.encode(document(OpenApi(TABLE, "1.2.3").endpoints(), "1.2.3")))


def test_an_unknown_security_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="telepathy"):
        document([endpoint("GET", "/x", "x", _read, tag="x", schemes=("telepathy",), answers={})], "1")
