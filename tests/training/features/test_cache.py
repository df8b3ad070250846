from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plantood.training.features import cache as cache_module
from plantood.training.features.cache import FeatureCache, embed, weights_digest
from tests.training.conftest import SIZE, draw, make_photo, write_photo

SHAPE = (2, 2, 3)


def maps_of(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype(np.float32)


def filled(folder: Path, digests: str = "abcdef") -> tuple[FeatureCache, np.ndarray]:
    cache, maps = FeatureCache(folder), maps_of(0, len(digests))
    cache.append(list(digests[:4]), maps[:4])
    cache.append(list(digests[4:]), maps[4:])
    return cache, maps.astype(np.float16).astype(np.float32)


def test_rows_in_the_order_asked_for(tmp_path: Path) -> None:
    _, maps = filled(tmp_path)
    cache = FeatureCache(tmp_path)  # opened again from disk
    assert len(cache) == 6
    assert cache.shape == SHAPE
    rows = cache.rows([make_photo(digest) for digest in "fbea"])
    np.testing.assert_array_equal(rows[np.array([0, 1, 2, 3])], maps[[5, 1, 4, 0]])
    np.testing.assert_array_equal(rows[np.array([3, 0])], maps[[0, 5]])
    np.testing.assert_array_equal(rows[slice(1, 3)], maps[[1, 4]])
    np.testing.assert_allclose(rows.pooled(), maps[[5, 1, 4, 0]].mean((1, 2)), atol=1e-6)
    assert rows.shape == (4, *SHAPE)


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    cache, _ = filled(tmp_path)
    assert "a" in cache
    assert "x" not in cache
    with pytest.raises(KeyError):
        cache.rows([make_photo("x")])


@pytest.mark.parametrize("damage", ["no index", "short index", "short block", "torn block"])
def test_a_half_written_block_does_not_exist(tmp_path: Path, damage: str) -> None:
    _, maps = filled(tmp_path)
    index = next(p for p in tmp_path.glob("*.json") if "a" in json.loads(p.read_text()))
    block = index.with_suffix(".npy")
    if damage == "no index":
        index.rename(f"{index}.123.tmp")
    elif damage == "short index":
        index.write_text(index.read_text()[:7])
    elif damage == "short block":
        np.save(block, maps[:2].astype(np.float16))
    else:
        block.write_bytes(block.read_bytes()[:-5])
    again = FeatureCache(tmp_path)
    assert [digest for digest in "abcdef" if digest in again] == ["e", "f"]
    np.testing.assert_array_equal(again.rows([make_photo("e")])[np.array([0])][0], maps[4])


def test_infinite_features_are_bounded(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.append(["a"], np.full((1, *SHAPE), 1e6, np.float32))
    assert np.isfinite(cache.rows([make_photo("a")])[np.array([0])]).all()


def test_fill_computes_only_what_is_missing_and_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "BATCH", 2)
    monkeypatch.setattr(cache_module, "BLOCK", 4)
    photos = [make_photo(f"{i}") for i in range(11)]
    photos = [
        type(p)(write_photo(tmp_path / f"{p.sha256}.png", 1, int(p.sha256)), 1, "s", None, p.sha256)
        for p in photos
    ]
    seen = 0

    def extract(batch: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += len(batch)
        if seen == 8 and len(cache) < 5:
            raise KeyboardInterrupt  # in the middle of the second block
        return batch[:, ::24, ::24].astype(np.float32)

    cache = FeatureCache(tmp_path / "maps")
    with pytest.raises(KeyboardInterrupt):
        cache.fill(photos, extract, SIZE)
    cache = FeatureCache(tmp_path / "maps")
    assert len(cache) == 4
    seen = -100
    assert cache.fill(photos, extract, SIZE) == 7
    assert seen == -93
    expected = np.stack([draw(1, i)[::24, ::24] for i in range(11)]).astype(np.float32)
    np.testing.assert_array_equal(cache.rows(photos)[np.arange(11)], expected)
    assert cache.fill(photos, extract, SIZE) == 0


def test_embed_any_arrays() -> None:
    images = (np.full((8, 8, 3), i, np.uint8) for i in range(5))
    vectors = np.stack(list(embed(images, lambda batch: batch.astype(np.float32), batch_size=2)))
    np.testing.assert_array_equal(vectors, np.repeat(np.arange(5.0)[:, None], 3, axis=1))


def test_digest_depends_on_every_weight_and_on_what_is_about_it() -> None:
    weights = [np.zeros((2, 3), np.float32), np.ones(4, np.float32)]
    digest = weights_digest(weights, "size 224")
    assert weights_digest([w.copy() for w in weights], "size 224") == digest
    changed = [weights[0], weights[1] + np.float32(1e-6)]
    reshaped = [weights[0].reshape(3, 2), weights[1]]
    others = {weights_digest(w, "size 224") for w in (changed, reshaped)}
    others |= {weights_digest(weights, "size 192"), digest}
    assert len(others) == 4
