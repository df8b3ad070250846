from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from plantood.training.photos.division.splits import FRACTIONS, divide, split_of
from tests.training.conftest import make_photo, noise_look

EXPECTED = ["train", "test", "train", "train", "test", "train"]
EXPECTED += ["test", "train", "val", "train", "test", "train"]


def digests(count: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(count)]


def test_shares_of_the_splits() -> None:
    count = Counter(map(split_of, digests(20_000)))
    for name, fraction in FRACTIONS.items():
        assert abs(count[name] / 20_000 - fraction) < 0.01


def test_the_split_of_a_digest_never_changes() -> None:
    """Written down, since photos that change sides would invalidate every figure measured."""
    assert [split_of(digest) for digest in digests(12)] == EXPECTED


def test_order_and_company_do_not_matter() -> None:
    photos = [make_photo(d) for d in digests(200)]
    alone = {p.sha256: p.split for p in divide(photos).photos}
    shuffled = random.Random(1).sample(photos, len(photos))
    more = shuffled + [make_photo(d) for d in digests(100, "new")]
    among_more = {p.sha256: p.split for p in divide(more).photos}
    assert divide(shuffled).photos == divide(photos).photos
    assert all(among_more[digest] == split for digest, split in alone.items())


def test_near_duplicates_are_never_on_both_sides() -> None:
    photos = []
    for group in range(60):
        original = np.frombuffer(noise_look(str(group)), np.uint8)
        for copy in range(4):
            changed = original ^ np.uint8(copy)
            digest = hashlib.sha256(f"{group}/{copy}".encode()).hexdigest()
            photos.append(make_photo(digest, source=str(group), look=changed.tobytes()))
    division = divide(photos)
    splits_of_group = [
        {p.split for p in division.photos if p.source == str(group)} for group in range(60)
    ]
    assert all(len(splits) == 1 for splits in splits_of_group)
    assert set.union(*splits_of_group) == set(FRACTIONS)
    assert division.crossings == ()


def test_splits_of_the_manifest_stand_and_crossings_are_told() -> None:
    same = noise_look("x")
    photos = [
        make_photo("a" * 64, split="test", look=same),
        make_photo("b" * 64, split="train", look=same),
        make_photo("c" * 64, split="val", look=noise_look("y")),
    ]
    division = divide(photos)
    assert {p.sha256[0]: p.split for p in division.photos} == {
        "a": "test",
        "b": "train",
        "c": "val",
    }
    assert [[p.sha256[0] for p in group] for group in division.crossings] == [["a", "b"]]


def test_a_photo_without_split_follows_its_near_duplicate() -> None:
    for split in FRACTIONS:
        photos = [make_photo(d, look=noise_look("same")) for d in digests(5)]
        photos.append(make_photo("f" * 64, split=split, look=noise_look("same")))
        assert {p.split for p in divide(photos).photos} == {split}


def test_what_was_cut_from_one_photo_stays_together_and_with_it() -> None:
    names = digests(90)
    origins = [make_photo(d) for d in names[:30]]
    crops = [replace(make_photo(d, label=0), group=names[i % 30]) for i, d in enumerate(names[30:])]
    for photos in (origins + crops, crops):
        splits: dict[str, set[str | None]] = defaultdict(set)
        for photo in divide(photos).photos:
            splits[photo.group or photo.sha256].add(photo.split)
        assert len(splits) == 30
        assert all(len(found) == 1 for found in splits.values())
        assert set.union(*splits.values()) == set(FRACTIONS)
    fixed = [replace(photo, split="test") for photo in origins]
    assert {photo.split for photo in divide(fixed + crops).photos} == {"test"}
