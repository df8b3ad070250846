from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.model.store import list_gates, load_gate
from plantood.training.common.settings import CostSettings, DataSettings, FitSettings, TrainOptions
from plantood.training.fitting.features import read_input
from plantood.training.train.train import train
from tests.training.conftest import Data


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
