"""Every source in turn left out of training: the only honest figure for a field never seen."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from plantood.errors import TrainingDataError
from plantood.training.common.settings import LINEAR_HEADS, CostSettings, TrainOptions
from plantood.training.common.tables import Row, markdown
from plantood.training.features.extractor import extractor_for
from plantood.training.features.room import ensure_room
from plantood.training.files.atomic import write_text
from plantood.training.files.disk import ensure_writable
from plantood.training.fitting.phases import HeadTrainer
from plantood.training.fitting.unseen import Said
from plantood.training.judging.decision.threshold import ChosenThreshold
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.unseen import Accepted, unseen_table
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.data import CLASS_NAMES
from plantood.training.photos.dataset import Dataset, load_dataset
from plantood.training.photos.division.units import in_words, units_of
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import say
from plantood.training.process.run import open_run, run_name
from plantood.training.recipe.trainer import Recipe, RecipeTrainer
from plantood.training.report.html import write_report
from plantood.training.train.fold import Fold, by_the_others, by_validation, said_by, unseen_by

SPLIT = "sources never seen"
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


def leave_sources_out(options: TrainOptions) -> LeaveOneOutResult:
    """Train the heads once for each source, without it, on cached features; report on it.

    Sources that belong together are left out together, and each is reported on. Only the first
    phase: a second one for each source would take hours. A source without which a class has too
    few photos is reported as such. A run that was interrupted goes on. Of what a recipe has drawn,
    nothing that the source is part of is trained on, neither leaf nor ground; and the same heads
    without the recipe stand beside it.

    Raises:
        TrainingDataError: if the photos cannot be trained on, or no source can be left out.
        WeightsUnavailable: if the backbone's weights are not to be had.
        SettingsError: if the run's folder belongs to a run with other choices, or the recipe cannot
            be had, or sources are said to belong together that there are not.
    """
    options = replace(options, fit=replace(options.fit, fine_tune_epochs=0))
    fit = options.fit
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
        **options.dataset.identity(),
        **fit.as_dict(),
        **({"recipe": recipe.as_dict()} if recipe else {}),
    }
    name = options.name or run_name(options.data, f"leave-one-out-{options.backbone}", identity)
    with open_run(options.runs / name, identity) as folder:
        ensure_room(dataset.photos, extractor.cache, backbone, options.cache)
        extractor.fill(dataset.photos)
        bank = recipe.bank(dataset, extractor, options) if recipe else None
        folds: dict[str, list[Fold]] = {}
        said: dict[str, list[Said]] = defaultdict(list)
        for unit, rest in rests.items():
            say(f"Without {in_words([unit])}")
            place = folder / _folder_name(unit)
            common = backbone, extractor.cache, rest, fit
            trainers: dict[str, HeadTrainer | RecipeTrainer] = (
                {
                    "": RecipeTrainer(*common, place, bank),
                    NO_RECIPE: HeadTrainer(*common, place / "no-recipe"),
                }
                if bank
                else {"": HeadTrainer(*common, place)}
            )
            for head, (way, trainer) in product(options.heads, trainers.items()):
                of_title = folds.setdefault(head + way, [])
                if head in LINEAR_HEADS:
                    said[head + way].append(said_by(trainer, head))
                else:
                    assert isinstance(trainer, HeadTrainer)  # a recipe is for linear heads only
                    of_title.append(by_validation(trainer, head, options))
        folds |= {title: by_the_others(rests, parts, options) for title, parts in said.items()}
        header, rows = unseen_table(_shares(folds), dataset.together)
        evaluations = [
            _pooled(title, of_title, options, dataset.groups) for title, of_title in folds.items()
        ]
        few = [note for one in evaluations for note in _few(one)]
        for note in few:
            say(note, "yellow")
        told = [*notes, *few]
        report = write_report(
            folder,
            f"Leave one source out: {options.backbone}",
            evaluations,
            facts=[
                ("data", f"{options.data} ({len(dataset.photos)} photos)"),
                ("backbone", f"{options.backbone}, frozen, weights {options.weights}"),
                ("reading", "every photo is judged by a model that saw no photo of its source"),
                *([("left out together", in_words(dataset.together))] if dataset.together else []),
                *([("recipe", recipe.in_words())] if recipe else []),
                *(
                    (
                        f"threshold for {one.name}",
                        _in_words(one.details["unseen"], options.costs),
                    )
                    for one in evaluations
                ),
            ],
            notes=told,
            extra={"folds": folds_told(folds)},
        )
        for note in report["notes"][len(told) :]:
            say(note, "yellow")
        text = markdown(header, rows) + "\n"
        write_text(folder / "table.md", text)
    return LeaveOneOutResult(folder, report, header, rows)


def without_each(
    dataset: Dataset, min_per_class: int
) -> tuple[dict[frozenset[str], Dataset], list[str]]:
    """The photos without each unit of sources that can be left out; and why others cannot.

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
    for unit in units_of(dataset.sources, dataset.together):
        names, rest = in_words([unit]), dataset.leaving_out(unit)
        try:
            rest.require(min_per_class)
        except TrainingDataError as error:
            notes.append(f"{names} cannot be left out: {error}")
        else:
            rests[unit] = rest
            if rest.aside:
                notes.append(
                    f"Without {names}, {len(rest.aside)} photos of other sources are set aside as "
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


def _shares(folds: Mapping[str, Sequence[Fold]]) -> dict[str, list[Accepted]]:
    """The columns of the table."""
    shares: dict[str, list[Accepted]] = {}
    for title, of_title in folds.items():
        shares[f"{title} at 0.5"] = [one for fold in of_title for one in fold.accepted(0.5)]
        shares[f"{title} at its threshold"] = [
            one for fold in of_title for one in fold.accepted(fold.threshold)
        ]
    return shares


def folds_told(folds: Mapping[str, Sequence[Fold]]) -> list[dict[str, Any]]:
    """Every source and class of every fold, for JSON."""
    told = []
    for of_source in zip(*folds.values(), strict=True):
        for title, fold in zip(folds, of_source, strict=True):
            shares = fold.accepted(fold.threshold)  # in an order of their own: by their errors
            own = {(one.source, one.label): one.share for one in shares}
            told += [
                {
                    "source": half.source,
                    "head": title,
                    "label": half.label,
                    "count": half.count,
                    "threshold": fold.threshold,
                    "accepted_at_half": half.share,
                    "accepted_at_threshold": own[half.source, half.label],
                }
                for half in fold.accepted(0.5)
            ]
    return told


def _pooled(
    title: str, folds: Sequence[Fold], options: TrainOptions, groups: Mapping[str, int]
) -> Evaluation:
    """All folds as one model, and what these photos say of its threshold and calibration."""
    rule = unseen_by(folds, options.dataset.together).rule(options.costs, options.fit.loss_weights)
    photos = tuple(photo for fold in folds for photo in fold.calibrated.photos)
    scores = np.concatenate([fold.calibrated.probabilities for fold in folds])
    chosen = {"threshold": rule.threshold.as_dict(), "calibration": rule.calibration.as_dict()}
    return Evaluation(
        title,
        {SPLIT: Scored(photos, scores)},
        threshold=0.5,
        details={"settings": options.fit.as_dict(), "unseen": chosen},
        groups=groups,
    )


def _few(one: Evaluation) -> list[str]:
    """A sentence if too few photos say which threshold is right for new sources."""
    warning = ChosenThreshold.of(one.details["unseen"]["threshold"]).warning
    return [] if warning is None else [f"{one.name}, by these photos: {warning}"]


def _in_words(unseen: Mapping[str, Any], costs: CostSettings) -> str:
    """What these photos say of a threshold, on how many it rests, and for which share of others."""
    chosen, line = unseen["threshold"], unseen["calibration"]["calibration"]
    given = "as given" if costs.share_of_others else "as in these photos"
    return (
        f"{chosen['threshold']:.4f}, if it is to be chosen on these {chosen['plants']} plants "
        f"and {chosen['others']} others, for a share of others of {chosen['share_of_others']:.1%}, "
        f"{given}; calibration by them: slope {line['slope']:.3f}"
    )


def _folder_name(unit: frozenset[str]) -> str:
    """A name for a folder that no two units share, whatever characters they have."""
    source = "\0".join(sorted(unit))
    readable = "".join(c if c.isalnum() or c in "-_" else "_" for c in source)[:60]
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
