from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from plantood.training.common.settings import RecipeSettings
from plantood.training.negatives.synthetic import FRAMES
from plantood.training.recipe.plan import (
    COPIED,
    COPIES_PER_SOURCE,
    COUNTS,
    MAX_COPIES,
    plan_pictures,
)
from plantood.training.recipe.roles import Roles
from plantood.training.recipe.samples import PLANT_KINDS, Row, Sample
from plantood.training.starter.roles import NEEDED_SOURCES, ROLES
from tests.training.recipe.pictures import PLANTS, rows_of_all_sources


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rows_of_all_sources()


@pytest.fixture(scope="module")
def samples(rows: list[Row]) -> list[Sample]:
    return plan_pictures(rows, seed=0, roles=ROLES)


def files(sample: Sample) -> set[Path]:
    """Every photo that goes into it."""
    return {path for path in (*sample.photos, sample.ground, sample.extra) if path is not None}


def test_the_rows_of_the_tests_hold_every_needed_source(rows: list[Row]) -> None:
    assert {row.source for row in rows} >= NEEDED_SOURCES


def test_the_plan_is_a_function_of_rows_and_seed(rows: list[Row], samples: list[Sample]) -> None:
    assert plan_pictures(rows, seed=0, roles=ROLES) == samples
    assert plan_pictures(rows, seed=1, roles=ROLES) != samples


def test_counts(rows: list[Row], samples: list[Sample]) -> None:
    kinds = Counter(sample.kind for sample in samples)
    assert kinds.pop("photo") == len(rows)
    usable = sum(row.split != "test" for row in rows)
    assert COPIES_PER_SOURCE / 16 > MAX_COPIES  # sources as small as these get most copies
    assert kinds.pop("copy") == usable * MAX_COPIES
    assert kinds == COUNTS


def test_large_sources_get_fewer_copies() -> None:
    rows = rows_of_all_sources(500)
    copies = Counter(s.sources[0] for s in plan_pictures(rows, roles=ROLES) if s.kind == "copy")
    assert set(copies.values()) == {400 * 3}  # 1100 / 400, rounded


def test_every_sample_draws_with_its_own_seed(samples: list[Sample]) -> None:
    seeds = [sample.seed for sample in samples if sample.kind != "photo"]
    assert len(set(seeds)) == len(seeds)


def test_sources_are_all_that_goes_in(samples: list[Sample]) -> None:
    """So that a left-out source is nowhere: neither leaf, ground, texture nor hand."""
    for sample in samples:
        assert {path.parent.name for path in files(sample)} == set(sample.sources), sample


def test_nothing_of_the_test_split_is_trained_on(rows: list[Row], samples: list[Sample]) -> None:
    test = {row.path for row in rows if row.split == "test"}
    for sample in samples:
        if files(sample) & test:
            assert sample.kind == "photo"
            assert sample.measured_only
    assert sum(sample.measured_only for sample in samples) == len(test)


def test_labels(rows: list[Row], samples: list[Sample]) -> None:
    plants = {row.path for row in rows if row.plant}
    for sample in samples:
        match sample.kind:
            case "photo" | "copy":
                assert sample.plant == (sample.photos[0] in plants)
            case kind:
                assert sample.plant == (kind in PLANT_KINDS)
        if sample.kind in PLANT_KINDS:
            assert plants.issuperset(sample.photos)
        if sample.kind == "green":
            assert not plants.intersection(sample.photos)
        if sample.kind in ("seam", "green_seam"):
            assert sample.photos[-1].parent.name in ROLES.textures
            assert sample.photos[-1] not in plants
        if sample.extra is not None:
            assert sample.extra not in plants


def test_grounds_and_leaves_are_mixed(samples: list[Sample]) -> None:
    """No ground gives the label away: each lies under plants and under others."""
    grounds = {
        plant: {s.ground.parent.name for s in samples if s.ground is not None and s.plant == plant}
        for plant in (True, False)
    }
    assert grounds[True] == grounds[False]
    leaves = {s.photos[0].parent.name for s in samples if s.kind == "planted"}
    assert leaves == {s.photos[0].parent.name for s in samples if s.kind == "seam"}
    assert leaves < set(PLANTS)


FEW = Roles.of(leaves=["scans"], plants=["farm"], ground=["soil", "farm"], other=["room"])


def photos_of(*cells: tuple[str, bool], count: int = 40) -> list[Row]:
    return [
        Row(Path("plant" if plant else "other", source, str(n)), plant, source, "train")
        for source, plant in cells
        for n in range(count)
    ]


def test_a_source_of_both_classes_plays_a_part_with_each() -> None:
    rows = photos_of(("scans", True), ("farm", True), ("farm", False), ("soil", False))
    samples = plan_pictures(rows, roles=FEW, made=6)
    plants = {row.path for row in rows if row.plant}
    for sample in samples:
        if sample.kind in ("planted", "seam", "closeup"):
            assert sample.photos[0] in plants
        if sample.ground is not None:
            assert sample.ground not in plants
        if sample.kind in ("ground", "green"):
            assert not plants.intersection(sample.photos)
    grounds = {sample.ground.parent.name for sample in samples if sample.ground is not None}
    assert grounds == {"soil", "farm"}  # none of the room, of which there is no photo


@pytest.mark.parametrize("made", [1, 8])
def test_as_many_pictures_as_are_asked_for(made: float) -> None:
    rows = photos_of(("scans", True), ("farm", True), ("soil", False), ("room", False), count=100)
    samples = plan_pictures(rows, roles=FEW, made=made)
    kinds = Counter(sample.kind for sample in samples)
    assert kinds["photo"] == len(rows)
    assert "window" not in kinds
    # But for the windows between plants, which nothing shows, and what copies are rounded by.
    assert len(samples) - len(rows) == pytest.approx(made * len(rows), rel=0.05)
    assert kinds["planted"] / kinds["seam"] == pytest.approx(2.0, abs=0.05)


def test_the_starter_draws_as_many_as_a_user_does_by_default() -> None:
    """Of its own photos, 5387 of them in training and validation."""
    made = sum(COUNTS.values()) / (1 - COPIED) / 5387
    assert RecipeSettings().made == pytest.approx(made, rel=0.1)


def test_what_cannot_be_made_is_left_out() -> None:
    rows = photos_of(("scans", True), ("soil", False))
    kinds = {sample.kind for sample in plan_pictures(rows, roles=Roles(near=("gone",)), made=4)}
    assert kinds == {"photo", "copy", "toned", "green", *FRAMES}
    only_ground = plan_pictures(rows, roles=Roles.of(leaves=["scans"], ground=["soil"]), made=4)
    assert {"planted", "seam", "ground", "closeup"} <= {sample.kind for sample in only_ground}
    assert all(sample.extra is None for sample in only_ground)
