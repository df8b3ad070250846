"""From a trained classifier to an entry: exported, judged, described, and put where it belongs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import keras
import numpy as np

from plantood.model.entry import BACKBONE, HEAD, KERAS, write_entry
from plantood.model.manifest import ACCURACY_HIGH, ACCURACY_LOW, TrainingData
from plantood.model.parts.calibration import Calibration, logit, sigmoid
from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.model.parts.policy import Policy
from plantood.model.runtime import Scorer
from plantood.training.features.scoring import CHECK_PHOTOS, score_photos, some_photos
from plantood.training.judging.evaluation import Evaluation
from plantood.training.network.backbones import BACKBONES
from plantood.training.network.export import export_gate
from plantood.training.network.half import halve_keras
from plantood.training.photos.dataset import Dataset
from plantood.training.photos.remembered import remember_photos

T = TypeVar("T")
CALIBRATION_PHOTOS = 256
"""Photos from which int8 takes its activation ranges."""
SUMMARY = ("loss", "accuracy", "precision", "recall", "f1", "auroc", "fpr_at_95_tpr")
"""Figures shown in listings: of the test split, at the threshold 0.5."""


def publish_gate(
    model: keras.Model,
    dataset: Dataset,
    *,
    backbone: str,
    head: str,
    card: Callable[[dict[str, Any]], str],
    evaluate: Callable[[Scorer], Evaluation],
    save: Callable[[Path], T],
    quantize: Literal["float16", "int8"] | None = None,
    half_keras: bool = False,
    parent: str | None = None,
    data: Sequence[TrainingData] = (),
    memory: Memory | None = None,
    margin: float = 0.0,
) -> T:
    """Export, describe and save one gate model; returns what ``save`` does.

    Args:
        model: classifier, never compiled.
        dataset: the photos.
        backbone: name of the backbone.
        head: name of the head.
        card: makes the model card of the figures.
        evaluate: what the exported graph scores, its calibration, and the threshold of its policy.
        save: takes the finished entry out of the folder that it is made in.
        quantize: of the exported graph.
        half_keras: keep the kernels of the Keras model in float16, too.
        parent: tag that it was fine-tuned from.
        data: what it was trained on.
        memory: what it is to remember of that, with the logits of the network alone; by default
            the photos of ``train``.
        margin: weight of how much nearer the remembered plants are, beside the logit of the
            network, in what ``evaluate`` is given to score with.

    Raises:
        ExportMismatch: if graph and model disagree; then nothing is saved.
    """
    spec = BACKBONES[backbone]
    with tempfile.TemporaryDirectory(prefix="plantood-") as staging:
        folder = Path(staging)
        model.save(folder / KERAS)
        if half_keras:
            halve_keras(folder / KERAS)
        report = export_gate(
            model,
            folder,
            some_photos(dataset.val, CHECK_PHOTOS, spec.input_size),
            quantize=quantize,
            calibration_images=some_photos(dataset.train, CALIBRATION_PHOTOS, spec.input_size)
            if quantize == "int8"
            else None,
        )
        graphs = folder / BACKBONE, folder / HEAD
        memory = _memory(dataset, Scorer(*graphs)) if memory is None else memory
        asked = Calibration(margin=margin, pictures=len(memory)) if margin else None
        neighbours = Neighbours(memory) if margin else None
        evaluation = evaluate(Scorer(*graphs, calibration=asked, neighbours=neighbours))
        calibration = evaluation.calibration.served if evaluation.calibration else None
        if asked is not None:
            calibration = (calibration or Calibration()).after(asked)
        figures = evaluation.figures() | {"export": report.as_dict()}
        write_entry(
            folder,
            backbone=backbone,
            head=head,
            input_size=spec.input_size,
            preprocessing=spec.preprocessing.as_dict(),
            policy=Policy(plant_threshold=evaluation.threshold),
            metrics=figures,
            card=card(figures),
            metrics_summary=_summary(figures),
            memory=memory if calibration is None else as_served(memory, calibration),
            quantization=quantize,
            parent=parent,
            data=data,
            calibration=calibration,
        )
        return save(folder)


def _memory(dataset: Dataset, scorer: Scorer) -> Memory:
    """What is kept of the training photos."""
    scores = score_photos(scorer, dataset.train, "Remembering training photos")
    return remember_photos(dataset.train, scores.embedding, logit(scores.plant_probability))


def as_served(memory: Memory, calibration: Calibration) -> Memory:
    """The memory with what the gate says of its pictures, instead of its network alone."""
    margins = np.zeros(len(memory), np.float32)
    if calibration.margin:
        margins = Neighbours(memory.first(calibration.pictures)).of_remembered().margin
    logits = calibration.logits(sigmoid(memory.logit), margins)
    return replace(memory, logit=logits.astype(np.float32))


def _summary(figures: dict[str, Any]) -> dict[str, float]:
    splits = figures["splits"]
    half = splits["test" if "test" in splits else "val"]["at_half"]
    low, high = half["intervals"]["accuracy"]
    shown = {key: half[key] for key in SUMMARY} | {ACCURACY_LOW: low, ACCURACY_HIGH: high}
    return {key: round(value, 6) for key, value in shown.items() if value is not None}
