"""The OGraf manifest against the schema that EBU publishes, and what it and the SPX definition ask of an operator."""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema_rs
import pytest

from clients.web.routes import STATIC
from tests.support.process import ROOT

FOLDER: Final = STATIC / "graphics"
MANIFEST: Final[dict[str, Any]] = json.loads((FOLDER / "board.ograf.json").read_text("utf-8"))


def validator() -> jsonschema_rs.Validator:
    copy = json.loads((ROOT / "tests" / "support" / "schemas" / "ograf-v1.json").read_text("utf-8"))
    schemas = {schema["$id"]: schema for schema in copy["schemas"]}
    registry = jsonschema_rs.Registry(list(schemas.items()))
    return jsonschema_rs.Draft202012Validator(schemas[MANIFEST["$schema"]], registry=registry)


def test_the_manifest_is_one_of_ograf_version_1() -> None:
    assert [error.message for error in validator().iter_errors(MANIFEST)] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"main": None}, {"stepCount": -2}, {"actions": []}, {"author": {}}, {"supportsRealTime": "yes"},
        {"schema": {"type": "object"}}, {"schema": {"type": "object", "properties": {"a": {"type": "text"}}}},
        {"schema": {"type": "object", "properties": {"a": {"type": "boolean", "default": "1"}}}},
        {"schema": {"type": "object", "properties": {"a": {"type": "string", "gddType": "select", "enum": ["x"]}}}},
    ],
)  # fmt: skip
def test_the_schema_tells_a_manifest_from_another_thing(fault: dict[str, Any]) -> None:
    assert not validator().is_valid({**MANIFEST, **fault})


def test_what_the_manifest_names_is_there() -> None:
    assert (FOLDER / MANIFEST["main"]).is_file()
    # SPX makes a custom element's name of the two, which must be in lower case
    assert f"{MANIFEST['id']}-v{MANIFEST['version']}" == f"{MANIFEST['id']}-v{MANIFEST['version']}".lower()


def test_both_worlds_have_the_same_fields() -> None:
    page = (FOLDER / "spx.html").read_text("utf-8")
    definition = json.loads(page.partition("window.SPXGCTemplateDefinition = ")[2].partition(";\n</script>")[0])
    asked = {field["field"] for field in definition["DataFields"] if "field" in field}
    assert asked == set(MANIFEST["schema"]["properties"])
