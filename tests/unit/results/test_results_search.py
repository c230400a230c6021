"""Finding contestants by a part of their name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.wire.server import ContestantInfo
from results.search import LETTERS, SearchIndex, folded


def index(*names: str | tuple[str, str]) -> SearchIndex:
    both = [(name, "") if isinstance(name, str) else name for name in names]
    return SearchIndex([
        ContestantInfo(f"c{n}", n, latin, "", "active", khmer_name=khmer) for n, (latin, khmer) in enumerate(both)
    ])


@pytest.mark.parametrize(
    ("query", "found"),
    [("Sok", [0, 1]), ("sok", [0, 1]), ("okh", [0]), ("bopha", [2]), ("BÓPHÀ", [2]), ("សុខា", [0]), ("ខា", [0]),
     ("ប\u200bុប្ផា", [2]), ("  nhem   bopha ", [2]), ("zz", []), ("s", []), ("", []), ("\u200b\u200b", []), ("50%", [3]),
     ("5_", []), ("a\\", []), ("' OR 1=1 --", []), ("a\nb", [])],
)  # fmt: skip
def test_names_are_found_in_both_scripts_and_every_character_stands_for_itself(query: str, found: list[int]) -> None:
    names = index(("Sokha", "សុខា"), "Sok Dara", ("Nhem Bópha", "ញឹម បុប្ផា"), "50% Pure")
    assert names.find(query) == found


def test_a_search_does_not_run_from_one_name_into_the_other() -> None:
    assert index(("ab", "cd")).find("b\ncd") == [] and index(("ab", "cd")).find("bc") == []


NAMES = st.text(st.sampled_from("abAB éសុខា%_\\'"), min_size=0, max_size=12)


@given(st.lists(NAMES, min_size=1, max_size=20), NAMES)
def test_the_index_finds_what_looking_at_everybody_finds(names: list[str], query: str) -> None:
    wanted = folded(query)
    expected = [place for place, name in enumerate(names) if len(wanted) >= 2 and wanted in folded(name)]
    assert index(*names).find(query) == expected


@given(st.text(max_size=40))
def test_any_text_can_be_asked_for(query: str) -> None:
    index("Sokha").find(query)


@pytest.mark.parametrize("text", ["ab", "a b", "a%b", "9a", "សុ", "ស ខ", "é9"])
def test_two_letters_make_a_search(text: str) -> None:
    assert re.search(LETTERS, text)


@pytest.mark.parametrize("text", ["", "a", "%%", "__", "a_", "\\\\", "--", "។។", "' '"])
def test_one_letter_or_wildcards_make_none(text: str) -> None:
    assert not re.search(LETTERS, text)
