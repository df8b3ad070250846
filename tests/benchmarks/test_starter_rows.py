from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ttest_ind

from benchmarks.starter_again import CROPS, accepted_again, crops, look_again
from benchmarks.starter_backbones import draw_larger, thinned
from benchmarks.starter_measured import Measured, sum_of_means, table
from benchmarks.starter_pairs import accepted_apart, said_by_pairs
from benchmarks.starter_penalty import between, fit_apart
from benchmarks.starter_rows import fused, kept
from plantood.model.parts.calibration import logit, sigmoid
from plantood.training.fitting.probe import Probe, fit_probe
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.unseen import Accepted
from plantood.training.photos import augment
from plantood.training.photos.division.units import units_of
from plantood.training.recipe import composites
from plantood.training.recipe.bank import Bank
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Sample
from plantood.training.starter.leave_out import COSTS
from plantood.training.starter.roles import TOGETHER

PLANTS = ("apple", "bean", "citrus", "daisy", "elder")
OTHERS = ("floor", "glove", "hat", "ink", "jar")


@pytest.fixture
def unseen() -> Unseen:
    """Twenty photos of each of ten sources, mostly told apart."""
    rng = np.random.default_rng(0)
    sources = np.repeat([*PLANTS, *OTHERS], 20)
    plant = np.isin(sources, PLANTS)
    said = rng.normal(np.where(plant, 2.0, -2.0), 1.5)
    return Unseen(sources, plant, sigmoid(said)[None], said.astype(np.float32) / 10)


def test_a_rule_of_gates_without_the_judged_unit(unseen: Unseen, tmp_path: Path) -> None:
    logits = logit(unseen.probabilities[0]).astype(np.float32)
    left_out = []

    def train(without: frozenset[str], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left_out.append(without)
        assert set(unseen.sources[rows - 1]) == without
        return logits[rows - 1], unseen.margins[rows - 1]

    photos = [SimpleNamespace(kind="photo")] * len(unseen.plant)
    samples = [SimpleNamespace(kind="bare"), *photos]  # so that rows are not places among photos
    file = tmp_path / "pairs.npz"
    said = said_by_pairs(unseen, samples, train, file)
    assert len(left_out) == len(set(left_out)) == 10 * 9 // 2
    for unit, row in zip(units_of(unseen.sources.tolist(), ()), said[0], strict=True):
        assert np.array_equal(np.isnan(row), np.isin(unseen.sources, list(unit)))
    assert accepted_apart(unseen, said) == unseen.accepted(COSTS)  # as these gates say the same
    again = said_by_pairs(unseen, samples, train, file)
    assert len(left_out) == 45
    assert np.array_equal(again[0], said[0], equal_nan=True)
    surer = said[0] - 10, said[1]
    assert sum(one.share for one in accepted_apart(unseen, surer)) > 5


def test_a_row_counts_units_alike() -> None:
    shares = [
        Accepted("apple_plantvillage", "plant", 100, 1.0),
        Accepted("maize_plantvillage", "plant", 100, 0.8),
        Accepted("bean", "plant", 10, 0.7),
        Accepted("floor", "other", 100, 0.0),
        Accepted("jar", "other", 100, 0.02),
    ]
    assert frozenset({"apple_plantvillage", "maize_plantvillage"}) in TOGETHER
    row = Measured.of(shares, 10.0)
    assert row.kept.tolist() == pytest.approx([0.9, 0.7])
    assert row.accepted.tolist() == [0.0, 0.02]
    assert row.cost == pytest.approx(3 * 1.0 + 20.0)
    better = replace(row, kept=row.kept + 0.1, milliseconds=25.0)
    assert better.change(row).startswith("-10.0 (")
    assert row.change(row) == "+0.0 (+0.0 to +0.0)"
    _, _, first, second = table({"a": (row, None), "b": (better, row)}, row).splitlines()
    assert first.endswith("| 23.0 |  | 10.0 | 1.0 |")
    assert second.endswith("| 25.0 | 2.5 |")
    assert "-10.0" in second


def test_the_interval_is_that_of_welch() -> None:
    one, other = np.array([1.0, 4.0, 2.0, 7.0]), np.array([3.0, 9.0, 1.0])
    expected = ttest_ind(one, -other, equal_var=False).confidence_interval(0.95)
    assert sum_of_means(one, other)[1:] == pytest.approx(expected)


def test_a_penalty_on_what_separates_sources() -> None:
    rng = np.random.default_rng(0)
    plant = np.arange(200) < 100
    sources = np.where(np.arange(200) % 2, "even", "odd")
    embeddings = rng.normal(size=(200, 4)).astype(np.float32)
    embeddings[:, 0] += np.where(plant, 1.5, 0.0) + np.where(sources == "odd", 1.5, 0.0)
    embeddings[:, 1] += np.where(plant, 1.0, 0.0)
    weights = rng.random(200)
    weights[:10] = 0
    expected = fit_probe(embeddings, plant, weights)
    same = fit_apart(embeddings, plant, weights, sources, 0.0)
    np.testing.assert_allclose(same.kernel, expected.kernel, atol=1e-5)
    assert same.bias == pytest.approx(expected.bias, abs=1e-5)
    kernel = fit_apart(embeddings, plant, weights, sources, 100.0).kernel
    # What tells sources apart is given up, what tells plants from others is not.
    assert abs(kernel[0]) < 0.3 * expected.kernel[0]
    assert kernel[1] > 0.7 * expected.kernel[1]
    rows = between(embeddings, plant, np.full(200, 1 / 200), sources)
    assert rows.shape == (4, 4)
    apart = np.abs(rows).max(axis=0)
    assert apart[0] > 2 * apart[1:].max()


def test_several_backbones_are_heard_alike(unseen: Unseen) -> None:
    assert unseen.margins is not None
    other = replace(unseen, probabilities=np.full((1, 200), 0.5), margins=np.zeros(200, np.float32))
    both = fused(unseen, other)
    np.testing.assert_allclose(logit(both.probabilities), logit(unseen.probabilities) / 2)
    np.testing.assert_allclose(both.margins, unseen.margins / 2)
    np.testing.assert_allclose(fused(unseen).probabilities, unseen.probabilities)


def test_crops_are_the_corners_and_the_middle(tmp_path: Path) -> None:
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:20, :30] = 255  # only the first crop has it whole, and no other corner
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    found = crops(tmp_path / "photo.png")
    assert [crop.shape for crop in found] == [(224, 224, 3)] * CROPS
    white = [float((crop > 128).mean()) for crop in found]
    assert white[0] == pytest.approx(1 / 9, abs=0.01)
    assert max(white[1:4]) < 0.01
    assert white[4] == pytest.approx(1 / 36, abs=0.01)


def test_only_what_is_near_is_looked_at_again(unseen: Unseen, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "photo.png")
    near = np.zeros(200, np.bool_)
    near[[3, 7, 150]] = True
    asked = []

    def gate(unit: frozenset[str]) -> tuple[Probe, SimpleNamespace]:
        asked.append(unit)
        return Probe(np.ones(1, np.float32), 5.0), SimpleNamespace(
            distances=lambda embedding: SimpleNamespace(margin=np.ones(len(embedding)))
        )

    extractor = SimpleNamespace(
        scorer=SimpleNamespace(feature_map=lambda batch: np.ones((len(batch), 1, 1, 1), np.float32))
    )
    again = look_again(unseen, near, [tmp_path / "photo.png"] * 200, gate, extractor)  # type: ignore[arg-type]
    assert asked == [frozenset({"apple"}), frozenset({"hat"})]
    np.testing.assert_allclose(again.probabilities[0, ~near], unseen.probabilities[0, ~near])
    mean_of_six = (logit(unseen.probabilities[0, near]) + CROPS * 6.0) / (CROPS + 1)
    np.testing.assert_allclose(logit(again.probabilities[0, near]), mean_of_six, rtol=1e-6)

    units = units_of(unseen.sources.tolist(), ())
    nothing = {unit: np.zeros(200, np.bool_) for unit in units}
    assert accepted_again(unseen, again, nothing) == unseen.accepted(COSTS)
    everything = {unit: np.ones(200, np.bool_) for unit in units}
    assert accepted_again(unseen, again, everything) == again.accepted(COSTS)


def test_all_photos_are_kept_and_some_of_what_is_made() -> None:
    kinds = ["photo", "photo", "copy", "bare", "copy", "photo", "seam"]
    samples = [Sample(kind, True, (), ()) for kind in kinds]
    assert thinned(samples, 1).tolist() == list(range(7))
    assert thinned(samples, 3).tolist() == [0, 1, 2, 5, 6]


def test_another_side_is_drawn_with_the_same_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (augment, composites):
        monkeypatch.setattr(module, "SIDE", 224)  # put back afterwards
    monkeypatch.setattr("plantood.training.negatives.synthetic.SIDE", 224)
    Image.new("RGB", (300, 300), (10, 200, 30)).save(tmp_path / "photo.png")
    for kind in ("photo", "copy", "floor"):
        sample = Sample(kind, kind != "floor", ("farm",), (1,), (tmp_path / "photo.png",))
        assert draw_larger(sample, Cuts()).shape == (260, 260, 3)


def test_what_folds_say_is_computed_once(unseen: Unseen, tmp_path: Path) -> None:
    bank = Bank([], np.zeros((0, 3), np.float32))
    made = replace(unseen, told_only=np.zeros(200, np.bool_))
    first = kept(tmp_path, bank, "starter", lambda: made)
    second = kept(tmp_path, bank, "starter", lambda: pytest.fail("asked again"))
    for one in (first, second):
        np.testing.assert_array_equal(one.probabilities, made.probabilities)
        np.testing.assert_array_equal(one.sources, made.sources)
        assert one.together == TOGETHER
