"""One fine-tuning: parent and photos to a child, both judged on the same photos, then the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bentoml

from plantood.errors import TrainingDataError
from plantood.model.entry import MANIFEST, GateModel, sha256
from plantood.model.store import finish_save, store_dir
from plantood.training.files.disk import ensure_writable
from plantood.training.finetune.child import publish_child
from plantood.training.finetune.compare import Judgement, judge
from plantood.training.finetune.data import Gathered, gather, new_collections, old_collections
from plantood.training.finetune.report import write_judgement
from plantood.training.finetune.settings import REJECTED, FinetuneOptions
from plantood.training.fitting.extractor import Extractor, extractor_for
from plantood.training.fitting.fit import read_arrays, write_arrays
from plantood.training.fitting.phases import HeadTrainer
from plantood.training.fitting.room import ensure_room, ensure_room_to_save
from plantood.training.judging.evaluation import Evaluation, scored_splits
from plantood.training.judging.gates import find_gate
from plantood.training.network.backbones import build_backbone
from plantood.training.network.classifier import head_of, load_classifier
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import say
from plantood.training.process.run import open_run
from plantood.training.train.train import changed_settings, data_notes, evaluation_of, sizes_of

BEFORE = "before.npz"
"""File of a run with the parent's P(plant) by split."""


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
        head = head_of(load_classifier(parent.keras_path))
        trainer = HeadTrainer(
            backbone, extractor.cache, dataset, options.fit, folder, start=head.get_weights()
        )
        before = _before(parent, trainer)
        trained = trainer.train(parent.manifest.head)
        after = replace(
            evaluation_of(parent.manifest.head, trained, dataset, options.fit, options.costs),
            name="after",
        )
        judgement = judge(
            before,
            after,
            options.margin,
            improved=trained.improved,
            replayed=not options.replay.no_replay,
        )
        notes = [*gathered.notes, *data_notes(dataset, folder), *judgement.objections]
        if parent.manifest.quantization == "int8":
            notes.append("The parent was judged in float32; what serves of it is int8.")
        for note in notes:
            say(note, "yellow")
        facts = _facts(parent, gathered, extractor, judgement, options)
        write_judgement(folder, f"Fine-tuning of {parent.tag}", judgement, facts=facts, notes=notes)
        latest = options.force or not judgement.objections
        tag = None
        if trained.improved or options.force:
            version = digest_of(identity | options.costs.as_dict() | {"q": options.quantize})
            tag = bentoml.Tag(
                options.gate_name + ("" if latest else REJECTED),
                f"{parent.manifest.backbone}-{parent.manifest.head}-{version}",
            )
            if not finish_save(tag):
                publish_child(
                    tag,
                    trained,
                    judgement,
                    parent=parent,
                    gathered=gathered,
                    trainer=trainer,
                    options=options,
                )
    return FinetuneResult(folder, judgement, str(tag) if tag else None, latest)


def digest_of(identity: Mapping[str, Any]) -> str:
    """Short name of a set of choices."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def _gather(parent: GateModel, options: FinetuneOptions) -> Gathered:
    gathered = gather(
        old_collections(parent, options.replay),
        new_collections(options),
        options.replay.replay_share,
        options.fit.seed,
        options.cache,
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


def _before(parent: GateModel, trainer: HeadTrainer) -> Evaluation:
    """What the parent says of the photos that the child is judged on, at its own threshold."""
    file = trainer.folder / BEFORE
    if not file.exists():
        scores = trainer.scores_at_start(parent.manifest.head)
        write_arrays(file, scores)
    splits = scored_splits(trainer.dataset, read_arrays(file))
    return Evaluation("before", splits, parent.manifest.policy.plant_threshold)


def _facts(
    parent: GateModel,
    gathered: Gathered,
    extractor: Extractor,
    judgement: Judgement,
    options: FinetuneOptions,
) -> list[tuple[str, str]]:
    return [
        ("parent", f"{parent.tag}, threshold {judgement.before.threshold:.4f}"),
        ("child", f"threshold {judgement.after.threshold:.4f}"),
        *(("new", f"{one.path} ({one.kind}, {one.photos} photos)") for one in gathered.added),
        ("replayed", f"{gathered.replayed} of the photos that the parent was trained on"),
        ("photos", sizes_of(gathered.dataset)),
        ("backbone", f"{parent.manifest.backbone} ({extractor.digest[:16]})"),
        ("settings", changed_settings(options.fit)),
        ("margin", f"{options.margin:.1%} of a source's photos, and the noise"),
    ]
