"""The run: photos to heads, heads to figures, the best of them to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from plantood.model.entry import TrainingData
from plantood.model.memory import Memory
from plantood.model.neighbours import Neighbours
from plantood.model.runtime import Scorer
from plantood.model.store import list_gates, save_gate, store_dir
from plantood.training.common.settings import (
    CostSettings,
    FitSettings,
    GuaranteeSettings,
    TrainOptions,
)
from plantood.training.files.atomic import write_json
from plantood.training.files.disk import ensure_writable
from plantood.training.files.paths import spelled
from plantood.training.fitting.extractor import Extractor, extractor_for
from plantood.training.fitting.phases import HeadTrainer, TrainedHead
from plantood.training.fitting.room import ensure_room, ensure_room_to_save
from plantood.training.fitting.scoring import score_splits
from plantood.training.judging.evaluation import Evaluation, scored_splits
from plantood.training.judging.relabel import WRONG_LABELS, write_wrong_labels
from plantood.training.judging.seen import Seen
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.dataset import (
    Dataset,
    labels_digest,
    load_dataset,
    write_bad,
    write_crossings,
)
from plantood.training.photos.units import in_words
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import say
from plantood.training.process.run import open_run, read_json, run_name
from plantood.training.recipe.trainer import Recipe, RecipeTrainer
from plantood.training.report.card import model_card
from plantood.training.report.html import write_report
from plantood.training.report.likeness import by_features
from plantood.training.train.judged import (
    NOTHING,
    judged,
    judged_facts,
    threshold_notes,
)
from plantood.training.train.publish import publish


@dataclass(frozen=True)
class RunResult:
    """What a run left behind."""

    folder: Path
    report: dict[str, Any]
    best: str
    tags: dict[str, str]
    """Tags of the saved gate models by head."""
    notes: list[str]


def train(options: TrainOptions) -> RunResult:
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
        evaluations, val_losses = {}, {}
        for head in options.heads:
            trained = trainer.train(head)
            val_losses[head] = trained.val_loss
            raw = evaluation_of(head, trained, dataset, options.fit, recipe)
            evaluations[head] = judged(
                raw, options.costs, options.fit.loss_weights, options.guarantee
            )
        best = min(val_losses, key=val_losses.__getitem__)
        ordered = [evaluations[best], *(e for h, e in evaluations.items() if h != best)]
        report = write_report(
            folder,
            f"Training of {name}",
            ordered,
            facts=_facts(options, dataset, folder, evaluations[best], extractor, recipe=recipe),
            notes=[*notes, *threshold_notes(evaluations[best])],
            like=by_features(extractor.cache, dataset.train),
            extra={"best": best, "counts": dataset.counts(), "seed": options.fit.seed},
        )
        for note in report["notes"][len(notes) :]:
            say(note, "yellow")
        tags = _save(options, trainer, evaluations, best)
    return RunResult(folder, report, best, tags, report["notes"])


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
    )


def evaluation_of_graph(
    evaluation: Evaluation,
    costs: CostSettings,
    quantize: Literal["float16", "int8"] | None,
    memory: Memory | None,
    scorer: Scorer,
) -> Evaluation:
    """The evaluation of what is saved: measured anew on the graph if that is quantized."""
    fitted = evaluation.calibration
    assert fitted is not None
    if quantize is not None:
        by_split = {name: scored.photos for name, scored in evaluation.splits.items()}
        neighbours = None if memory is None else Neighbours(memory)
        rescored = replace(evaluation, splits=score_splits(scorer, by_split, neighbours))
        asked = evaluation.guarantee
        promise = GuaranteeSettings(asked.max_false_accept, asked.confidence) if asked else NOTHING
        evaluation = judged(rescored, costs, fitted.weights, promise)
        assert evaluation.calibration is not None
        fitted = evaluation.calibration
    if memory is None:
        return evaluation
    return replace(evaluation, calibration=fitted.remembering(len(memory)))


def data_notes(dataset: Dataset, folder: Path) -> list[str]:
    """What a reader must know of the data; the lists go into the run's folder."""
    write_bad(dataset.bad, folder / "bad_files.csv")
    write_crossings(dataset.crossings, folder / "near_duplicates.csv")
    notes = []
    if dataset.bad:
        notes.append(f"{len(dataset.bad)} files were left out; bad_files.csv says why.")
    if dataset.crossings:
        notes.append(
            f"The manifest puts near-duplicates on different sides in {len(dataset.crossings)} "
            "cases; near_duplicates.csv lists them."
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
        ("best head", f"{best.name}, by validation loss"),
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


def _save(
    options: TrainOptions,
    trainer: HeadTrainer | RecipeTrainer,
    evaluations: dict[str, Evaluation],
    best: str,
) -> dict[str, str]:
    """Save what is asked for into the store, the best last, so that it is ``latest``."""
    heads: Sequence[str] = {
        "none": (),
        "best": (best,),
        "all": (*(head for head in options.heads if head != best), best),
    }[options.save]
    record = trainer.folder / "published.json"
    published = read_json(record, {})
    in_store = {gate.tag for gate in list_gates()} if heads else set()
    tags = {}
    for head in heads:
        key = f"{options.gate_name} {head} {options.quantize} {options.costs.as_dict()}"
        key += f" {options.guarantee.as_dict()}"
        if published.get(key) not in in_store:
            published[key] = _publish_head(head, options, trainer, evaluations[head])
            write_json(record, published)
        tags[head] = published[key]
    return tags


def _publish_head(
    head: str, options: TrainOptions, trainer: HeadTrainer | RecipeTrainer, evaluation: Evaluation
) -> str:
    trained = trainer.train(head)  # from its files: the backbone may be another head's now
    memory = trainer.memory(head) if isinstance(trainer, RecipeTrainer) else None
    known = {**evaluation.details, **Seen.of(trainer.dataset).as_dict()}
    tag = publish(
        trained.model,
        trainer.dataset,
        backbone=options.backbone,
        head=head,
        card=partial(
            model_card,
            backbone=options.backbone,
            weights=spelled(Path(options.weights).name),
            head=head,
            counts=trainer.dataset.counts(),
            bad=len(trainer.dataset.bad),
            left_out=options.dataset.left_out,
            notes=options.card_notes.read_text(encoding="utf-8") if options.card_notes else "",
        ),
        evaluate=partial(
            evaluation_of_graph,
            replace(evaluation, details=known),
            options.costs,
            options.quantize,
            memory,
        ),
        save=partial(save_gate, name=options.gate_name),
        quantize=options.quantize,
        data=(training_data(options, trainer.dataset),),
        memory=memory,
    )
    return str(tag)


def training_data(options: TrainOptions, dataset: Dataset) -> TrainingData:
    """What a gate model says of the photos that it was trained on; fine-tuning replays them."""
    return TrainingData(
        kind="photos",
        path=spelled(options.data.resolve()),
        photos=len(dataset.photos),
        labels_sha256=labels_digest(dataset.photos),
        left_out=options.dataset.left_out,
        at_most_per_source=options.dataset.at_most_per_source,
    )
