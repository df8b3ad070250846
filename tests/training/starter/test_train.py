from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from training.starter.bank import CACHED, Bank, unit
from training.starter.plan import Sample
from training.starter.train import Recipe


@pytest.fixture
def bank(tmp_path: Path, backbone: keras.Model) -> Bank:
    """Forty maps of two plant and two other sources, that a probe tells apart."""
    rng = np.random.default_rng(0)
    sources = ("farm", "garden", "street", "room") * 10
    samples = [
        Sample("photo", source in ("farm", "garden"), (source,), (), (Path(source),))
        for source in sources
    ]
    plant = np.array([sample.plant for sample in samples])
    maps = rng.normal(0, 0.5, (40, 7, 7, 6))
    maps[..., 0] += np.where(plant, 1.0, -1.0)[:, None, None]
    maps = maps.astype(np.float16)
    top = keras.Model(backbone.get_layer(CACHED).output, backbone.output)
    pooled = np.asarray(top(maps.astype(np.float32))).mean(axis=(1, 2))
    return Bank(tmp_path, samples, maps, unit(pooled))


def test_a_fold_knows_nothing_of_its_source_nor_of_the_fold_before(
    bank: Bank, backbone: keras.Model, tmp_path: Path
) -> None:
    farm, street = np.arange(0, 40, 4), np.arange(2, 40, 4)
    # Another bank, in which labels and pictures of the farm say the opposite.
    maps, embeddings = bank.maps.copy(), bank.embeddings.copy()
    samples = [replace(s, plant=s.plant ^ (s.sources == ("farm",))) for s in bank.samples]
    embeddings[farm] = -embeddings[farm]
    lying = Bank(tmp_path / "lying", samples, maps, embeddings)
    lying.folder.mkdir()
    recipe, other = Recipe(bank, backbone, seed=0), Recipe(lying, backbone, seed=0)

    first = recipe.score(frozenset({"farm"}), farm)
    assert first.shape == (10,)
    assert np.all(first > 0)
    misled = other.score(frozenset({"street"}), street)  # this one has seen the lies
    assert not np.allclose(misled, recipe.score(frozenset({"street"}), street), atol=0.05)
    np.testing.assert_allclose(other.score(frozenset({"farm"}), farm), first, atol=1e-3)


def test_a_fold_that_was_done_is_read(bank: Bank, backbone: keras.Model, tmp_path: Path) -> None:
    recipe, farm = Recipe(bank, backbone, seed=0), np.arange(0, 40, 4)
    first = recipe.score(frozenset({"farm"}), farm)
    (file,) = tmp_path.glob("fold-*.npy")
    np.save(file, first + 1)
    np.testing.assert_array_equal(recipe.score(frozenset({"farm"}), farm), first + 1)
