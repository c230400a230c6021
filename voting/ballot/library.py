"""Ruleset files: read, checked, and those that ship with the package."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from broadcast_sync.errors import StartError
from voting.ballot.checking import Problem, problems
from voting.ballot.ruleset import RulesetData

FILE_BYTES: Final = 262_144


class RulesetError(StartError):
    """The file is not a ruleset. `problems` are all that is wrong with it; the text has the first and their number."""

    def __init__(self, source: str, found: list[Problem]) -> None:
        more = f" (and {len(found) - 1} more; `broadcast-sync rules check` lists them)" if len(found) > 1 else ""
        super().__init__(f"{source}: {found[0]}{more}")
        self.problems: Final = found


def parse(content: str | bytes, source: str) -> RulesetData:
    """The ruleset in `content`: JSON if `source` ends in .json, else TOML. Raises RulesetError."""
    raw = _raw(content if isinstance(content, bytes) else content.encode(), source)
    found = problems(raw)
    if found:
        raise RulesetError(source, found)
    return msgspec.convert(raw, RulesetData)


@cache
def shipped() -> Mapping[str, RulesetData]:
    """The rulesets that come with the package, by name. Raises RulesetError if one is broken."""
    found: dict[str, RulesetData] = {}
    for file in sorted(files("voting.ballot").joinpath("rulesets").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            data = parse(file.read_bytes(), file.name)
            found[data.name] = data
    return found


def read(path: Path) -> RulesetData:
    """The ruleset in a file. Raises RulesetError, and StartError (exit 2) if the file cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise StartError(f"{path}: cannot be read ({error.strerror})", exit_code=2) from None
    return parse(content, path.name)


def library(names: Sequence[str]) -> Mapping[str, RulesetData]:
    """The shipped rulesets and those in the files `names`, by name. Raises StartError if a file is no ruleset, or has
    the name of another one."""
    found = dict(shipped())
    for name in names:
        data = read(Path(name).expanduser())
        if data.name in found:
            raise StartError(f"{name}: there is a ruleset {data.name} already; give this one another name", exit_code=2)
        found[data.name] = data
    return found


def _raw(content: bytes, source: str) -> Any:
    if len(content) > FILE_BYTES:
        raise RulesetError(source, [Problem("", f"larger than {FILE_BYTES} bytes; a ruleset is a page")])
    json = source.lower().endswith(".json")
    try:
        return msgspec.json.decode(content) if json else tomllib.loads(content.decode("utf-8"))
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RulesetError(source, [Problem("", f"not {'JSON' if json else 'TOML'}: {error}")]) from None
