"""Show files: one episode of a show with its line-up, as TOML or JSON. Pure.

A file has `organisation`, `[season] id, title`, `[show] id, title` and, if wanted, `timezone` (an IANA name, default
UTC: when the show's days begin), `[episode] number, title` and `[[contestants]]` with `id, number, name` and, if
wanted, `khmer_name, photo, hometown, category, performance_order, status`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from broadcast_sync.errors import StartError

FILE_BYTES: Final = 1_048_576

Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
OptionalText = Annotated[str, Meta(max_length=128, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
Photo = Annotated[str, Meta(max_length=512, pattern=r"\A(|/[^\s\\\x00-\x1f\x7f\"'<>]*|https?://[^\s\\\x00-\x1f\x7f\"'<>]+)\Z")]
Number = Annotated[int, Meta(ge=1, le=1_000_000)]


class ShowFileError(StartError):
    """The file is not a show file; one line that names the path within it. Exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the file's tables; unknown keys are errors."""


class Season(Table, frozen=True):
    id: Id
    title: Text


class ShowEntry(Table, frozen=True):
    id: Id
    title: Text
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"


class Episode(Table, frozen=True):
    number: Number
    title: Text


class Contestant(Table, frozen=True):
    """`performance_order` 0 stands for the place in the file. `photo` is a path on this server or a URL."""

    id: Id
    number: Number
    name: Text
    khmer_name: OptionalText = ""
    photo: Photo = ""
    hometown: OptionalText = ""
    category: OptionalText = ""
    performance_order: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    status: Literal["active", "eliminated"] = "active"


class ShowFile(Table, frozen=True):
    """A checked show file: ids and numbers of contestants are unique."""

    season: Season
    show: ShowEntry
    episode: Episode
    contestants: Annotated[list[Contestant], Meta(min_length=1, max_length=5_000)]
    organisation: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,62}\Z")] = "default"


def parse(content: bytes, name: str) -> ShowFile:
    """The show file in `content`: JSON if `name` ends in .json, else TOML. Raises ShowFileError."""
    if len(content) > FILE_BYTES:
        raise ShowFileError(f"{name}: larger than 1 MiB; a show file holds one episode")
    try:
        file = msgspec.convert(_raw(content, name), ShowFile)
    except msgspec.ValidationError as error:
        body, _, path = str(error).partition(" - at `")
        where = path.rstrip("`").removeprefix("$").removeprefix(".")
        raise ShowFileError(f"{name}: {where}: {body[0].lower()}{body[1:]}" if where else f"{name}: {body}") from None
    if not _is_zone(file.show.timezone):
        raise ShowFileError(f"{name}: show.timezone: {file.show.timezone!r} is none; Asia/Phnom_Penh would be one")
    _unique(name, "id", (contestant.id for contestant in file.contestants))
    _unique(name, "number", (contestant.number for contestant in file.contestants))
    return file


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name).key)
    except (OSError, ValueError, KeyError):  # a folder, a path out of the database, unknown
        return False


def _raw(content: bytes, name: str) -> Any:
    try:
        if name.lower().endswith(".json"):
            return msgspec.json.decode(content)
        return tomllib.loads(content.decode("utf-8"))
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = "JSON" if name.lower().endswith(".json") else "TOML"
        raise ShowFileError(f"{name}: not {kind} ({error})") from None


def _unique(name: str, key: str, values: Iterable[str | int]) -> None:
    seen: dict[str | int, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            first = f"contestants[{seen[value]}]"
            raise ShowFileError(f"{name}: contestants[{index}].{key}: {value} is that of {first} too")
        seen[value] = index
