"""What the documents point at exists: files, and in the life of a vote the names in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)[^)]*\)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md"), ROOT / "bench" / "README.md"])


def links(document: Path) -> list[tuple[str, Path]]:
    """Text and target of every link to a file."""
    found = LINK.findall(document.read_text("utf-8"))
    return [(text, document.parent / target) for text, target in found if "://" not in target]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    assert [str(target) for _, target in links(document) if not target.exists()] == []


def unnamed(text: str, source: str) -> list[str]:
    """The parts of `Class.method` that `source` does not define."""
    names = text.strip("`").split(".")
    return [name for name in names if not re.search(rf"^\s*(async )?(def|class) {name}\b", source, re.MULTILINE)]


def test_the_life_of_a_vote_names_what_is_there() -> None:
    named = [link for link in links(ROOT / "docs" / "life-of-a-vote.md") if link[1].suffix == ".py"]
    assert len(named) > 20
    assert [text for text, target in named if unnamed(text, target.read_text("utf-8"))] == []
