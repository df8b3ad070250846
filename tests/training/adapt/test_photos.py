from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plantood.training.adapt.photos import scenes
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.hashes import look_of
from tests.training.conftest import draw


def photo(seed: int, group: str = "") -> LabelledPhoto:
    return LabelledPhoto(
        Path(f"{seed}.jpg"), 1, "s", sha256=f"{seed}", look=look_of(draw(1, seed)), group=group
    )


def test_a_scene_is_what_looks_alike_or_is_said_to_be_one() -> None:
    first = photo(1)
    again = replace(first, sha256="again")
    photos = (first, photo(2, "row"), again, photo(3), photo(4, "row"), photo(5, "3"))
    found = scenes(photos).tolist()
    assert found[0] == found[2]
    assert found[1] == found[4]
    assert found[3] == found[5]  # cut from the photo with this digest
    assert len({found[0], found[1], found[3]}) == 3


def test_scenes_are_joined_by_what_is_in_both() -> None:
    photos = (photo(1, "a"), photo(2, "a"), replace(photo(2, "b"), sha256="again"), photo(3, "b"))
    assert len(set(scenes(photos).tolist())) == 1
