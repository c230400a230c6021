"""`/openapi.json`: the table of routes as an OpenAPI 3.1 document. `document` is PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, Parameter, endpoint
from broadcast_sync.errors import CODES
from broadcast_sync.http import JSON

REF: Final = "#/components/schemas/{name}"
SECURITY: Final = {
    "bearer": {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "A JWT (EdDSA or RS256) with sub, org, roles and exp.",
    },
    "signature": {
        "type": "apiKey", "in": "header", "name": "X-Signature",
        "description": "sha256=<hex>, the HMAC-SHA256 of '<timestamp>.<body>' with the control secret; the timestamp "
        "(Unix seconds) goes into X-Signature-Timestamp.",
    },
}
TEXT: Final = {"type": "string"}

_placeholder: Final = re.compile(r"{(\w+)(?::\w+)?}")


class Document(Struct, frozen=True):
    """An OpenAPI 3.1 document, its outermost fields."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
    tags: list[dict[str, str]]


class OpenApi:
    """Serves the document of `table`, itself included; made once."""

    def __init__(self, table: Sequence[Endpoint], version: str) -> None:
        self._table = [*table, endpoint(
            "GET", "/openapi.json", "This document", self._answer,
            tag="operations", answers={200: Answer(Document, "OpenAPI 3.1.")},
        )]
        self._bytes = msgspec.json.encode(document(self._table, version))

    def endpoints(self) -> list[Endpoint]:
        """The whole table, this entry included."""
        return list(self._table)

    async def _answer(self, request: Request) -> Response:
        return Response(self._bytes, headers={"Cache-Control": "no-cache"}, media_type=JSON)


def document(table: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The document of `table`. Raises ValueError if an entry uses an unknown security scheme."""
    shapes = _Shapes(table)
    paths: dict[str, dict[str, Any]] = {}
    for entry in table:
        paths.setdefault(_placeholder.sub(r"{\1}", entry.path), {})[entry.method.lower()] = _operation(entry, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "broadcast-sync", "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Live TV voting over HTTP. HEAD is GET without its body; a method that a path does not have "
            "is 405 with Allow. Times are ISO 8601 UTC.",
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(entry.tag for entry in table)],
        "paths": paths,
        "components": {"schemas": shapes.components, "securitySchemes": SECURITY},
    }


class _Shapes:
    """The JSON Schemas of every type of a table, made together so that names cannot clash."""

    def __init__(self, table: Sequence[Endpoint]) -> None:
        types = list({key: kind for entry in table for key, kind in _types(entry)}.values())
        schemas, self.components = msgspec.json.schema_components(types, ref_template=REF)
        self._found = {_key(kind): schema for kind, schema in zip(types, schemas, strict=True)}

    def of(self, kind: Any) -> dict[str, Any]:
        return self._found[_key(kind)]

    def fields(self, kind: type[Struct]) -> tuple[dict[str, Any], set[str]]:
        """The properties of a Struct that is written out, not referred to, and the required ones of them."""
        shape = self.components[self.of(kind)["$ref"].rsplit("/", 1)[1]]
        return shape["properties"], set(shape.get("required", ()))


def _key(kind: Any) -> str:
    return repr(kind)


def _types(entry: Endpoint) -> list[tuple[str, Any]]:
    kinds = [
        *(answer.body for answer in entry.answers.values()), entry.query, entry.body, entry.form.body,
        *(parameter.type for parameter in (*entry.path_parameters.values(), *entry.headers.values())),
    ]
    return [(_key(kind), kind) for kind in kinds if kind is not None]


def _operation(entry: Endpoint, shapes: _Shapes) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _operation_id(entry),
        "summary": entry.summary,
        "tags": [entry.tag],
        "parameters": _parameters(entry, shapes),
        "responses": _responses(entry, shapes),
    }
    if entry.description:
        made["description"] = entry.description
    if entry.body is not None:
        content = {"schema": shapes.of(entry.body)} | _example(entry.example)
        made["requestBody"] = {"required": entry.body_required, "content": dict.fromkeys(entry.media, content)}
    schemes = entry.guard.schemes if entry.guard else entry.schemes
    if unknown := set(schemes) - SECURITY.keys():
        raise ValueError(f"{entry.path}: unknown security schemes {unknown}")
    made["security"] = [{scheme: []} for scheme in schemes]
    return made


def _operation_id(entry: Endpoint) -> str:
    words = re.findall(r"[a-z0-9]+", _placeholder.sub(r"by_\1", entry.path).lower())
    return "_".join((entry.method.lower(), *words))


def _parameters(entry: Endpoint, shapes: _Shapes) -> list[dict[str, Any]]:
    found = [
        _parameter("path", name, entry.path_parameters.get(name, Parameter(str, name)), shapes, required=True)
        for name in _placeholder.findall(entry.path)
    ]
    if entry.query is not None:
        properties, required = shapes.fields(entry.query)
        found += [
            {"in": "query", "name": name, "required": name in required, "schema": shape}
            for name, shape in properties.items()
        ]
    found += [_parameter("header", name, header, shapes) for name, header in entry.headers.items()]
    return found


def _parameter(
    place: str, name: str, parameter: Parameter, shapes: _Shapes, *, required: bool = False
) -> dict[str, Any]:
    shape = TEXT if parameter.type is str else shapes.of(parameter.type)
    shown = {"in": place, "name": name, "required": required, "description": parameter.description, "schema": shape}
    return shown | _example(parameter.example)


def _responses(entry: Endpoint, shapes: _Shapes) -> dict[str, Any]:
    found = {str(status): _response(answer, shapes) for status, answer in entry.answers.items()}
    by_status: dict[str, list[str]] = {}
    for code in entry.codes():
        by_status.setdefault(str(entry.form.status(code)), []).append(code)
    for status, codes in sorted(by_status.items()):
        refused = _refused(codes, shapes.of(entry.form.body))
        known = found.get(status)
        if known is None:
            found[status] = refused
        else:  # the entry answers so as well
            shapes_of = known["content"][JSON]["schema"], refused["content"][JSON]["schema"]
            known["content"][JSON]["schema"] = {"anyOf": list(shapes_of)}
            known["description"] += f" Or: {refused['description']}"
    return found


def _response(answer: Answer, shapes: _Shapes) -> dict[str, Any]:
    made: dict[str, Any] = {"description": answer.description}
    if answer.body is not None:
        shape = TEXT if answer.body is str else shapes.of(answer.body)
        made["content"] = {answer.media: {"schema": shape} | _example(answer.example)}
        made["content"] |= {media: {"schema": TEXT} for media in answer.also}
    if answer.headers:
        made["headers"] = {name: {"description": text, "schema": TEXT} for name, text in answer.headers.items()}
    return made


def _refused(codes: Sequence[str], shape: Mapping[str, Any]) -> dict[str, Any]:
    words = " ".join(f"`{code}`: {CODES[code].message}" for code in codes)
    made: dict[str, Any] = {"description": words, "content": {JSON: {"schema": dict(shape)}}}
    if any(CODES[code].retryable for code in codes):
        made["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return made


def _example(example: Any) -> dict[str, Any]:
    return {} if example is None else {"example": msgspec.to_builtins(example)}
