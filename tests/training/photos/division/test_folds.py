from __future__ import annotations

from collections import Counter
from dataclasses import replace

from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Dataset
from plantood.training.photos.division.folds import FEWEST, FOLDS, source_folds, to_judge
from tests.training.conftest import make_photo


def photos(split: str, source: str, label: int, count: int) -> tuple[LabelledPhoto, ...]:
    return tuple(
        make_photo(f"{source} {label} {split} {n}", label, source, split) for n in range(count)
    )


def dataset_of(plants: int, others: int) -> Dataset:
    """So many sources, the first ones the largest, and each in all splits."""
    sources = [(f"plant {n:02}", 1, 20 - n) for n in range(plants)]
    sources += [(f"other {n:02}", 0, 20 - n) for n in range(others)]
    return Dataset(
        *(
            tuple(p for name, label, size in sources for p in photos(split, name, label, size))
            for split in ("train", "val", "test")
        )
    )


def names(rest: Dataset) -> list[str]:
    return sorted({photo.source for photo in rest.left_out})


def test_each_source_is_left_out_once_and_few_of_them_alone() -> None:
    dataset = dataset_of(FOLDS, FOLDS)
    rests = source_folds(dataset)
    assert sorted(map(names, rests)) == [[name] for name in dataset.sources]
    for rest in rests:
        assert not {*names(rest)} & {photo.source for photo in rest.train + rest.val}


def test_of_many_sources_some_are_left_out_together_but_of_one_class() -> None:
    dataset = dataset_of(12, 7)
    rests = source_folds(dataset)
    assert len(rests) == 2 * FOLDS
    assert Counter(name for rest in rests for name in names(rest)) == Counter(dataset.sources)
    assert all(len({photo.label for photo in rest.left_out}) == 1 for rest in rests)
    assert ["plant 00", "plant 05", "plant 10"] in map(names, rests)


def test_no_photo_of_the_test_split_is_judged() -> None:
    dataset = dataset_of(5, 5)
    judged = [photo for rest in source_folds(dataset) for photo in to_judge(dataset, rest)]
    assert Counter(judged) == Counter(dataset.train + dataset.val)


def test_too_few_sources_of_a_class_are_not_divided() -> None:
    assert source_folds(dataset_of(2, 1)) == []
    assert source_folds(dataset_of(1, 20)) == []
    assert len(source_folds(dataset_of(2, 2))) == 4
    assert source_folds(dataset_of(4, 9), 5) == []
    assert len(source_folds(dataset_of(5, 9), 5)) == 10


def test_sources_of_both_classes_are_left_out_as_a_whole() -> None:
    """A camera that took plants and others."""
    dataset = dataset_of(5, 5)
    both = photos("train", "phone", 1, 9) + photos("train", "phone", 0, 9)
    rests = source_folds(replace(dataset, train=dataset.train + both))
    assert ["phone"] in map(names, rests)
    assert len(rests) == 11


def test_what_cannot_be_learned_without_is_not_left_out() -> None:
    """All but one of the plants show the same, and are set aside together."""
    dataset = dataset_of(3, 3)
    same = {photo.sha256: 0 for photo in dataset.photos if photo.source > "plant 00"}
    small = replace(dataset, groups=same)
    assert len(source_folds(small)) == 6  # there are the photos of the first source
    few = tuple(photo for photo in dataset.train if photo.source != "plant 00")
    few += photos("train", "plant 00", 1, FEWEST - 1)
    assert source_folds(replace(small, train=few)) == []  # but not enough of them


def test_a_class_that_is_judged_by_one_source_is_not_judged() -> None:
    """Without the large source, too few plants are left to learn from."""
    dataset = dataset_of(1, 5)
    few = photos("train", "small", 1, FEWEST - 1)
    assert source_folds(replace(dataset, train=dataset.train + few)) == []


def test_sources_that_belong_together_are_left_out_as_one() -> None:
    dataset = dataset_of(5, 5)
    rests = source_folds(replace(dataset, together=(frozenset({"plant 00", "plant 03"}),)))
    assert [name for name in map(names, rests) if len(name) > 1] == [["plant 00", "plant 03"]]
    assert len(rests) == 9
    assert Counter(name for rest in rests for name in names(rest)) == Counter(dataset.sources)
    # Also where they are more than there are folds.
    many = replace(dataset_of(12, 5), together=(frozenset({"plant 00", "plant 01"}),))
    (together,) = (rest for rest in source_folds(many) if "plant 00" in names(rest))
    assert "plant 01" in names(together)
    assert not {"plant 00", "plant 01"} & {photo.source for photo in together.train + together.val}


def test_sources_that_belong_together_count_as_one() -> None:
    unit = (frozenset({"plant 00", "plant 01"}),)
    assert source_folds(replace(dataset_of(5, 5), together=unit), 5) == []
    assert len(source_folds(replace(dataset_of(6, 5), together=unit), 5)) == 10
    assert source_folds(replace(dataset_of(2, 5), together=unit)) == []


def test_a_camera_that_took_both_classes_may_have_two_names() -> None:
    """It is left out as a whole, and so of a kind of its own, as under one name."""
    together = (frozenset({"plant 00", "other 00"}),)
    rests = source_folds(replace(dataset_of(5, 5), together=together))
    assert ["other 00", "plant 00"] in map(names, rests)
    assert len(rests) == 9
