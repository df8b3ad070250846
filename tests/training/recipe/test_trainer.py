from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plantood.errors import UnreadablePhoto
from plantood.model.parts.neighbours import Neighbours
from plantood.training.common.settings import FitSettings, RecipeSettings, TrainOptions
from plantood.training.photos.dataset import Dataset, Photos
from plantood.training.photos.division.folds import source_folds
from plantood.training.recipe import bank as bank_module
from plantood.training.recipe.bank import Bank
from plantood.training.recipe.samples import Sample
from plantood.training.recipe.trainer import Recipe, RecipeTrainer
from tests.training.conftest import make_photo
from tests.training.recipe.conftest import TinyExtractor
from tests.training.recipe.pictures import TABLE, ellipse, leaf_photo, save, textured


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three leaves and three pieces of soil in each split."""

    def photos(split: str) -> tuple:
        made = []
        for n in range(3):
            leaf = leaf_photo(ellipse(96, angle=n), TABLE)
            for label, source, pixels in ((1, "scans", leaf), (0, "soil", textured(seed=n))):
                path = save(tmp_path, source, f"{split}-{n}", pixels)
                digest = f"{split} {source} {n}"
                made.append(replace(make_photo(digest, label, source, split), path=path))
        return tuple(made)

    return Dataset(photos("train"), photos("val"), photos("test"))


SETTINGS = RecipeSettings("composites", ("leaves=scans", "ground=soil"), made=4.0)


def test_nothing_is_made_of_photos_to_be_judged_by(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank_module, "usable_cpus", lambda: 1)
    for photo in dataset.val + dataset.test:
        photo.path.unlink()
    recipe = Recipe.of(SETTINGS, dataset.photos, ["gap_l2"])
    assert recipe is not None
    options = TrainOptions(tmp_path, cache=tmp_path / "cache")
    bank = recipe.bank(dataset, TinyExtractor(), options)
    used = {path for sample in bank.samples for path in sample.paths}
    assert used == {photo.path for photo in dataset.train}
    assert {"photo", "copy", "planted", "seam"} <= {sample.kind for sample in bank.samples}

    # Other photos in the same places are another bank.
    others = tuple(replace(photo, sha256=f"other {photo.sha256}") for photo in dataset.train)
    for photo in dataset.train:
        photo.path.unlink()
    assert len(recipe.bank(dataset, TinyExtractor(), options).samples) == len(bank.samples)
    with pytest.raises(UnreadablePhoto):
        recipe.bank(replace(dataset, train=others), TinyExtractor(), options)


def test_no_recipe_unless_one_is_asked_for(dataset: Dataset) -> None:
    assert Recipe.of(RecipeSettings(), dataset.photos, ["v1"]) is None


def bank_photos() -> Photos:
    return tuple(
        replace(
            make_photo(f"{source} {n}", int(source in ("farm", "scans")), source),
            path=Path(source, str(n)),
        )
        for n in range(20)
        for source in ("farm", "scans", "soil", "room")
    )


def trainer(folder: Path, settings: FitSettings, train: Photos | None = None) -> RecipeTrainer:
    """On embeddings of two plant and two other sources, which differ in the first channel.

    What is not among the photos of ``train`` is in the bank all the same.
    """
    rng = np.random.default_rng(0)
    photos = bank_photos()
    samples = [
        Sample("photo", photo.label == 1, (photo.source,), (), (photo.path,)) for photo in photos
    ]
    embeddings = rng.normal(0, 0.5, (80, 6)).astype(np.float32)
    embeddings[:, 0] += [1.0 if sample.plant else -1.0 for sample in samples]
    dataset = Dataset(photos if train is None else train, (), ())
    folder.joinpath("gap").mkdir(parents=True)
    nothing, bank = SimpleNamespace(), Bank(samples, embeddings)
    return RecipeTrainer(nothing, nothing, dataset, settings, folder, bank)


def test_the_weights_of_the_loss_count(tmp_path: Path) -> None:
    even = trainer(tmp_path / "even", FitSettings()).memory("gap")
    strict = trainer(tmp_path / "strict", FitSettings(loss="weighted")).memory("gap")
    assert strict.logit.mean() < even.logit.mean() - 0.3
    assert even.logit[even.plant].min() > even.logit[~even.plant].max() - 3


def test_what_is_not_trained_on_is_neither_learned_nor_remembered(tmp_path: Path) -> None:
    """A source left out, in whichever fold, or photos that show the same as one of it."""
    rest = tuple(photo for photo in bank_photos() if photo.source != "farm")
    memory = trainer(tmp_path, FitSettings(), rest).memory("gap")
    assert set(memory.sources) == {"scans", "soil", "room"}


def test_a_stronger_penalty_holds_the_head_back(tmp_path: Path) -> None:
    spread = [
        trainer(tmp_path / str(penalty), FitSettings(penalty=penalty)).memory("gap").logit.std()
        for penalty in (None, 0.3, 3.0)
    ]
    assert spread[0] == spread[1] > 1.3 * spread[2]


def test_a_rest_is_judged_by_what_was_made_without_it(tmp_path: Path) -> None:
    """Margins, too: nothing of the farm is remembered."""
    made, farm = trainer(tmp_path, FitSettings()), (make_photo("a photo", source="farm"),)
    pooled = np.array([[3.0, 0, 0, 0, 0, 0]], np.float32)
    made.cache.rows = lambda photos: SimpleNamespace(pooled=lambda: pooled[: len(photos)])
    rest = made.dataset.leaving_out(["farm"])
    with_it, without = (made.says("gap", of, farm) for of in (made.dataset, rest))
    assert with_it.probabilities.shape == without.probabilities.shape == (1, 1)
    assert with_it.probabilities != without.probabilities
    assert with_it.margins != without.margins
    memory = trainer(tmp_path / "rest", FitSettings(), rest.train).memory("gap")
    np.testing.assert_allclose(without.margins, Neighbours(memory).distances(pooled).margin)
    assert (without.probabilities > 0.9).all()
    assert (without.margins > 0).all()


def test_nothing_of_a_unit_is_learned_when_one_of_its_sources_is_judged(tmp_path: Path) -> None:
    unit = frozenset({"farm", "soil"})
    made, farm = trainer(tmp_path, FitSettings()), (make_photo("a photo", source="farm"),)
    pooled = np.array([[3.0, 0, 0, 0, 0, 0]], np.float32)
    made.cache.rows = lambda photos: SimpleNamespace(pooled=lambda: pooled[: len(photos)])
    rests = source_folds(replace(made.dataset, together=(unit,)))
    (rest,) = (rest for rest in rests if {photo.source for photo in rest.left_out} == unit)
    memory = trainer(tmp_path / "rest", FitSettings(), rest.train).memory("gap")
    assert set(memory.sources) == {"scans", "room"}
    said = made.says("gap", rest, farm).margins
    np.testing.assert_allclose(said, Neighbours(memory).distances(pooled).margin)
