"""One fine-tuning: parent and photos to a child, both judged on the same photos, then the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import bentoml

from plantood.errors import TrainingDataError
from plantood.model.entry import MANIFEST, GateModel, sha256
from plantood.model.runtime import Scorer
from plantood.model.saving import finish_save
from plantood.model.store import store_dir
from plantood.training.common.gates import find_gate
from plantood.training.features.extractor import Extractor, extractor_for
from plantood.training.features.room import ensure_room, ensure_room_to_save
from plantood.training.features.scoring import score_splits
from plantood.training.files.disk import ensure_writable
from plantood.training.finetune.child import child_notes, publish_child, quantization
from plantood.training.finetune.compare import Judgement, judge
from plantood.training.finetune.data import (
    Gathered,
    gather,
    kind_of,
    new_collections,
    old_collections,
    sources_left_out,
)
from plantood.training.finetune.report import write_judgement
from plantood.training.finetune.rule import ParentRule, judged_alike
from plantood.training.finetune.settings import REJECTED, FinetuneOptions, held_like_parent
from plantood.training.fitting.fit import read_arrays, write_arrays
from plantood.training.fitting.phases import HeadTrainer, TrainedHead
from plantood.training.judging.audit import audit_lines
from plantood.training.judging.decision.costs import costs_in_words, costs_notes
from plantood.training.judging.evaluation import Evaluation, Scored, scored_splits
from plantood.training.judging.relabel import WRONG_LABELS, write_wrong_labels
from plantood.training.judging.seen import seen_by
from plantood.training.network.backbones import build_backbone
from plantood.training.network.classifier import head_of, load_classifier
from plantood.training.photos.dataset import Dataset
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.identity import digest_of
from plantood.training.process.progress import say
from plantood.training.process.run import open_run
from plantood.training.report.likeness import by_features
from plantood.training.rounds.layout import Round
from plantood.training.train.judged import judged_facts, threshold_notes
from plantood.training.train.train import (
    changed_settings,
    data_notes,
    evaluation_of,
    sizes_of,
)

BEFORE, AFTER = "before.npz", "after-{}.npz"
"""Files of a run with P(plant) by split: of the graph that the parent serves with, and of the
child's, by its number format."""


@dataclass(frozen=True)
class FinetuneResult:
    """What came of it."""

    folder: Path
    judgement: Judgement
    tag: str | None
    """Of the child in the store; None if it is no other than its parent."""
    latest: bool
    """Whether it was saved under the name that is served."""


def finetune(options: FinetuneOptions) -> FinetuneResult:
    """Go on training a stored gate model, compare, and save; an interrupted run goes on.

    Raises:
        GateModelNotFound: the store has no such parent.
        TrainingDataError: the photos cannot be trained on.
        SettingsError: the run's folder belongs to a run with other choices.
        ExportMismatch: the child's graph disagrees with its Keras model.
    """
    make_deterministic(options.fit.seed)
    ensure_writable(options.runs, options.cache, store_dir())
    parent = find_gate(options.tag)
    if parent.correction() is not None:  # the weights that training goes on from know nothing of it
        raise TrainingDataError(
            f"{parent.tag} was adapted, which fine-tuning would undo; fine-tune "
            f"{parent.manifest.parent}, which it was adapted from, with the same photos."
        )
    options = replace(options, fit=held_like_parent(options.fit, parent.metrics))
    gathered = _gather(parent, options)
    dataset = gathered.dataset
    backbone = build_backbone(parent.manifest.backbone, parent.keras_path)
    extractor = extractor_for(parent.manifest.backbone, backbone, options.cache, dataset.val)
    identity = {
        "parent": parent.tag,
        "parent_sha256": sha256(parent.path / MANIFEST),
        "photos": dataset.fingerprint(),
        **options.fit.as_dict(),
    }
    name = options.name or f"finetune-{digest_of(identity)}"
    with open_run(options.runs / name, identity) as folder:
        ensure_room(dataset.photos, extractor.cache, backbone, options.cache)
        ensure_room_to_save(backbone)
        extractor.fill(dataset.photos)
        labels = write_wrong_labels(
            folder / WRONG_LABELS,
            dataset.train,
            extractor.cache.rows(dataset.train).pooled(),
            gate=parent.tag,
            gate_sha256=identity["parent_sha256"],
        )
        head = head_of(load_classifier(parent.keras_path))
        trainer = HeadTrainer(
            backbone, extractor.cache, dataset, options.fit, folder, start=head.get_weights()
        )
        before = _before(parent, dataset, folder)
        trained = trainer.train(parent.manifest.head)
        judge_splits = partial(
            _judgement,
            before=before,
            rule=ParentRule.of(parent),
            trained=trained,
            head=parent.manifest.head,
            gathered=gathered,
            options=options,
        )
        tag = None
        if trained.improved or options.force:
            version = digest_of(identity | options.costs.as_dict() | {"q": options.quantize})
            tag_of = partial(_tag_of, parent, options, version)
            scores = folder / AFTER.format(quantization(parent, options) or "float32")
            judgement = (
                judge_splits(scored_splits(dataset, read_arrays(scores)))
                if scores.exists()
                else None
            )
            if judgement is None or not finish_save(tag_of(judgement)):
                judgement = publish_child(
                    trained,
                    lambda scorer: judge_splits(_scored(dataset, scores, lambda: scorer)),
                    tag_of,
                    parent=parent,
                    gathered=gathered,
                    trainer=trainer,
                    options=options,
                )
            tag = str(tag_of(judgement))
        else:  # it has its parent's weights, so that there is nothing to export
            judgement = judge_splits(before.splits)
        notes = [*gathered.notes, *data_notes(dataset, folder), *labels, *_audits(options)]
        notes += threshold_notes(judgement.after)
        if tag is not None:
            notes += child_notes(trained, judgement, parent, options)
        notes += costs_notes(parent.tag, parent.metrics, options.costs)
        notes += judgement.objections
        for note in notes:
            say(note, "yellow")
        facts = _facts(parent, gathered, extractor, judgement, options)
        report = write_judgement(
            folder,
            f"Fine-tuning of {parent.tag}",
            judgement,
            facts=facts,
            notes=notes,
            like=by_features(extractor.cache, dataset.train),
        )
        for note in report["notes"][len(notes) :]:
            say(note, "yellow")
    latest = options.force or not judgement.objections
    return FinetuneResult(folder, judgement, tag, latest)


def _gather(parent: GateModel, options: FinetuneOptions) -> Gathered:
    known = seen_by(parent)
    gathered = gather(
        old_collections(parent, options.replay),
        new_collections(options),
        options.replay.replay_share,
        options.fit.seed,
        options.cache,
        parent=known,
        left_out=sources_left_out(parent),
    )
    if known is None and not options.replay.no_replay:
        gathered.notes.append(
            f"{parent.tag} does not say which photos it has seen: those that fall into train and "
            "val are taken for them; if it has learned from others, its figures flatter it."
        )
    records = {(record.path, record.labels_sha256) for record in parent.manifest.data}
    if all((record.path, record.labels_sha256) in records for record in gathered.added):
        raise TrainingDataError(
            f"{parent.tag} was trained on {' and '.join(map(str, options.new))} already, with the "
            f"same labels; for other choices give its parent, {parent.manifest.parent}."
        )
    gathered.dataset.require(options.min_per_class)
    if not (gathered.dataset.test or gathered.dataset.left_out):
        raise TrainingDataError(
            "No photo fell into the test split, so parent and child cannot be compared; add photos."
        )
    return gathered


def _audits(options: FinetuneOptions) -> list[str]:
    """What the random samples of the new rounds say of the photos that these were mined from."""
    rounds = [Round.open(path) for path in options.new if kind_of(path) == "round"]
    told = [[line.strip() for line in audit_lines(round_)] for round_ in rounds]
    return [f"{lines[0]} {'; '.join(lines[1:])}." for lines in told if lines]


def _before(parent: GateModel, dataset: Dataset, folder: Path) -> Evaluation:
    """What the parent says of the photos that the child is judged on, before calibration."""
    splits = _scored(dataset, folder / BEFORE, lambda: parent.scorer(calibrated=False))
    return Evaluation("before", splits, threshold=0.5, groups=dataset.groups)


def _scored(dataset: Dataset, file: Path, scorer: Callable[[], Scorer]) -> dict[str, Scored]:
    """The splits that two gates are judged on, by one's graph; scores are kept in ``file``."""
    if not file.exists():
        by_split = {
            name: photos for name, photos in dataset.splits().items() if name != "train" and photos
        }
        scored = score_splits(scorer(), by_split)
        write_arrays(file, {name: one.probabilities for name, one in scored.items()})
    return scored_splits(dataset, read_arrays(file))


def _judgement(
    splits: Mapping[str, Scored],
    *,
    before: Evaluation,
    rule: ParentRule | None,
    trained: TrainedHead,
    head: str,
    gathered: Gathered,
    options: FinetuneOptions,
) -> Judgement:
    """The child, by what its graph says of each split before calibration, beside its parent."""
    own = evaluation_of(head, trained, gathered.dataset, options.fit)
    after = replace(own, name="after", splits=splits)
    # By one rule: another one, or other photos to choose by, would look like something learned.
    pair = judged_alike(before, after, options.costs, rule)
    return judge(
        *pair,
        options.margin,
        costs=replace(options.costs, share_of_others=pair[1].share_of_others),
        improved=trained.improved,
        replayed=not options.replay.no_replay,
        seen=gathered.seen,
    )


def _tag_of(
    parent: GateModel, options: FinetuneOptions, version: str, judgement: Judgement
) -> bentoml.Tag:
    latest = options.force or not judgement.objections
    return bentoml.Tag(
        options.gate_name + ("" if latest else REJECTED),
        f"{parent.manifest.backbone}-{parent.manifest.head}-{version}",
    )


def _facts(
    parent: GateModel,
    gathered: Gathered,
    extractor: Extractor,
    judgement: Judgement,
    options: FinetuneOptions,
) -> list[tuple[str, str]]:
    return [
        (
            "parent",
            f"{parent.tag}, threshold {judgement.before.threshold:.4f} by the same rule as the "
            f"child's; it serves with {parent.manifest.policy.plant_threshold:.4f}",
        ),
        *((f"child's {name}", words) for name, words in judged_facts(judgement.after)),
        *(("new", f"{one.path} ({one.kind}, {one.photos} photos)") for one in gathered.added),
        ("replayed", f"{gathered.replayed} of the photos that the parent was trained on"),
        ("photos", sizes_of(gathered.dataset)),
        ("backbone", f"{parent.manifest.backbone} ({extractor.digest[:16]})"),
        ("settings", changed_settings(options.fit)),
        ("costs", costs_in_words(options.costs)),
        ("margin", f"{options.margin:.1%} of a source's photos, and the noise"),
    ]
