from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.model.store import list_gates, load_gate
from plantood.training.common.settings import (
    CostSettings,
    DataSettings,
    FitSettings,
    GuaranteeSettings,
    TrainOptions,
)
from plantood.training.fitting.features import read_input
from plantood.training.fitting.scoring import score_splits
from plantood.training.judging import metrics
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.seen import seen_by
from plantood.training.photos.dataset import load_dataset
from plantood.training.train.judged import judged
from plantood.training.train.train import evaluation_of_graph, train
from tests.training.conftest import Data, make_photo


@pytest.fixture(scope="module")
def options(data: Data, tmp_path_factory: pytest.TempPathFactory) -> TrainOptions:
    folder = tmp_path_factory.mktemp("publish")
    notes = folder / "notes.md"
    notes.write_text("Photos: drawn by a test (CC0).")
    return TrainOptions(
        data.photos,
        backbone="mobilenet",
        weights=str(data.weights),
        heads=("gap",),
        dataset=DataSettings(min_per_class=5),
        fit=FitSettings(epochs=10, fine_tune_epochs=0),
        runs=folder / "runs",
        cache=folder / "cache",
        gate_name="published",
        card_notes=notes,
    )


def test_a_quantized_gate_is_measured_as_it_is_stored(options: TrainOptions, data: Data) -> None:
    result = train(replace(options, quantize="float16"))
    gate = load_gate(result.tags["gap"])
    assert gate.manifest.quantization == "float16"
    assert gate.metrics["export"]["quantization"] == "float16"
    assert gate.manifest.policy.plant_threshold == gate.metrics["chosen_threshold"]["threshold"]
    assert "drawn by a test (CC0)" in gate.card
    # The figures in the store are those of the stored graph on the validation photos.
    chosen = gate.metrics["chosen_threshold"]["confusion"]
    assert chosen == gate.metrics["splits"]["val"]["at_threshold"]["confusion"]
    paths = sorted(data.photos.rglob("[0-9]*.jpg"))
    scores = gate.scorer().score(np.stack([read_input(path, 224) for path in paths]))
    accepted = (scores.plant_probability >= gate.manifest.policy.plant_threshold).sum()
    assert accepted >= chosen["true_accept"] + chosen["false_accept"]


def test_other_costs_choose_another_threshold_without_training_again(
    options: TrainOptions,
) -> None:
    """And the same costs do not save the same gate twice."""
    first = train(options)
    weights = first.folder / "gap" / "phase1.npz"
    before = weights.stat().st_mtime_ns
    again = train(options)
    assert again.tags == first.tags
    dear = train(replace(options, costs=CostSettings(false_accept_cost=50)))
    assert dear.tags != first.tags
    assert weights.stat().st_mtime_ns == before
    assert load_gate(dear.tags["gap"]).metrics["chosen_threshold"]["false_accept_cost"] == 50
    assert {first.tags["gap"], dear.tags["gap"]} <= {gate.tag for gate in list_gates("published")}


def test_a_failed_export_saves_nothing(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from plantood.errors import ExportMismatch
    from plantood.training.network import export

    train(replace(options, save="none", runs=tmp_path))  # the extractor's graphs are there
    monkeypatch.setattr(export, "MAX_DIFFERENCE", -1.0)
    before = list_gates()
    with pytest.raises(ExportMismatch):
        train(replace(options, runs=tmp_path))
    assert list_gates() == before


def test_figures_of_training_are_those_that_are_served(options: TrainOptions, data: Data) -> None:
    """Calibrated for another share of others, so that there surely is something to apply."""
    result = train(
        replace(options, costs=CostSettings(share_of_others=0.1), fit=replace(options.fit, seed=3))
    )
    gate = load_gate(result.tags["gap"])
    calibration = gate.metrics["calibration"]["calibration"]
    assert gate.manifest.calibration is not None
    assert vars(gate.manifest.calibration) == calibration
    assert gate.manifest.calibration.intercept != 0
    dataset = load_dataset(options.data, options.dataset, options.cache)
    served = score_splits(gate.scorer(), {"val": dataset.val, "test": dataset.test})
    for split, scored in served.items():
        found = metrics.summary(
            scored.labels, scored.probabilities, gate.manifest.policy.plant_threshold, 0.1
        )
        told = gate.metrics["splits"][split]["at_threshold"]
        assert found["confusion"] == told["confusion"]
        assert found["loss"] == pytest.approx(told["loss"], rel=1e-3)
        assert found["calibration_error"] == pytest.approx(told["calibration_error"], abs=1e-3)
    assert gate.metrics["chosen_threshold"]["share_of_others"] == 0.1
    assert "## Calibration" in gate.card


def test_what_the_photos_cannot_carry_is_not_promised(options: TrainOptions) -> None:
    result = train(replace(options, guarantee=GuaranteeSettings(max_false_accept=0.01), save="all"))
    gate = load_gate(result.tags["gap"])
    promised = gate.metrics["guarantee"]
    assert promised["threshold"] is None
    assert promised["others_missing"] == 299 - promised["others"]
    assert any("are needed if not one of them is accepted" in note for note in result.notes)
    assert gate.manifest.policy.plant_threshold == gate.metrics["chosen_threshold"]["threshold"]
    assert "not to be promised" in gate.card


def test_a_promise_raises_the_threshold() -> None:
    """Test photos of which one other in five is at 0.9, where validation saw none."""
    photos = tuple(make_photo(str(i), int(i >= 50)) for i in range(100))
    val = Scored(photos, np.repeat([0.1, 0.95], 50).astype(np.float32))
    test = Scored(photos, np.repeat([0.9, 0.1, 0.95], [10, 40, 50]).astype(np.float32))
    raw = Evaluation("gap", {"val": val, "test": test}, 0.5)
    plain = judged(raw, CostSettings())
    made = judged(raw, CostSettings(), guarantee=GuaranteeSettings(0.1))
    assert made.guarantee is not None
    assert made.guarantee.threshold == made.threshold > plain.threshold
    assert made.guarantee.false_accepts == 0
    least, most = (float(made.splits["test"].probabilities[i]) for i in (0, -1))
    assert least < made.threshold < most
    assert evaluation_of_graph(made, CostSettings(), None, None, None) is made  # type: ignore[arg-type]


def test_the_entry_remembers_what_it_has_seen(options: TrainOptions) -> None:
    gate = load_gate(train(options).tags["gap"])
    dataset = load_dataset(options.data, options.dataset, options.cache)
    seen = seen_by(gate)
    assert seen is not None
    assert all(map(seen.trained_on, dataset.train))
    assert all(map(seen.chosen_on, dataset.val))
    assert not any(seen.trained_on(photo) or seen.chosen_on(photo) for photo in dataset.test)
