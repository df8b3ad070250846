from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from plantood.model import reference
from plantood.model.reference import Reference


@pytest.fixture
def embeddings() -> np.ndarray:
    """A cloud of 400 points that is wide in 3 of 12 directions."""
    rng = np.random.default_rng(0)
    spread = np.r_[3.0, 2.0, 1.0, np.full(9, 0.05)]
    return (rng.normal(size=(400, 12)) * spread + 10).astype(np.float32)


def test_distance_by_hand() -> None:
    unit = Reference(
        mean=np.array([0.6, 0.8, 0.0], np.float32),
        components=np.array([[0.0, 0.0, 1.0]], np.float32),
        variances=np.array([0.25], np.float32),
        noise_variance=np.float32(0.01),
        scale=np.float32(2),
    )
    # (3, 4, 0) is (0.6, 0.8, 0) once normalised: at the mean. (0, 0, 5) is (0, 0, 1): it lies 1
    # along the component, 1 / 0.25 = 4, and 0.36 + 0.64 = 1 beside it, 1 / 0.01 = 100.
    points = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 5.0]])
    np.testing.assert_allclose(unit.distance(points), [0, np.sqrt(104)], atol=1e-5)
    np.testing.assert_allclose(unit.unfamiliarity(points), [0, np.sqrt(104) / 2], atol=1e-5)


def test_with_all_directions_it_is_the_mahalanobis_distance(embeddings: np.ndarray) -> None:
    x = embeddings.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    centred = x - x.mean(0)
    inverse = np.linalg.inv(np.cov(x, rowvar=False))
    expected = np.sqrt(np.einsum("ni,ij,nj->n", centred, inverse, centred))
    fitted = reference.fit(embeddings, components=11)
    np.testing.assert_allclose(fitted.distance(embeddings), expected, rtol=2e-3)


def test_one_is_the_99th_percentile(embeddings: np.ndarray) -> None:
    known = reference.fit(embeddings, components=4).unfamiliarity(embeddings)
    assert known.dtype == np.float32
    assert np.mean(known > 1) == pytest.approx(0.01, abs=0.003)


def test_the_scale_comes_from_the_calibration_photos(embeddings: np.ndarray) -> None:
    fresh = embeddings[300:]
    fitted = reference.fit(embeddings[:300], calibration=fresh, components=4)
    assert np.percentile(fitted.unfamiliarity(fresh), 99) == pytest.approx(1, abs=1e-4)


def test_what_lies_elsewhere_is_unfamiliar(embeddings: np.ndarray) -> None:
    fitted = reference.fit(embeddings, components=4)
    within = embeddings[:1] + np.eye(12)[0] * 3
    aside = embeddings[:1] + np.eye(12)[11] * 3  # as far, where photos hardly varied
    assert fitted.unfamiliarity(within)[0] < 1 < fitted.unfamiliarity(aside)[0]


def test_brightness_of_an_embedding_does_not_count(embeddings: np.ndarray) -> None:
    fitted = reference.fit(embeddings)
    np.testing.assert_allclose(
        fitted.unfamiliarity(embeddings * 5), fitted.unfamiliarity(embeddings), atol=1e-3
    )


def test_fewer_photos_than_dimensions() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(20, 300)) + 3
    fitted = reference.fit(few)
    assert np.all(np.isfinite(fitted.unfamiliarity(few)))
    assert fitted.unfamiliarity(-few[:1])[0] > 1


def test_too_few_photos() -> None:
    with pytest.raises(ValueError, match="at least 3 embeddings, not 2"):
        reference.fit(np.ones((2, 4)))


def test_save_and_load(embeddings: np.ndarray, tmp_path: Path) -> None:
    fitted = reference.fit(embeddings)
    fitted.save(tmp_path / "reference.npz")
    again = reference.Reference.load(tmp_path / "reference.npz")
    np.testing.assert_array_equal(again.unfamiliarity(embeddings), fitted.unfamiliarity(embeddings))


def test_it_is_never_unpickled(tmp_path: Path) -> None:
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps({"mean": 1}))
    with pytest.raises(ValueError, match="allow_pickle="):
        reference.Reference.load(tmp_path / "pickled.npz")
    np.savez(tmp_path / "objects.npz", mean=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle="):
        reference.Reference.load(tmp_path / "objects.npz")
