from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.show.showfile import ShowFile, ShowFileError, parse

GOOD: dict[str, Any] = {
    "season": {"id": "s1", "title": "One"},
    "show": {"id": "x", "title": "X"},
    "episode": {"number": 1, "title": "X: 1"},
    "contestants": [{"id": "a", "number": 1, "name": "A"}, {"id": "b", "number": 2, "name": "B", "photo": "/b.svg"}],
}


def changed(*path: str | int, to: Any) -> bytes:
    made: Any = msgspec.json.decode(msgspec.json.encode(GOOD))
    where = made
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = to
    return msgspec.json.encode(made)


def refused(content: bytes, name: str = "f.json") -> str:
    with pytest.raises(ShowFileError) as caught:
        parse(content, name)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    return str(caught.value)


def test_the_demo_show_has_twelve_contestants_with_khmer_names() -> None:
    demo = parse(files("broadcast_sync.show").joinpath("demo", "demo.toml").read_bytes(), "demo.toml")
    assert (demo.show.id, demo.episode.number, len(demo.contestants)) == ("demo", 1, 12)
    for person in demo.contestants:
        letters = set(person.khmer_name) - {" "}
        assert letters and all("\u1780" <= letter <= "\u17ff" for letter in letters)
        assert person.photo == f"/photos/demo/{person.id}.svg"
    assert {person.category for person in demo.contestants} == {"Boys", "Girls", "Overs", "Groups"}


def test_json_and_toml_say_the_same() -> None:
    toml = b"""
    [season]
    id = "s1"
    title = "One"
    [show]
    id = "x"
    title = "X"
    [episode]
    number = 1
    title = "X: 1"
    [[contestants]]
    id = "a"
    number = 1
    name = "A"
    [[contestants]]
    id = "b"
    number = 2
    name = "B"
    photo = "/b.svg"
    """
    assert parse(toml, "f.toml") == parse(msgspec.json.encode(GOOD), "F.JSON")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed("contestants", 1, "id", to="a"), "contestants[1].id: a is that of contestants[0] too"),
        (changed("contestants", 1, "number", to=1), "contestants[1].number: 1"),
        (changed("contestants", 1, "number", to=0), "contestants[1].number"),
        (changed("contestants", 0, "name", to=""), "contestants[0].name"),
        (changed("contestants", 0, "name", to="A\nB"), "contestants[0].name"),
        (changed("contestants", 0, "name", to="A" * 129), "contestants[0].name"),
        (changed("contestants", 0, "photo", to="javascript:alert(1)"), "contestants[0].photo"),
        (changed("contestants", 0, "status", to="gone"), "contestants[0].status"),
        (changed("contestants", 0, "khmerName", to="x"), "unknown field `khmerName`"),
        (changed("contestants", to=[]), "contestants"),
        (changed("show", "id", to="a b"), "show.id"),
        (changed("show", "id", to="x\n"), "show.id"),
        (changed("episode", "number", to="1"), "episode.number"),
        (changed("organisation", to="Org!"), "organisation"),
        (b"{", "not JSON"),
        (b"[]", "f.json"),
        (b"\xff", "not JSON"),
        (b" " * 1_048_577, "larger than 1 MiB"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_wrong_and_where(content: bytes, said: str) -> None:
    assert said in refused(content)


@pytest.mark.parametrize(
    "name", ["<b>A</b>", "\u202eA\u202c", "👩‍🎤 A", "A" * 128, "ញ" * 128, "'; DROP TABLE votes; --"]
)
def test_a_name_is_taken_as_it_is(name: str) -> None:
    """What a page must not do with it is the page's own to know."""
    assert parse(changed("contestants", 0, "name", to=name), "f.json").contestants[0].name == name


def test_what_is_not_toml() -> None:
    assert "not TOML" in refused(b"show = [", "f.toml")
    assert "not TOML" in refused(b"\xff\xfe", "f.toml")


@given(st.binary(max_size=200), st.sampled_from(["f.json", "f.toml"]))
def test_any_bytes_are_a_show_file_or_a_clear_refusal(content: bytes, name: str) -> None:
    try:
        assert isinstance(parse(content, name), ShowFile)
    except ShowFileError as error:
        assert str(error).startswith(name)


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "Asia", "x" * 65, "Asia/Phnom_Penh\x00", "/UTC"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    assert "timezone" in refused(changed("show", "timezone", to=zone))


def test_a_show_has_the_time_zone_it_says_or_utc() -> None:
    assert parse(changed("show", "timezone", to="Asia/Phnom_Penh"), "f.json").show.timezone == "Asia/Phnom_Penh"
    assert parse(changed("show", "title", to="Y"), "f.json").show.timezone == "UTC"
