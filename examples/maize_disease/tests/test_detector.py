"""The trained model that ships."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from plantood import load_image, to_model_input

from detector import MAX_BATCH, Detector
from tests.conftest import DISEASES, PROJECT
from train import figures
from train.photos import Pixels

MODEL = PROJECT / "model"
METRICS = json.loads((MODEL / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(MODEL)


def test_every_disease_is_recognised(detector: Detector, leaves: dict[str, Pixels]) -> None:
    diagnoses = detector.diagnose(list(leaves.values()))
    assert [diagnosis.disease for diagnosis in diagnoses] == list(leaves) == detector.diseases
    for diagnosis in diagnoses:
        assert diagnosis.confidence == max(diagnosis.probabilities.values()) > 0.5
        assert sum(diagnosis.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_a_batch_gives_what_its_photos_give_alone(
    detector: Detector, leaves: dict[str, Pixels]
) -> None:
    photos = [leaves[name] for name in DISEASES] * (MAX_BATCH // 4 + 1)  # more than one pass
    together = detector.probabilities(photos)
    alone = np.concatenate([detector.probabilities([photo]) for photo in photos])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_file_is_small() -> None:
    assert (MODEL / "maize_disease.onnx").stat().st_size < 8_000_000


def test_the_card_says_what_was_measured(detector: Detector) -> None:
    card = (MODEL / "card.md").read_text(encoding="utf-8")
    assert card == figures.card(detector.diseases, METRICS, METRICS)
    accuracy = f"{METRICS['test']['accuracy']:.1%}"
    assert f"| as they are | {METRICS['test']['photos']} |" in card
    assert accuracy in card
    assert accuracy in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert METRICS["test"]["accuracy"] > 0.9


def test_the_figures_can_be_measured_again(detector: Detector) -> None:
    shared = os.environ.get("PLANTOOD_SHARED")
    data = Path(shared, "data") if shared else None
    if data is None or not (data / "maize_disease.csv").is_file():
        pytest.skip("the photos that it was measured on are not here; PLANTOOD_SHARED names them")
    with (data / "maize_disease.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    photos = [to_model_input(load_image(data / row["path"])) for row in rows]
    measured = figures.measure(detector, photos, [row["disease"] for row in rows])
    assert measured["confusion"] == METRICS["test"]["confusion"]
    assert measured["log_loss"] == pytest.approx(METRICS["test"]["log_loss"], abs=1e-3)
