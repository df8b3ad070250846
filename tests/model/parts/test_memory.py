from __future__ import annotations

import pickle
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pytest
from sklearn.decomposition import PCA

from plantood.model.parts import memory
from plantood.model.parts.memory import Memory, remember, sample, unit


@pytest.fixture
def embeddings() -> np.ndarray:
    """500 of 12 channels that vary, each less than the one before."""
    rng = np.random.default_rng(0)
    return 2 + rng.normal(size=(500, 12)) * 0.7 ** np.arange(12)


def remembered(embeddings: np.ndarray, **more: object) -> Memory:
    count = len(embeddings)
    given = {
        "logit": np.linspace(-3, 3, count),
        "plant": np.arange(count) % 3 == 0,
        "sources": [f"field {i % 4}" for i in range(count)],
        "weights": np.ones(count),
    }
    return remember(embeddings, **(given | more))


def test_the_directions_are_the_principal_ones(embeddings: np.ndarray) -> None:
    made = remembered(embeddings, directions=5)
    expected = PCA(5).fit(unit(embeddings))
    np.testing.assert_allclose(made.mean, expected.mean_, atol=1e-6)
    alike = np.abs(np.sum(made.directions.astype(float) * expected.components_, axis=1))
    np.testing.assert_allclose(alike, 1, atol=1e-3)


def test_weights_count_as_copies_would(embeddings: np.ndarray) -> None:
    few = embeddings[:60]
    weights = np.where(np.arange(60) < 20, 3.0, 1.0)
    copies = np.concatenate([few[:20], few[:20], few])
    weighted, copied = remembered(few, weights=weights, directions=3), remembered(copies)
    np.testing.assert_allclose(weighted.mean, copied.mean, atol=1e-6)
    alike = np.abs(np.sum(weighted.directions.astype(float) * copied.directions[:3], axis=1))
    np.testing.assert_allclose(alike, 1, atol=1e-3)


def test_code_and_rest_make_up_the_embedding(embeddings: np.ndarray) -> None:
    whole = remembered(embeddings, directions=12)
    codes, rest = whole.encode(embeddings[:7])
    again = whole.mean + codes @ whole.directions.astype(np.float32)
    np.testing.assert_allclose(again, unit(embeddings[:7]), atol=2e-3)  # float16 directions
    np.testing.assert_allclose(rest, 0, atol=2e-3)
    some = remembered(embeddings, directions=3)
    codes, rest = some.encode(embeddings[:7])
    length = np.square(unit(embeddings[:7]) - some.mean).sum(1)
    np.testing.assert_allclose(np.square(codes).sum(1) + rest, length, atol=1e-6)
    assert rest.min() > 1e-4


def test_what_is_kept_is_encoded_like_a_new_photo(embeddings: np.ndarray) -> None:
    made = remembered(embeddings, directions=4)
    codes, rest = made.encode(embeddings)
    np.testing.assert_allclose(made.codes, codes, atol=1e-3)
    np.testing.assert_allclose(made.rest, rest, atol=1e-6)


def test_pictures_without_weight_are_left_out(embeddings: np.ndarray) -> None:
    weights = np.where(np.arange(500) < 400, 0.0, 1.0)
    made = remembered(embeddings, weights=weights)
    only = remembered(embeddings[400:], logit=np.linspace(-3, 3, 500)[400:], weights=weights[400:])
    assert len(made) == 100
    np.testing.assert_array_equal(made.codes, only.codes)
    np.testing.assert_array_equal(made.logit, only.logit)
    with pytest.raises(ValueError, match="at least one picture"):
        remembered(embeddings, weights=np.zeros(500))


def test_everything_stays_with_its_picture(embeddings: np.ndarray) -> None:
    made = remembered(embeddings, pictures=60, directions=12)
    codes, _ = made.encode(embeddings)
    nearest = np.argmin(
        np.square(made.codes[:, None].astype(np.float32) - codes[None]).sum(2), axis=1
    )
    np.testing.assert_allclose(made.logit, np.linspace(-3, 3, 500)[nearest], atol=1e-6)
    np.testing.assert_array_equal(made.plant, nearest % 3 == 0)
    assert [made.sources[i] for i in made.source] == [f"field {i % 4}" for i in nearest]


def test_a_sample_keeps_every_cells_weight() -> None:
    rng = np.random.default_rng(1)
    cells = rng.integers(0, 5, 2000)
    weights = rng.uniform(0.1, 1, 2000) * (1 + cells)
    weights /= weights.sum()
    drawn, weight = sample(weights, cells, 200, seed=0)
    assert len(drawn) == len(set(drawn)) == 200
    np.testing.assert_allclose(weight, 1 / 200)  # none was certain: all count alike
    for cell in range(5):
        share = weights[cells == cell].sum()
        assert np.sum(cells[drawn] == cell) == pytest.approx(200 * share, abs=1.001)


def test_a_sample_draws_in_proportion_to_the_weights() -> None:
    weights = np.array([0.5, 0.3, 0.1, 0.1])
    times = np.zeros(4)
    for seed in range(2000):
        drawn, weight = sample(weights, np.zeros(4, int), 2, seed)
        times[drawn] += 1
        # The first would have to be drawn with probability 1; the others by what is left over.
        np.testing.assert_allclose(weight[drawn == 0], 0.5)
    # 2 p, capped at 1: the first for certain, then one of 0.3, 0.1, 0.1.
    np.testing.assert_allclose(times / 2000, [1, 0.6, 0.2, 0.2], atol=0.04)


def test_a_sample_of_all_is_all() -> None:
    weights = np.array([0.4, 0.4, 0.2])
    drawn, weight = sample(weights, np.zeros(3, int), 10, seed=3)
    assert drawn.tolist() == [0, 1, 2]
    np.testing.assert_allclose(weight, weights)


def test_save_and_load(embeddings: np.ndarray, tmp_path: Path) -> None:
    made = remembered(embeddings, pictures=50)
    made.save(tmp_path / "memory.npz")
    again = memory.Memory.load(tmp_path / "memory.npz")
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(again, name), value)
        assert getattr(again, name).dtype == value.dtype


def test_it_is_never_unpickled(tmp_path: Path) -> None:
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps({"mean": 1}))
    with pytest.raises(BadZipFile):
        memory.Memory.load(tmp_path / "pickled.npz")
    np.savez(tmp_path / "objects.npz", mean=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle="):
        memory.Memory.load(tmp_path / "objects.npz")


def test_size_of_the_largest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    count, channels = memory.PICTURES, 1280
    largest = Memory(
        mean=np.zeros(channels, np.float32),
        directions=np.zeros((memory.DIRECTIONS, channels), np.float16),
        codes=rng.normal(size=(count, memory.DIRECTIONS)).astype(np.float16),
        rest=np.zeros(count, np.float32),
        logit=np.zeros(count, np.float32),
        plant=np.zeros(count, bool),
        source=np.zeros(count, np.int32),
        sources=np.array([f"a source with a long name {i}" for i in range(40)]),
        weight=np.zeros(count, np.float32),
    )
    largest.save(tmp_path / "memory.npz")
    assert (tmp_path / "memory.npz").stat().st_size < 4e6
