"""The labelled photos of a manifest as the starter gate embeds them, kept on disk.

Without those of ``val`` and ``test`` that show what a training photo shows, as `train` has it.

Its backbone was trained on ImageNet alone and then frozen, so what it makes of a photo has seen
nothing of its source, unless that is of ImageNet; only its head has.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from plantood.model.entry import open_gate
from plantood.model.parts.calibration import logit
from plantood.model.parts.memory import unit
from plantood.model.starter import starter_dir
from plantood.training.common.settings import DataSettings
from plantood.training.common.shared import shared_dir
from plantood.training.features.scoring import score_photos
from plantood.training.files.atomic import write_atomic
from plantood.training.photos.data import LABELS, LabelledPhoto
from plantood.training.photos.dataset import load_dataset

FILE = "usable.npz"


@dataclass(frozen=True)
class Embedded:
    """Photos in the manifest's order."""

    embedding: NDArray[np.float32]
    """``[N, C]``, of length 1."""
    logit: NDArray[np.float32]
    """Of P(plant) by the starter's own head, ``[N]``."""
    plant: NDArray[np.bool_]
    source: NDArray[np.str_]
    split: NDArray[np.str_]

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.plant)

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Embedded:
        """Some of them."""
        return Embedded(**{name: value[chosen] for name, value in vars(self).items()})


def embedded_photos(manifest: Path, cache: Path, labels: Path | None = None) -> Embedded:
    """Read, or score, all labelled photos of a manifest.

    Args:
        manifest: CSV with ``path,label,source,split``.
        cache: folder that keeps what was scored.
        labels: CSV ``path,label`` of the photos that have no label in the manifest; they are taken
            instead of those that have one.
    """
    file = cache / (FILE if labels is None else f"{labels.stem}.npz")
    if not file.is_file():
        photos = _photos(manifest, labels)
        if labels is None:
            crossed = {one.path for one in load_dataset(manifest, DataSettings(), cache).crossed}
            photos = [photo for photo in photos if photo.path not in crossed]
        scores = score_photos(open_gate(starter_dir()).scorer(), tuple(photos), "Embedding")
        arrays = {
            "path": np.array([str(photo.path) for photo in photos]),
            "label": np.array([photo.label for photo in photos], np.int8),
            "source": np.array([photo.source for photo in photos]),
            "split": np.array([photo.split for photo in photos]),
            "logit": logit(scores.plant_probability),
            "embedding": scores.embedding,
        }
        cache.mkdir(parents=True, exist_ok=True)
        write_atomic(file, lambda out: np.savez(out, **arrays))
    with np.load(file, allow_pickle=False) as kept:
        return Embedded(
            unit(kept["embedding"]),
            kept["logit"].astype(np.float32),
            kept["label"] == 1,
            kept["source"],
            kept["split"],
        )


def embedded_public(cache: Path) -> Embedded:
    """All labelled photos of the shared manifest; ``cache`` keeps what was scored.

    Raises:
        ClickException: the photos are not on this machine.
    """
    shared = shared_dir()
    if shared is None:
        raise click.ClickException("the photos are in the folder that PLANTOOD_SHARED names")
    return embedded_photos(shared / "data/manifest.csv", cache)


def _photos(manifest: Path, labels: Path | None) -> list[LabelledPhoto]:
    said: dict[str, str] = {}
    if labels is not None:
        with labels.open(newline="", encoding="utf-8") as file:
            said = {row["path"]: row["label"] for row in csv.DictReader(file)}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    label_of = {r["path"]: said.get(r["path"], "") if labels else r["label"] for r in rows}
    return [
        LabelledPhoto(manifest.parent / row["path"], LABELS[label], row["source"], row["split"])
        for row in rows
        if (label := label_of[row["path"]])
    ]
