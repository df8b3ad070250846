from __future__ import annotations

import numpy as np
import pytest

from plantood.training.photos.division.balance import sample_weights
from tests.training.conftest import make_photo

PHOTOS = [
    make_photo(f"{i}", label, source)
    for i, (label, source) in enumerate([(1, "big")] * 9 + [(1, "small")] + [(0, "web")] * 5)
]


def total(weights: np.ndarray, **wanted: object) -> float:
    mine = [all(getattr(p, k) == v for k, v in wanted.items()) for p in PHOTOS]
    return float(weights[mine].sum())


@pytest.mark.parametrize("balance", ["none", "class", "source", "both"])
def test_the_mean_is_one(balance: str) -> None:
    assert sample_weights(PHOTOS, balance).mean() == pytest.approx(1)


def test_class() -> None:
    weights = sample_weights(PHOTOS, "class")
    assert total(weights, label=1) == pytest.approx(total(weights, label=0))
    assert total(weights, source="big") == pytest.approx(9 * total(weights, source="small"))


def test_source_weighs_as_the_root_of_its_size() -> None:
    weights = sample_weights(PHOTOS, "source")
    assert total(weights, source="big") == pytest.approx(3 * total(weights, source="small"))
    assert total(weights, label=1) == pytest.approx(10)


def test_both() -> None:
    weights = sample_weights(PHOTOS, "both")
    assert total(weights, source="big") == pytest.approx(3 * total(weights, source="small"))
    assert total(weights, label=1) == pytest.approx(total(weights, label=0))


def test_unknown() -> None:
    with pytest.raises(ValueError, match="balance must be one of"):
        sample_weights(PHOTOS, "even")
