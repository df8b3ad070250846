from __future__ import annotations

import json
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
from plantood.training.features.cache import read_input
from plantood.training.features.scoring import score_splits
from plantood.training.fitting.fit import read_arrays
from plantood.training.judging import metrics
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.seen import seen_by
from plantood.training.photos.dataset import load_dataset
from plantood.training.train.evaluate import evaluate_gate, evaluation_of_gate
from plantood.training.train.judged import calibrated
from plantood.training.train.save import evaluation_of_graph
from plantood.training.train.train import train_heads
from tests.training.conftest import Data, make_photo


@pytest.fixture(scope="module")
def options(data: Data, tmp_path_factory: pytest.TempPathFactory) -> TrainOptions:
    folder = tmp_path_factory.mktemp("publish")
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
        card_notes="Photos: drawn by a test (CC0).",
    )


def test_a_quantized_gate_is_measured_as_it_is_stored(options: TrainOptions, data: Data) -> None:
    result = train_heads(replace(options, quantize="float16"))
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


def test_what_is_told_is_the_graph_that_was_saved(
    options: TrainOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by a run that finds its gate in the store; of other heads it is the network."""
    options = replace(options, heads=("gap", "gap_l2"), quantize="int8", name="int8")
    result = train_heads(options)
    gate = load_gate(result.tags[result.best])
    assert gate.manifest.quantization == "int8"
    first, other = result.report["models"]
    assert first["splits"] == gate.metrics["splits"]
    assert first["threshold"] == gate.manifest.policy.plant_threshold
    assert first["calibration"]["error"] == gate.metrics["calibration"]["error"]
    note = (
        f"Figures of {result.best} are of an int8 graph, as saved; those of {other['name']} are of "
        "the network, of which nothing was saved."
    )
    assert note in result.notes
    assert note in capsys.readouterr().err
    assert note in (result.folder / "report.html").read_text()
    assert f"{first['threshold']:.4f}" in result.report["facts"]["threshold"]
    # They are no longer those of the network.
    dataset = load_dataset(options.data, options.dataset, options.cache)
    network = read_arrays(result.folder / result.best / "scores.npz")
    kept = read_arrays(result.folder / result.best / "graph-int8.npz")
    assert np.abs(kept["test"] - network["test"]).max() > 1e-4
    said = score_splits(gate.scorer(), {"test": dataset.test})["test"]
    served = metrics.summary(said.labels, said.probabilities)
    assert first["splits"]["test"]["at_half"]["loss"] == pytest.approx(served["loss"], rel=1e-4)

    again = train_heads(options)
    assert again.tags == result.tags
    assert again.report == result.report
    (result.folder / result.best / "graph-int8.npz").unlink()
    assert train_heads(options).report == result.report
    unsaved = train_heads(replace(options, save="none"))
    assert any(note.startswith("Nothing was saved, so all figures") for note in unsaved.notes)


def test_other_costs_choose_another_threshold_without_training_again(
    options: TrainOptions,
) -> None:
    """And the same costs do not save the same gate twice."""
    first = train_heads(options)
    weights = first.folder / "gap" / "phase1.npz"
    before = weights.stat().st_mtime_ns
    again = train_heads(options)
    assert again.tags == first.tags
    dear = train_heads(replace(options, costs=CostSettings(false_accept_cost=50)))
    assert dear.tags != first.tags
    assert weights.stat().st_mtime_ns == before
    assert load_gate(dear.tags["gap"]).metrics["chosen_threshold"]["false_accept_cost"] == 50
    told = train_heads(replace(options, card_notes="Photos: of another licence."))
    assert told.tags != first.tags
    assert "Photos: of another licence." in load_gate(told.tags["gap"]).card
    assert {first.tags["gap"], dear.tags["gap"]} <= {gate.tag for gate in list_gates("published")}


def test_a_failed_export_saves_nothing_but_the_report(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from plantood.errors import ExportMismatch
    from plantood.training.network import export

    # Afterwards the extractor's graphs are there.
    run = train_heads(replace(options, save="none", runs=tmp_path)).folder
    expected = json.loads((run / "report.json").read_text())
    for name in ("report.html", "report.json", "table.md"):
        (run / name).unlink()
    monkeypatch.setattr(export, "MAX_DIFFERENCE", -1.0)
    before = list_gates()
    with pytest.raises(ExportMismatch):
        train_heads(replace(options, runs=tmp_path))
    assert list_gates() == before
    assert json.loads((run / "report.json").read_text()) == expected
    assert (run / "report.html").exists()


def test_figures_of_training_are_those_that_are_served(options: TrainOptions, data: Data) -> None:
    """Calibrated for another share of others, so that there surely is something to apply."""
    result = train_heads(
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
    result = train_heads(
        replace(options, guarantee=GuaranteeSettings(max_false_accept=0.01), save="all")
    )
    gate = load_gate(result.tags["gap"])
    promised = gate.metrics["guarantee"]
    assert promised["threshold"] is None
    assert promised["others_missing"] == 299 - promised["others"]
    assert any("are needed if not one of them is accepted" in note for note in result.notes)
    assert gate.manifest.policy.plant_threshold == gate.metrics["chosen_threshold"]["threshold"]
    assert "not to be promised" in gate.card


def test_photos_that_carry_a_bound_are_no_test_any_more(
    options: TrainOptions, tmp_path: Path
) -> None:
    """One that they cannot carry has chosen nothing by them."""
    dataset = load_dataset(options.data, options.dataset, options.cache)
    sizes = {name: len(photos) for name, photos in dataset.splits().items()}
    carried = {"chosen on": sizes["val"] + sizes["test"], "trained on": sizes["train"]}
    told = {"all": sizes["test"], "chosen on": sizes["val"], "trained on": sizes["train"]}
    for bound, expected in ((0.8, carried), (0.01, told)):
        result = train_heads(replace(options, guarantee=GuaranteeSettings(max_false_accept=bound)))
        assert (load_gate(result.tags["gap"]).metrics["guarantee"]["threshold"] is None) == (
            expected is told
        )
        out = tmp_path / str(bound)
        report = evaluate_gate(result.tags["gap"], options.data, out=out, cache=options.cache)
        splits = report["models"][1]["splits"]
        assert {name: split["at_half"]["count"] for name, split in splits.items()} == expected


def test_the_share_of_others_that_was_given_is_that_of_later_figures(
    options: TrainOptions, tmp_path: Path
) -> None:
    result = train_heads(replace(options, costs=CostSettings(share_of_others=0.1)))
    gate = load_gate(result.tags["gap"])
    report = evaluate_gate(gate.tag, options.data, out=tmp_path / "out", cache=options.cache)
    whole, alone = report["models"]
    assert whole["share_of_others"] == alone["share_of_others"] == 0.1
    told, found = gate.metrics["splits"]["test"]["at_half"], alone["splits"]["all"]["at_half"]
    for figure in ("loss", "accuracy", "precision", "calibration_error"):
        assert found[figure] == pytest.approx(told[figure], rel=1e-3, abs=1e-3), figure
    assert any("are of 10.0% others, the share that was given" in note for note in report["notes"])
    dataset = load_dataset(options.data, options.dataset, options.cache)
    again = evaluation_of_gate(gate, {"test": dataset.test}).figures()
    assert again["splits"]["test"]["at_half"]["loss"] == pytest.approx(told["loss"], rel=1e-3)
    plain = train_heads(options).tags["gap"]
    report = evaluate_gate(plain, options.data, out=tmp_path / "plain", cache=options.cache)
    assert "share_of_others" not in report["models"][0]
    assert not any("was given" in note for note in report["notes"])


def test_a_promise_raises_the_threshold() -> None:
    """Test photos of which one other in five is at 0.9, where validation saw none."""
    photos = tuple(make_photo(str(i), int(i >= 50)) for i in range(100))
    val = Scored(photos, np.repeat([0.1, 0.95], 50).astype(np.float32))
    test = Scored(photos, np.repeat([0.9, 0.1, 0.95], [10, 40, 50]).astype(np.float32))
    raw = Evaluation("gap", {"val": val, "test": test}, 0.5)
    plain = calibrated(raw, CostSettings())
    made = calibrated(raw, CostSettings(), guarantee=GuaranteeSettings(0.1))
    assert made.guarantee is not None
    assert made.guarantee.threshold == made.threshold > plain.threshold
    assert made.guarantee.false_accepts == 0
    least, most = (float(made.splits["test"].probabilities[i]) for i in (0, -1))
    assert least < made.threshold < most
    assert evaluation_of_graph(made, CostSettings(), None) is made


def test_the_entry_remembers_what_it_has_seen(options: TrainOptions) -> None:
    gate = load_gate(train_heads(options).tags["gap"])
    dataset = load_dataset(options.data, options.dataset, options.cache)
    seen = seen_by(gate)
    assert seen is not None
    assert all(map(seen.trained_on, dataset.train))
    assert all(map(seen.chosen_on, dataset.val))
    assert not any(seen.trained_on(photo) or seen.chosen_on(photo) for photo in dataset.test)
