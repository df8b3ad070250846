"""From a trained classifier to an entry of the Bento model store."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from plantood.policy import Policy

from plantood import reference as reference_statistics
from plantood.model.backbones import BACKBONES
from plantood.model.entry import BACKBONE, HEAD, KERAS
from plantood.model.export import export_gate
from plantood.model.store import save_gate, write_entry
from plantood.reference import Reference
from plantood.runtime import Scorer, Scores
from training.dataset import Dataset, Photos
from training.evaluation import Evaluation, Scored
from training.features import BATCH, FeatureCache, batches_of, read_input
from training.parallel import map_in_order
from training.progress import track

CHECK_PHOTOS = 32
"""Photos on which the exported graph must agree with the Keras model."""
CALIBRATION_PHOTOS = 256
"""Photos from which int8 takes its activation ranges."""
SUMMARY = ("loss", "accuracy", "precision", "recall", "f1", "auroc", "fpr_at_95_tpr")
"""Figures shown in listings: of the test split, at the threshold 0.5."""


def some_photos(photos: Photos, count: int, size: int) -> NDArray[np.uint8]:
    """Inputs ``[n, size, size, 3]`` of up to ``count`` photos, spread over all of them."""
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int))
    images = map_in_order(lambda i: read_input(photos[i].path, size), chosen.tolist())
    return np.stack(list(images))


def score_photos(scorer: Scorer, photos: Photos, description: str) -> Scores:
    """P(plant) ``[N]`` and embeddings ``[N, C]`` by the exported graph, decoding beside it."""
    images = map_in_order(
        lambda photo: read_input(photo.path, scorer.input_size), photos, ahead=2 * BATCH
    )
    scores = [
        scorer.score(batch) for batch in batches_of(track(images, len(photos), description), BATCH)
    ]
    if not scores:
        return scorer.score(np.zeros((0, scorer.input_size, scorer.input_size, 3), np.uint8))
    return Scores(*(np.concatenate(part) for part in zip(*scores, strict=True)))


def publish(
    model: keras.Model,
    evaluation: Evaluation,
    dataset: Dataset,
    *,
    backbone: str,
    head: str,
    card: Callable[[dict[str, Any]], str],
    cache: FeatureCache | None,
    decide: Callable[[Evaluation], Evaluation],
    quantize: Literal["float16", "int8"] | None = None,
    name: str = "plantood-gate",
    parent: str | None = None,
) -> str:
    """Export, describe and save one gate model; returns its tag.

    Args:
        model: classifier, never compiled.
        evaluation: its scores.
        dataset: the photos.
        backbone: name of the backbone.
        head: name of the head.
        card: makes the model card of the figures.
        cache: features of the backbone, if ``model`` still has the frozen weights; else None.
        decide: chooses the threshold again, where the graph saved is not the one that was scored.
        quantize: of the exported graph; its scores are then measured anew.
        name: in the store.
        parent: tag that it was fine-tuned from.

    Raises:
        ExportMismatch: if graph and model disagree; then nothing is saved.
    """
    spec = BACKBONES[backbone]
    with tempfile.TemporaryDirectory(prefix="plantood-") as staging:
        folder = Path(staging)
        model.save(folder / KERAS)
        report = export_gate(
            model,
            folder,
            some_photos(dataset.val, CHECK_PHOTOS, spec.input_size),
            quantize=quantize,
            calibration_images=some_photos(dataset.train, CALIBRATION_PHOTOS, spec.input_size)
            if quantize == "int8"
            else None,
        )
        scorer = Scorer(folder / BACKBONE, folder / HEAD)
        if quantize:
            evaluation = decide(_rescored(evaluation, scorer))
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
            reference=_reference(dataset, scorer, None if quantize else cache),
            quantization=quantize,
            parent=parent,
        )
        return str(save_gate(folder, name=name))


def _rescored(evaluation: Evaluation, scorer: Scorer) -> Evaluation:
    """The same evaluation by the exported graph."""
    splits = {
        split: Scored(
            scored.photos,
            score_photos(scorer, scored.photos, f"Scoring {split}").plant_probability,
        )
        for split, scored in evaluation.splits.items()
    }
    return dataclasses.replace(evaluation, splits=splits)


def _reference(dataset: Dataset, scorer: Scorer, cache: FeatureCache | None) -> Reference | None:
    """Statistics of the training plants, scaled on the validation plants; None if too few."""
    plants, unseen = (
        tuple(photo for photo in photos if photo.label == 1)
        for photos in (dataset.train, dataset.val)
    )
    if len(plants) < 3 or not unseen:
        return None
    if cache is not None:
        known, fresh = cache.rows(plants).pooled(), cache.rows(unseen).pooled()
    else:
        known = score_photos(scorer, plants, "Embedding training plants").embedding
        fresh = score_photos(scorer, unseen, "Embedding validation plants").embedding
    return reference_statistics.fit(known, calibration=fresh)


def _summary(figures: dict[str, Any]) -> dict[str, float]:
    splits = figures["splits"]
    half = splits.get("test", splits["val"])["at_half"]
    return {key: round(half[key], 6) for key in SUMMARY if half[key] is not None}
