from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plantood.training.recipe.plan import plan_pictures
from plantood.training.recipe.samples import Sample
from plantood.training.recipe.weighting import (
    OTHER_SHARES,
    PLANT_SHARES,
    sample_weights,
)
from plantood.training.starter.roles import ROLES
from tests.training.recipe.pictures import rows_of_all_sources


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return plan_pictures(rows_of_all_sources(), roles=ROLES)


def sample(kind: str, plant: bool, *sources: str, measured_only: bool = False) -> Sample:
    return Sample(kind, plant, sources, (), (Path("p"),), measured_only=measured_only)


@pytest.mark.parametrize(
    "left_out",
    [(), ("soil_NHA078",), ("plant_seedlings",), ("clothing", "apple_plantvillage")],
)
def test_classes_are_balanced_whatever_is_left_out(
    samples: list[Sample], left_out: tuple[str, ...]
) -> None:
    weights = sample_weights(samples, frozenset(left_out))
    plant = np.array([s.plant for s in samples])
    assert weights.shape == (len(samples),)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0)
    assert weights[plant].sum() == pytest.approx(0.5)


@pytest.mark.parametrize("source", ["plant_seedlings", "clothing", "soil_NHA078", "rice_leaf"])
def test_a_left_out_source_weighs_nothing_in_any_part(samples: list[Sample], source: str) -> None:
    weights = sample_weights(samples, frozenset({source}))
    for s, weight in zip(samples, weights, strict=True):
        used = {p.parent.name for p in (*s.photos, s.ground, s.extra) if p is not None}
        assert (weight == 0) == (source in used or s.measured_only)


def test_what_a_doubtful_photo_went_into_weighs_nothing(samples: list[Sample]) -> None:
    wrong = next(s.ground for s in samples if s.ground is not None and not s.measured_only)
    weights = sample_weights(samples, unlearned=frozenset({wrong}))
    for s, weight in zip(samples, weights, strict=True):
        assert (weight == 0) == (wrong in s.paths or s.measured_only)


def test_only_measured_photos_weigh_nothing(samples: list[Sample]) -> None:
    weights = sample_weights(samples)
    measured = np.array([s.measured_only for s in samples])
    assert measured.any()
    assert np.all((weights == 0) == measured)


def test_every_kind_has_its_share_of_its_class(samples: list[Sample]) -> None:
    weights = sample_weights(samples)
    kind = np.array([s.kind for s in samples])
    for name, share in (PLANT_SHARES | OTHER_SHARES).items():
        assert weights[kind == name].sum() == pytest.approx(0.5 * share), name


def test_sources_weigh_by_the_root_of_their_size() -> None:
    """Four photos and one, copies or not: 2 to 1."""
    samples = [
        *[sample("photo", True, "large")] * 4,
        *[sample("copy", True, "large")] * 4,
        sample("photo", True, "small"),
        *[sample("copy", True, "small")] * 3,
        sample("photo", False, "street"),
        sample("photo", False, "street", measured_only=True),
    ]
    weights = sample_weights(samples)
    np.testing.assert_allclose(weights[:8], 0.5 * 2 / 3 / 8)
    np.testing.assert_allclose(weights[8:12], 0.5 * 1 / 3 / 4)
    assert weights[12:].tolist() == [0.5, 0.0]


def test_shares_by_hand_and_what_is_missing_goes_to_the_rest() -> None:
    samples = [
        sample("photo", True, "farm"),
        sample("planted", True, "farm", "soil"),
        sample("planted", True, "farm", "cloth"),
        sample("photo", False, "soil"),
    ]
    shares = {"planted": 0.4, "closeup": 0.2}
    weights = sample_weights(samples, plant_shares=shares)
    np.testing.assert_allclose(weights, [0.3, 0.1, 0.1, 0.5])
    weights = sample_weights(samples, frozenset({"cloth"}), plant_shares=shares)
    np.testing.assert_allclose(weights, [0.3, 0.2, 0.0, 0.5])


def test_doubtful_sources_count_for_less() -> None:
    samples = [
        sample("photo", True, "weeds"),
        sample("photo", True, "farm"),
        sample("photo", False, "street"),
    ]
    weights = sample_weights(samples, counted_less={"weeds": 0.3})
    assert weights[0] == pytest.approx(0.3 * weights[1])
    assert weights[:2].sum() == pytest.approx(0.5)


def test_shares_leave_room_for_photos() -> None:
    for shares in (PLANT_SHARES, OTHER_SHARES):
        assert 0 < sum(shares.values()) < 1
