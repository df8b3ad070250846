"""Every source in turn left out of training: the only honest figure for a field never seen."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from plantood.errors import TrainingDataError
from plantood.training.common.settings import CostSettings, FitSettings, TrainOptions
from plantood.training.common.tables import Row, markdown
from plantood.training.files.atomic import write_text
from plantood.training.files.disk import ensure_writable
from plantood.training.fitting.extractor import extractor_for
from plantood.training.fitting.fit import read_arrays
from plantood.training.fitting.phases import SCORES, HeadTrainer
from plantood.training.fitting.room import ensure_room
from plantood.training.judging.calibration import fit_calibration
from plantood.training.judging.evaluation import Evaluation, Scored, scored_splits
from plantood.training.judging.threshold import choose_threshold
from plantood.training.judging.unseen import Accepted, accepted_shares, unseen_table
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.data import CLASS_NAMES
from plantood.training.photos.dataset import Dataset, load_dataset
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import say
from plantood.training.process.run import open_run, run_name
from plantood.training.recipe.trainer import Recipe, RecipeTrainer
from plantood.training.report.html import write_report
from plantood.training.train.train import judged

SPLIT = "sources never seen"
LEFT_OUT = "left out"
NO_RECIPE = ", no recipe"
"""What stands behind the name of a head that is fitted to the photos alone, for comparison."""


@dataclass(frozen=True)
class LeaveOneOutResult:
    """What was measured, and where it is written."""

    folder: Path
    report: dict[str, Any]
    header: Row
    rows: list[Row]

    @property
    def markdown(self) -> str:
        """The table by source."""
        return markdown(self.header, self.rows)


def leave_one_out(options: TrainOptions) -> LeaveOneOutResult:
    """Train the heads once for each source, without it, on cached features; report on it.

    Only the first phase: a second one for each source would take hours. A source without which a
    class has too few photos is reported as such. A run that was interrupted goes on. Of what a
    recipe has drawn, nothing that the source is part of is trained on, neither leaf nor ground;
    and the same heads without the recipe stand beside it.

    Raises:
        TrainingDataError: if the photos cannot be trained on, or no source can be left out.
        WeightsUnavailable: if the backbone's weights are not to be had.
        SettingsError: if the run's folder belongs to a run with other choices, or the recipe cannot
            be had.
    """
    fit = replace(options.fit, fine_tune_epochs=0)
    make_deterministic(fit.seed)
    ensure_writable(options.runs, options.cache)
    dataset = load_dataset(options.data, options.dataset, options.cache)
    recipe = Recipe.of(options.recipe, dataset.photos, options.heads)
    rests, notes = without_each(dataset, options.dataset.min_per_class)
    backbone = build_backbone(options.backbone, options.weights)
    extractor = extractor_for(options.backbone, backbone, options.cache, dataset.val)
    identity = {
        "leave_one_out": True,
        "backbone": options.backbone,
        "backbone_digest": extractor.digest,
        "photos": dataset.fingerprint(),
        **fit.as_dict(),
        **({"recipe": recipe.as_dict()} if recipe else {}),
    }
    name = options.name or run_name(options.data, f"leave-one-out-{options.backbone}", identity)
    with open_run(options.runs / name, identity) as folder:
        ensure_room(dataset.photos, extractor.cache, backbone, options.cache)
        extractor.fill(dataset.photos)
        bank = recipe.bank(dataset, extractor, options) if recipe else None
        scored: dict[str, list[Scored]] = defaultdict(list)
        raw: dict[str, list[Scored]] = defaultdict(list)
        shares: dict[str, list[Accepted]] = defaultdict(list)
        folds: list[dict[str, Any]] = []
        for source, rest in rests.items():
            say(f"Without {source}")
            place = folder / _folder_name(source)
            common = backbone, extractor.cache, rest, fit
            trainers: dict[str, HeadTrainer | RecipeTrainer] = (
                {
                    "": RecipeTrainer(*common, place, bank, frozenset({source})),
                    NO_RECIPE: HeadTrainer(*common, place / "no-recipe"),
                }
                if bank
                else {"": HeadTrainer(*common, place)}
            )
            for head, (way, trainer) in product(options.heads, trainers.items()):
                title = head + way
                one = judged(_fold(trainer, head, rest), options.costs, fit.loss_weights)
                left_out = one.splits[LEFT_OUT]
                scored[title].append(left_out)
                raw[title].append(one.uncalibrated[LEFT_OUT])
                of_fold = left_out.labels, left_out.probabilities, left_out.sources
                at_half = accepted_shares(*of_fold, 0.5)
                at_threshold = accepted_shares(*of_fold, one.threshold)
                shares[f"{title} at 0.5"] += at_half
                shares[f"{title} at its threshold"] += at_threshold
                folds += [
                    {
                        "source": source,
                        "head": title,
                        "label": half.label,
                        "count": half.count,
                        "threshold": one.threshold,
                        "accepted_at_half": half.share,
                        "accepted_at_threshold": own.share,
                    }
                    for half, own in zip(at_half, at_threshold, strict=True)
                ]
        header, rows = unseen_table(shares)
        evaluations = [
            _pooled(title, _joined(scored[title]), _joined(raw[title]), options.costs, fit)
            for title in scored
        ]
        report = write_report(
            folder,
            f"Leave one source out: {options.backbone}",
            evaluations,
            facts=[
                ("data", f"{options.data} ({len(dataset.photos)} photos)"),
                ("backbone", f"{options.backbone}, frozen, weights {options.weights}"),
                ("reading", "every photo is judged by a model that saw no photo of its source"),
                *([("recipe", recipe.in_words())] if recipe else []),
                *(
                    (
                        f"threshold for {one.name}",
                        f"{one.details['unseen']['threshold']['threshold']:.4f}, if it is to be "
                        "chosen on these photos; calibration by them: "
                        f"slope {one.details['unseen']['calibration']['calibration']['slope']:.3f}",
                    )
                    for one in evaluations
                ),
            ],
            notes=notes,
            extra={"folds": folds},
        )
        text = markdown(header, rows) + "\n"
        write_text(folder / "table.md", text)
    return LeaveOneOutResult(folder, report, header, rows)


def without_each(dataset: Dataset, min_per_class: int) -> tuple[dict[str, Dataset], list[str]]:
    """The photos without each source that can be left out, by its name; and why others cannot.

    Raises:
        TrainingDataError: none can.
    """
    if dataset.sources == sorted(CLASS_NAMES.values()):
        raise TrainingDataError(
            "No source can be left out: the photos name none, so all plants count as one source "
            "and all others as another, and without either there is nothing to learn. Put the "
            "photos of each camera, place or day into a folder of their own, as in plant/my_phone/ "
            "and other/kitchen_floor/, at least two of each class; or name them in the column "
            "source of a manifest. If they are all of one camera and place, take photos at others: "
            "nothing else tells how the gate does there."
        )
    rests, notes = {}, []
    for source in dataset.sources:
        rest = dataset.leaving_out([source])
        try:
            rest.require(min_per_class)
        except TrainingDataError as error:
            notes.append(f"{source} cannot be left out: {error}")
        else:
            rests[source] = rest
            if rest.aside:
                notes.append(
                    f"Without {source}, {len(rest.aside)} photos of other sources are set aside as "
                    "well, since they show what one of it shows."
                )
    if not rests:
        raise TrainingDataError(
            f"Without any one of the {len(dataset.sources)} sources, too few photos of a class are "
            f"left, so nothing can be compared (for example: {notes[0]}) Name more sources of each "
            "class, by sub-folders of plant/ and other/ or by the column source of the manifest."
        )
    for note in notes:
        say(note, "yellow")
    return rests, notes


def _fold(trainer: HeadTrainer | RecipeTrainer, head: str, rest: Dataset) -> Evaluation:
    """Scores of one head of one fold, from disk if they are there; its weights are not kept."""
    folder = trainer.folder / head
    if not (folder / SCORES).exists():
        trainer.train(head)
    (folder / "phase1.npz").unlink(missing_ok=True)
    return Evaluation(head, scored_splits(rest, read_arrays(folder / SCORES)), threshold=0.5)


def _pooled(
    head: str, scored: Scored, raw: Scored, costs: CostSettings, fit: FitSettings
) -> Evaluation:
    """All folds as one model, and what these photos would say of its threshold and calibration."""
    chosen = choose_threshold(scored.labels, scored.probabilities, **costs.as_dict())
    fitted = fit_calibration(
        raw.labels,
        raw.probabilities,
        share_of_others=costs.share_of_others,
        weights=fit.loss_weights,
    )
    unseen = {"threshold": chosen.as_dict(), "calibration": fitted.as_dict()}
    return Evaluation(
        head, {SPLIT: scored}, threshold=0.5, details={"settings": fit.as_dict(), "unseen": unseen}
    )


def _joined(parts: list[Scored]) -> Scored:
    """All folds as one; every photo occurs once, in the fold without its source."""
    photos = tuple(photo for part in parts for photo in part.photos)
    scores = [part.probabilities for part in parts]
    return Scored(photos, np.concatenate(scores) if scores else np.zeros(0, np.float32))


def _folder_name(source: str) -> str:
    """A name for a folder that no two sources share, whatever characters they have."""
    readable = "".join(c if c.isalnum() or c in "-_" else "_" for c in source)[:60]
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
