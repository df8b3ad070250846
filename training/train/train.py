"""The run: photos to heads, heads to figures, the best of them to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantood.model.store import store_dir
from plantood.training.common.settings import FitSettings, TrainOptions
from plantood.training.features.extractor import Extractor, extractor_for
from plantood.training.features.room import ensure_room, ensure_room_to_save
from plantood.training.files.disk import ensure_writable
from plantood.training.fitting.phases import HeadTrainer, TrainedHead
from plantood.training.judging.evaluation import Evaluation, scored_splits
from plantood.training.judging.relabel import WRONG_LABELS, write_wrong_labels
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.dataset import (
    Dataset,
    load_dataset,
    write_bad,
    write_crossings,
)
from plantood.training.photos.division.units import in_words
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import say
from plantood.training.process.run import open_run, run_name
from plantood.training.recipe.trainer import Recipe, RecipeTrainer
from plantood.training.report.html import write_report
from plantood.training.report.likeness import by_features
from plantood.training.train.judged import calibrated, judged_facts, threshold_notes
from plantood.training.train.save import graph_notes, heads_to_save, save_head


@dataclass(frozen=True)
class RunResult:
    """What a run left behind."""

    folder: Path
    report: dict[str, Any]
    best: str
    tags: dict[str, str]
    """Tags of the saved gate models by head."""
    notes: list[str]


def train_heads(options: TrainOptions) -> RunResult:
    """Train all heads and save the best; a run that was interrupted goes on.

    Raises:
        TrainingDataError: if the photos cannot be trained on.
        WeightsUnavailable: if the backbone's weights are not to be had.
        SettingsError: if the run's folder belongs to a run with other choices, or the recipe cannot
            be had.
        ExportMismatch: if a gate model's graph disagrees with its Keras model.
    """
    make_deterministic(options.fit.seed)
    saves = options.save != "none"
    ensure_writable(options.runs, options.cache, *([store_dir()] if saves else ()))
    dataset = load_dataset(options.data, options.dataset, options.cache)
    recipe = Recipe.of(options.recipe, dataset.photos, options.heads)
    backbone = build_backbone(options.backbone, options.weights)
    extractor = extractor_for(options.backbone, backbone, options.cache, dataset.val)
    identity = {
        "backbone": options.backbone,
        "backbone_digest": extractor.digest,
        "photos": dataset.fingerprint(),
        "left_out": list(options.dataset.left_out),
        **options.dataset.identity(),
        **options.fit.as_dict(),
        **({"recipe": recipe.as_dict()} if recipe else {}),
    }
    name = options.name or run_name(options.data, options.backbone, identity)
    with open_run(options.runs / name, identity) as folder:
        notes = data_notes(dataset, folder)
        for note in notes:
            say(note, "yellow")
        ensure_room(dataset.photos, extractor.cache, backbone, options.cache)
        if saves:
            ensure_room_to_save(backbone)
        extractor.fill(dataset.photos)
        contradicted = write_wrong_labels(
            folder / WRONG_LABELS,
            dataset.train,
            extractor.cache.rows(dataset.train).pooled(),
            gate=options.backbone,
            gate_sha256=extractor.digest,
        )
        for note in contradicted:
            say(note, "yellow")
        notes += contradicted
        prepared = backbone, extractor.cache, dataset, options.fit, folder
        trainer = (
            RecipeTrainer(*prepared, recipe.bank(dataset, extractor, options))
            if recipe
            else HeadTrainer(*prepared)
        )
        evaluations = {}
        for head in options.heads:
            trained = trainer.train(head)
            raw = evaluation_of(head, trained, dataset, options.fit, recipe)
            evaluations[head] = calibrated(
                raw, options.costs, options.fit.loss_weights, options.guarantee
            )
        best = best_of(evaluations)
        tags: dict[str, str] = {}
        try:
            for head in heads_to_save(options, best):
                tags[head], evaluations[head] = save_head(head, options, trainer, evaluations[head])
        finally:  # what was trained is told, whatever becomes of the store
            first = evaluations[best]
            more = [*graph_notes(options, tags), *threshold_notes(first)]
            report = write_report(
                folder,
                f"Training of {name}",
                [first, *(one for head, one in evaluations.items() if head != best)],
                facts=_facts(options, dataset, folder, first, extractor, recipe=recipe),
                notes=[*notes, *more],
                like=by_features(extractor.cache, dataset.train),
                extra={"best": best, "counts": dataset.counts(), "seed": options.fit.seed},
            )
            for note in report["notes"][len(notes) :]:
                say(note, "yellow")
    return RunResult(folder, report, best, tags, report["notes"])


def best_of(evaluations: Mapping[str, Evaluation]) -> str:
    """The head of the lowest loss on validation photos, as the report shows it.

    That is the log loss of calibrated P(plant), from which weights of the errors are taken out
    again, with others as common as is expected. A calibration of validation photos has seen them,
    but chooses at most two numbers by them, and does so for each head alike.

    Args:
        evaluations: by head, calibrated; each has the split ``val``.
    """
    return min(evaluations, key=lambda head: evaluations[head].loss("val"))


def evaluation_of(
    head: str,
    trained: TrainedHead,
    dataset: Dataset,
    settings: FitSettings,
    recipe: Recipe | None = None,
) -> Evaluation:
    """The scores of a trained head as the network gives them; no threshold is chosen yet."""
    return Evaluation(
        name=head,
        splits=scored_splits(dataset, trained.probabilities, trained.margins),
        threshold=0.5,
        details={
            "val_loss": trained.val_loss,
            "tuned": trained.tuned,
            "settings": {**settings.as_dict(), **trained.settings},
            "history": trained.history,
            **({"recipe": recipe.as_dict()} if recipe else {}),
        },
        history=trained.history,
        unseen=trained.unseen,
        groups=dataset.groups,
    )


def data_notes(dataset: Dataset, folder: Path) -> list[str]:
    """What a reader must know of the data; the lists go into the run's folder."""
    write_bad(dataset.bad, folder / "bad_files.csv")
    write_crossings(dataset.crossings, folder / "near_duplicates.csv")
    notes = []
    if dataset.bad:
        notes.append(f"{len(dataset.bad)} files were left out; bad_files.csv says why.")
    if dataset.crossings:
        notes.append(
            "The manifest puts near-duplicates, or photos of one group, on different sides in "
            f"{len(dataset.crossings)} cases; near_duplicates.csv lists them."
        )
    if dataset.crossed:
        notes.append(
            f"{len(dataset.crossed)} photos are left out of val and test, since one of train, or "
            "of val, shows the same."
        )
    if dataset.aside:
        notes.append(
            f"{len(dataset.aside)} photos of other sources show what one left out shows, and are "
            "neither learned from nor judged."
        )
    if not dataset.test:
        notes.append("No photo fell into the test split; there are no test figures.")
    return notes


def _facts(
    options: TrainOptions,
    dataset: Dataset,
    folder: Path,
    best: Evaluation,
    extractor: Extractor,
    *,
    recipe: Recipe | None,
) -> list[tuple[str, str]]:
    facts = [
        ("data", f"{options.data} ({sizes_of(dataset)})"),
        ("backbone", f"{options.backbone}, weights {options.weights} ({extractor.digest[:16]})"),
        ("best head", f"{best.name}, by its loss on val, calibrated"),
        *judged_facts(best),
        ("settings", changed_settings(options.fit)),
        ("run", folder.name),
    ]
    if recipe:
        facts.append(("recipe", recipe.in_words()))
    if options.dataset.together:
        facts.append(("left out together", in_words(options.dataset.together)))
    if options.dataset.left_out:
        facts.append(("left out", ", ".join(options.dataset.left_out)))
    return facts


def sizes_of(dataset: Dataset) -> str:
    """How many photos of how many sources are in which split, in words."""
    sizes = ", ".join(f"{len(photos)} {name}" for name, photos in dataset.splits().items())
    return f"{sizes}; {len(dataset.sources)} sources"


def changed_settings(settings: FitSettings) -> str:
    """The settings that are not the defaults of training, in words."""
    defaults = FitSettings().as_dict()
    changed = {k: v for k, v in settings.as_dict().items() if v != defaults[k]}
    return ", ".join(f"{k} {v}" for k, v in changed.items()) or "defaults"
