from __future__ import annotations

import unicodedata

import pytest

from plantood.errors import SettingsError
from plantood.training.common.parameters import SourceSet
from plantood.training.photos.division.units import (
    ensure_units,
    fewest_units,
    in_words,
    telling,
    unit_names,
    units_of,
)

TABLE, STREET = frozenset({"apple", "maize"}), frozenset({"asphalt", "soil"})


def test_units_are_sources_or_what_belongs_together() -> None:
    together = (frozenset({"farm", "street"}),)
    assert units_of(["street", "farm", "room"], together) == [*together, frozenset({"room"})]
    assert units_of(["b", "a", "b"], ()) == [frozenset({"a"}), frozenset({"b"})]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_that_are_typed_are_those_of_the_sources(form: str) -> None:
    typed = unicodedata.normalize(form, "café,mesa")
    together = (SourceSet().convert(typed, None, None),)
    cafe = unicodedata.normalize("NFC", "café")
    ensure_units(together, [cafe, "mesa"])
    assert units_of([cafe, "mesa"], together) == [frozenset({cafe, "mesa"})]


def test_a_unit_has_the_first_of_its_names() -> None:
    assert unit_names(["maize", "room", "apple"], (TABLE,)) == ["apple", "room", "apple"]
    assert in_words([STREET, TABLE]) == "asphalt and soil; apple and maize"


def test_a_unit_counts_as_one() -> None:
    labels, sources = [1, 1, 1, 0, 0, 0], ["apple", "maize", "rice", "asphalt", "soil", "room"]
    assert fewest_units(labels, sources) == 3
    assert fewest_units(labels, sources, (TABLE,)) == 2
    assert fewest_units(labels, sources, (TABLE, STREET)) == 2
    assert fewest_units(labels[:3], sources[:3]) == 0
    # One that has photos of both classes counts in each.
    assert fewest_units([1, 0, 0], ["apple", "apple", "soil"]) == 1


def test_a_stray_photo_has_no_say() -> None:
    labels, sources = [1] * 11 + [0] * 2, ["farm"] * 5 + ["garden"] * 5 + ["plant"] + ["room"] * 2
    assert telling(labels, sources).tolist() == [True] * 10 + [False] + [True] * 2  # all there is
    assert fewest_units(labels, sources) == 1
    assert fewest_units([*labels, *[0] * 15], [*sources, *["a", "b", "c"] * 5]) == 2
    assert telling([], []).tolist() == []
    assert fewest_units([], []) == 0


@pytest.mark.parametrize(
    ("together", "said"),
    [
        ((frozenset({"apple", "maise"}),), "no source is called maise; there are: apple, asphalt"),
        ((TABLE, frozenset({"apple", "soil"})), "give them once: --together apple,maize,soil"),
    ],
)
def test_mistakes_are_told(together: tuple[frozenset[str], ...], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        ensure_units(together, ["maize", "apple", "soil", "asphalt"])
    ensure_units((TABLE, STREET), ["maize", "apple", "soil", "asphalt"])
