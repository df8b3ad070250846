"""What the experiments have in common: parents and children on cached features, first phase.

A parent is trained on the labelled photos without some sources, which play the photos that nobody
thought of. The production photos are the rows of the manifest without a label; what a reviewer
would say of them is in a file of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import click
import keras
import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import logit
from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.training.common.settings import CostSettings, DataSettings, FitSettings
from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.training.common.tables import write_between_markers
from plantood.training.features.extractor import Extractor, extractor_for
from plantood.training.finetune import data as collections
from plantood.training.finetune.rule import ParentRule, judged_alike
from plantood.training.finetune.settings import held_like_parent
from plantood.training.fitting.phases import HeadTrainer
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.outcomes import confusion
from plantood.training.negatives.run import SoilSettings, cut_soil
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.data import LABELS, LabelledPhoto
from plantood.training.photos.dataset import Dataset, Photos, load_dataset
from plantood.training.photos.division.splits import divide
from plantood.training.photos.remembered import remember_photos
from plantood.training.photos.scan import scan_photos
from plantood.training.starter.roles import TOGETHER
from plantood.training.train.judged import calibrated
from plantood.training.train.train import evaluation_of

F = TypeVar("F", bound=Callable[..., Any])
Weights = list[NDArray[np.float32]]
BACKBONE, HEAD = "efficientnet_lite0", "gap"
WEIGHTS = "weights/efficientnet_lite0_224_imagenet_notop.weights.h5"
BARE_GROUND = ("soil_EricEchemane", "soil_NHA078")
AT_MOST = 0.6
"""The source project looks at production photos with P(plant) up to this."""
FIRST = FitSettings(fine_tune_epochs=0)
"""Parents are trained as `train` does by default, first phase."""
CHILD = FitSettings(fine_tune_epochs=0, loss="weighted", balance="class")
"""Children are trained as `finetune` does by default, first phase."""


def shared() -> Path:
    """The folder of photos and weights.

    Raises:
        ClickException: it is not on this machine.
    """
    folder = shared_dir()
    if folder is None:
        raise click.ClickException(f"the shared photos are not here; name them in {VARIABLE}")
    return folder


def field_photos() -> list[Path]:
    """Photos of rows of seedlings from above."""
    return sorted((shared() / "data/field").glob("*_image.jpg"))


def production_labels() -> dict[str, str]:
    """What a reviewer would say of the production photos, by SHA-256; doubtful ones are missing."""
    with (shared() / "data/manifest.csv").open(newline="", encoding="utf-8") as file:
        digests = {row["path"]: row["sha256"] for row in csv.DictReader(file)}
    with (shared() / "data/pool_labels.csv").open(newline="", encoding="utf-8") as file:
        return {digests[row["path"]]: row["label"] for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Parent:
    """A gate before any round."""

    dataset: Dataset
    evaluation: Evaluation
    weights: Weights
    """Of its head."""
    memory: Memory
    """Of its training photos, as ``train`` makes it."""

    def unlike(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """How far photos are from the nearest remembered picture, ``[N]``, of ``[N, C]``."""
        return np.minimum(*Neighbours(self.memory, k=1).distances(embeddings))


def mates(sources: Iterable[str]) -> set[str]:
    """Sources, and those of the same table and camera: who has seen one has seen the others."""
    names = set(sources)
    return names.union(*(unit for unit in TOGETHER if unit & names))


def without(photos: Iterable[LabelledPhoto], sources: Collection[str]) -> list[LabelledPhoto]:
    """The photos of other sources."""
    return [photo for photo in photos if photo.source not in sources]


class Bench:
    """All photos, divided once, with their features."""

    def __init__(self, folder: Path) -> None:
        """Keep features and runs in ``folder``."""
        self.folder = folder
        self.cache = folder / "cache"

    @property
    def manifest(self) -> Path:
        """Labelled and production photos."""
        return shared() / "data/manifest.csv"

    @cached_property
    def labelled(self) -> Photos:
        """The labelled photos that `train` learns from or judges by."""
        dataset = load_dataset(self.manifest, DataSettings(), self.cache)
        return dataset.train + dataset.val + dataset.test

    @cached_property
    def production(self) -> Photos:
        """The production photos, as a reviewer would label them; doubtful ones as plants."""
        labels = production_labels()
        with self.manifest.open(newline="", encoding="utf-8") as file:
            photos = [
                LabelledPhoto(
                    self.manifest.parent / row["path"],
                    LABELS[labels.get(row["sha256"], "plant")],
                    row["source"],
                )
                for row in csv.DictReader(file)
                if not row["label"]
            ]
        return self._with_splits(scan_photos(photos, self.cache)[0])

    @cached_property
    def doubtful(self) -> frozenset[str]:
        """Digests of production photos of which a reviewer could not say what they are."""
        labels = production_labels()
        return frozenset(p.sha256 for p in self.production if p.sha256 not in labels)

    @cached_property
    def soil(self) -> Photos:
        """Windows of bare soil, cut out of the field photos."""
        cut_soil(field_photos(), self.folder / "soil", SoilSettings())
        windows = collections.read_collection(
            collections.Collection("negatives", self.folder / "soil")
        )
        return self._with_splits(scan_photos(windows, self.cache)[0])

    def _with_splits(self, photos: Sequence[LabelledPhoto]) -> Photos:
        """New photos divided beside the labelled ones, which stay where they are."""
        new = {photo.sha256 for photo in photos}
        divided = divide([*self.labelled, *photos]).photos
        return tuple(photo for photo in divided if photo.sha256 in new)

    @cached_property
    def _backbone(self) -> keras.Model:
        """Only its shape matters: its features are in the cache."""
        return build_backbone(BACKBONE, "none")

    @cached_property
    def extractor(self) -> Extractor:
        """The frozen backbone."""
        backbone = build_backbone(BACKBONE, shared() / WEIGHTS)
        return extractor_for(BACKBONE, backbone, self.cache, self.labelled)

    def embeddings(self, photos: Sequence[LabelledPhoto]) -> NDArray[np.float32]:
        """Embeddings ``[N, C]``."""
        self.extractor.fill(photos)
        return self.extractor.cache.rows(photos).pooled()

    def probabilities(
        self, weights: Weights, photos: Sequence[LabelledPhoto]
    ) -> NDArray[np.float32]:
        """P(plant) ``[N]`` of any photos by a GAP head."""
        kernel, bias = weights
        return 1 / (1 + np.exp(-(self.embeddings(photos) @ kernel[:, 0] + bias[0])))

    def judged(self, parent: Parent, photos: Sequence[LabelledPhoto]) -> NDArray[np.float32]:
        """P(plant) ``[N]`` of any photos as a parent gives it, calibrated."""
        fitted = parent.evaluation.calibration
        assert fitted is not None
        return fitted.apply(self.probabilities(parent.weights, photos))

    def parent(self, left_out: Sequence[str] = BARE_GROUND) -> Parent:
        """Train a parent without some sources, or read it from its files.

        Nor has it seen what belongs together with one of them.
        """
        strange = without(self.labelled, mates(left_out) - set(left_out))
        dataset = self._dataset(strange).leaving_out(left_out)
        folder = self.folder / "parents" / "+".join(left_out)
        trained = self._trainer(dataset, FIRST, folder).train(HEAD)
        weights = trained.model.get_layer("head").get_weights()
        memory = remember_photos(
            dataset.train,
            self.embeddings(dataset.train),
            logit(self.probabilities(weights, dataset.train)),
        )
        raw = evaluation_of(HEAD, trained, dataset, FIRST)
        evaluation = calibrated(raw, CostSettings())
        return Parent(dataset, evaluation, weights, memory)

    def child(
        self, parent: Parent, new: Iterable[LabelledPhoto], name: str, settings: FitSettings = CHILD
    ) -> tuple[Evaluation, Evaluation, Weights]:
        """Fine-tune as the command does: before and after on all splits, and the new head.

        Args:
            parent: all of its photos are replayed.
            new: photos; doubtful ones are left out.
            name: of the folder where the run is kept.
            settings: of the fit.
        """
        new = [photo for photo in new if photo.sha256 not in self.doubtful]
        settings = held_like_parent(settings, parent.evaluation.details)
        old = parent.dataset
        dataset = self._dataset([*old.train, *old.val, *old.test, *new])
        dataset = replace(dataset, left_out=old.left_out)
        trainer = self._trainer(dataset, settings, self.folder / name, parent.weights)
        splits = {
            name: Scored(photos, self.probabilities(parent.weights, photos))
            for name, photos in dataset.splits().items()
            if name != "train"
        }
        trained = trainer.train(HEAD)
        was = parent.evaluation
        before, after = judged_alike(
            Evaluation("before", splits, 0.5),
            evaluation_of(HEAD, trained, dataset, settings),
            CostSettings(),
            ParentRule.from_figures(was.details, was.calibration and was.calibration.served),
        )
        return before, after, trained.model.get_layer("head").get_weights()

    @staticmethod
    def _dataset(photos: Sequence[LabelledPhoto]) -> Dataset:
        def part(split: str) -> Photos:
            return tuple(photo for photo in photos if photo.split == split)

        return Dataset(train=part("train"), val=part("val"), test=part("test"))

    def _trainer(
        self, dataset: Dataset, settings: FitSettings, folder: Path, start: Weights | None = None
    ) -> HeadTrainer:
        self.embeddings(dataset.photos)
        return HeadTrainer(self._backbone, self.extractor.cache, dataset, settings, folder, start)


def errors(evaluation: Evaluation, split: str, threshold: float | None = None) -> tuple[int, int]:
    """False accepts and false retakes on a split, at the evaluation's threshold.

    Or at another one, of P(plant) as the network gives it.
    """
    given = evaluation.splits if threshold is None else evaluation.uncalibrated
    scored, at = given[split], evaluation.threshold if threshold is None else threshold
    counts = confusion(scored.labels, scored.probabilities, at)
    return counts["false_accept"], counts["false_retake"]


def folder_option(function: F) -> F:
    """Where features and results are kept."""
    return click.option(
        "--folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("runs/flywheel"),
        show_default=True,
        help="Features and what was measured; an interrupted experiment goes on there.",
    )(function)


def write_option(function: F) -> F:
    """The document that receives the table."""
    return click.option(
        "--write", type=click.Path(dir_okay=False, path_type=Path), help="Document to write into."
    )(function)


def write_result(document: Path | None, name: str, command: str, text: str) -> None:
    """Print a table, and write it between its markers with the command that made it."""
    click.echo(text)
    if document is not None:
        shown = f"```console\n$ python -m benchmarks.flywheel.{command} --write {document}\n```"
        write_between_markers(document, name, f"{shown}\n\n{text}")
