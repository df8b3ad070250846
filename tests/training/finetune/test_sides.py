from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from plantood.training.finetune.sides import Sides, split_sides
from plantood.training.judging.seen import DIGITS, Seen
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.division.splits import divide
from tests.training.conftest import make_photo


def photo(name: str, split: str, group: str = "") -> LabelledPhoto:
    made = make_photo(hashlib.sha256(name.encode()).hexdigest(), split=split)
    return replace(made, group=group, source=name)


def names(photos: Iterable[LabelledPhoto]) -> set[str]:
    return {one.source for one in photos}


def seen(*photos: LabelledPhoto) -> frozenset[str]:
    return frozenset(one.sha256[:DIGITS] for one in photos)


def sides_of(sides: Sides) -> dict[str, set[str]]:
    parts = {"train": sides.train, "val": sides.val, "test": sides.test, "aside": sides.left_out}
    return {name: names(part) for name, part in parts.items()}


OLD = [photo("a", "train"), photo("b", "val"), photo("c", "test"), photo("d", "test")]
NEW = [photo("e", "train"), photo("f", "val"), photo("g", "test")]
OLD_DIGESTS = {one.sha256 for one in OLD}


def test_photos_that_nobody_has_seen_keep_their_split() -> None:
    sides = split_sides(divide([*OLD, *NEW]), (), OLD_DIGESTS, Seen(seen(OLD[0]), seen(OLD[1])))
    assert sides_of(sides) == {
        "train": {"a", "e"},
        "val": {"b", "f"},
        "test": {"c", "d", "g"},
        "aside": set(),
    }
    assert sides.seen == {}


def test_what_the_parent_was_trained_on_is_neither_test_nor_validation() -> None:
    """Whatever the manifest calls it; it may be trained on again."""
    parent = Seen(seen(OLD[0], OLD[1], OLD[2], NEW[2]))
    sides = split_sides(divide([*OLD, *NEW]), (), OLD_DIGESTS, parent)
    assert sides_of(sides) == {
        "train": {"a", "b", "c", "e", "g"},
        "val": {"f"},
        "test": {"d"},
        "aside": set(),
    }
    assert sides.seen == {"val": 1, "test": 2}


def test_what_was_chosen_on_is_no_test_and_not_trained_on() -> None:
    sides = split_sides(divide([*OLD, *NEW]), (), OLD_DIGESTS, Seen(frozenset(), seen(OLD[2])))
    assert "c" not in names((*sides.train, *sides.val, *sides.test))
    assert sides.seen == {"test": 1}


def test_what_a_bound_was_proved_on_may_judge_a_child() -> None:
    parent = Seen(seen(OLD[0]), seen(OLD[1]), bounded=seen(*OLD[2:]))
    sides = split_sides(divide([*OLD, *NEW]), (), OLD_DIGESTS, parent)
    assert names(sides.test) == {"c", "d", "g"}
    assert sides.seen == {}


def test_a_parent_that_says_nothing_has_seen_what_falls_into_train_and_val() -> None:
    sides = split_sides(divide([*OLD, *NEW]), (), OLD_DIGESTS, None)
    assert sides.parent == Seen(seen(OLD[0]), seen(OLD[1]))


def test_photos_of_one_group_never_judge_each_other() -> None:
    """The manifest names the splits, and puts the photos of one scene on all sides."""
    scene = [photo(f"s-{split}", split, "scene") for split in ("train", "val", "test")]
    twins = [photo("t-val", "val"), photo("t-test", "test")]
    twins[1] = replace(twins[1], look=twins[0].look)
    sides = split_sides(divide([*OLD, *scene, *twins]), (), OLD_DIGESTS, Seen())
    assert "s-train" in names(sides.train)
    assert names(sides.val) == {"b", "t-val"}
    assert names(sides.test) == {"c", "d"}
    assert sides.seen == {"val": 1, "test": 2}


def test_what_is_alike_to_a_source_set_aside_is_not_trained_on() -> None:
    aside = photo("aside", "test")
    burst = replace(photo("burst", "train"), look=aside.look)
    sides = split_sides(divide([*OLD, aside, burst]), {aside.sha256}, OLD_DIGESTS, Seen())
    assert names(sides.left_out) == {"aside", "burst"}
    assert names(sides.train) == {"a"}


def test_a_source_set_aside_is_not_judged_where_the_parent_knows_it() -> None:
    aside, other = photo("aside", "test"), photo("aside too", "test")
    burst = replace(photo("burst", "train"), look=aside.look)
    division = divide([*OLD, aside, other, burst])
    parent = Seen(seen(burst))
    sides = split_sides(division, {aside.sha256, other.sha256}, OLD_DIGESTS, parent)
    assert names(sides.left_out) == {"aside too"}
    assert names(sides.train) == {"a", "burst"}
    assert sides.seen == {"left out": 1}
