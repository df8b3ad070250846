"""One adaptation: a gate and a handful of photos to its child in the store."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from plantood.errors import TrainingDataError
from plantood.model.correction import Correction
from plantood.model.entry import (
    BACKBONE,
    HEAD,
    KERAS,
    MANIFEST,
    GateModel,
    TrainingData,
    sha256,
    write_entry,
)
from plantood.model.memory import Memory
from plantood.model.store import finish_save, save_gate, store_dir
from plantood.training.adapt.correct import fit_correction, none, photo_weights
from plantood.training.adapt.judge import Judged, judge
from plantood.training.adapt.photos import Given, read_photos
from plantood.training.adapt.settings import AdaptOptions
from plantood.training.common.tables import markdown
from plantood.training.files.disk import ensure_writable
from plantood.training.files.paths import spelled
from plantood.training.finetune.settings import REJECTED
from plantood.training.judging.gates import find_gate
from plantood.training.judging.seen import Seen, seen_by
from plantood.training.photos.dataset import Dataset, labels_digest
from plantood.training.process.identity import digest_of


@dataclass(frozen=True)
class Adapted:
    """What came of it."""

    judged: Judged
    tag: str
    """Of the child in the store."""
    latest: bool
    """Whether it was saved under the name that is served."""


def adapt(options: AdaptOptions) -> Adapted:
    """Fit a correction to memory and new photos, compare, and save the child.

    The same gate and photos give the same child; one that a kill left unfinished is finished.

    Raises:
        GateModelNotFound: the store has no such parent.
        GateModelError: it came without its Keras model, which its child needs.
        TrainingDataError: it remembers nothing, or the photos cannot be used.
    """
    ensure_writable(options.cache, store_dir())
    parent = find_gate(options.tag)
    memory = memory_of(parent)
    keras = parent.keras_path
    given = read_photos(parent, options.photos, options.cache)
    start = parent.correction() or none(len(memory.mean))
    correction = fit_correction(memory, given.scored, start)
    judged = judge(
        memory,
        given.scored,
        start,
        correction,
        threshold=parent.manifest.policy.plant_threshold,
        costs=options.costs,
        margin=options.margin,
    )
    latest = options.force or not judged.objections
    tag = _tag(parent, given, options, latest)
    if not finish_save(tag):
        with tempfile.TemporaryDirectory(prefix="plantood-") as staging:
            folder = Path(staging)
            shutil.copyfile(keras, folder / KERAS)
            for name in (BACKBONE, HEAD):
                shutil.copyfile(parent.path / name, folder / name)
            _write(
                folder,
                parent=parent,
                given=given,
                memory=extended(memory, given),
                correction=correction,
                judged=judged,
                options=options,
            )
            save_gate(folder, name=tag.name, version=tag.version)
    return Adapted(judged, str(tag), latest)


def memory_of(gate: GateModel) -> Memory:
    """The memory of a gate.

    Raises:
        TrainingDataError: it has none.
    """
    memory = gate.memory()
    if memory is None:
        raise TrainingDataError(
            f"{gate.tag} remembers nothing of what it was trained on, as gates did that were "
            "trained by an earlier plantood, so it would forget it; train it anew, or let it learn "
            "with the photos that it was trained on at hand: plantood finetune"
        )
    return memory


def extended(memory: Memory, given: Given) -> Memory:
    """The memory with the new photos, weighted as they were learned from."""
    codes, rest = memory.encode(given.scored.embedding)
    old, new = photo_weights(memory, given.scored.plant)
    names = np.unique([*memory.sources.tolist(), *(photo.source for photo in given.photos)])
    sources = [*memory.sources[memory.source].tolist(), *(photo.source for photo in given.photos)]
    return Memory(
        mean=memory.mean,
        directions=memory.directions,
        codes=np.concatenate([memory.codes, codes.astype(np.float16)]),
        rest=np.concatenate([memory.rest, rest]),
        logit=np.concatenate([memory.logit, given.scored.logit]),
        plant=np.concatenate([memory.plant, given.scored.plant]),
        source=np.searchsorted(names, sources).astype(np.int32),
        sources=names,
        weight=np.concatenate([old, new]).astype(np.float32),
    )


def _tag(parent: GateModel, given: Given, options: AdaptOptions, latest: bool) -> bentoml.Tag:
    identity = {
        "parent_sha256": sha256(parent.path / MANIFEST),
        "photos": sorted((photo.sha256, photo.label, photo.source) for photo in given.photos),
        "costs": options.costs.as_dict(),
    }
    name = options.gate_name or bentoml.Tag.from_taglike(parent.tag).name
    return bentoml.Tag(
        name + ("" if latest else REJECTED),
        f"{parent.manifest.backbone}-{parent.manifest.head}-{digest_of(identity)}",
    )


def _write(
    folder: Path,
    *,
    parent: GateModel,
    given: Given,
    memory: Memory,
    correction: Correction,
    judged: Judged,
    options: AdaptOptions,
) -> None:
    manifest = parent.manifest
    record = TrainingData(
        kind="round" if given.is_round else "photos",
        path=spelled(options.photos.resolve()),
        photos=len(given.photos),
        labels_sha256=labels_digest(given.photos),
    )
    metrics: dict[str, Any] = {
        "adapted": {
            "threshold_before": judged.before,
            "chosen_threshold": judged.chosen.as_dict(),
            "new": [change.as_dict() for change in judged.new],
            "known": [change.as_dict() for change in judged.known],
            "objections": judged.objections,
        }
    }
    known = seen_by(parent)
    if known is not None:
        metrics |= (known | Seen.of(Dataset(given.photos, (), ()))).as_dict()
    write_entry(
        folder,
        backbone=manifest.backbone,
        head=manifest.head,
        input_size=manifest.input_size,
        preprocessing=manifest.preprocessing,
        policy=manifest.policy.model_copy(update={"plant_threshold": judged.chosen.threshold}),
        metrics=metrics,
        card=_card(parent, record, judged),
        memory=memory,
        correction=correction,
        quantization=manifest.quantization,
        parent=parent.tag,
        data=(*manifest.data, record),
        calibration=manifest.calibration,
    )


def _card(parent: GateModel, record: TrainingData, judged: Judged) -> str:
    """What was added to the parent, above the parent's own card."""
    objections = "".join(f"- {objection}\n" for objection in judged.objections)
    return (
        f"# {parent.tag}, adapted\n\n"
        f"The network of {parent.tag}, and a linear correction of what its head says that was "
        f"fitted to {record.photos} new photos (labels {record.labels_sha256}) and to what it "
        "remembered. Each new photo is judged by a correction that was fitted without it and what "
        "looks like it; the memory was learned from before and after, so it shows only what was "
        f"forgotten. Threshold {judged.before:.4f} before, {judged.chosen.threshold:.4f} after.\n\n"
        f"{markdown(*judged.table())}\n\n"
        + (f"What speaks against it:\n\n{objections}\n" if objections else "")
        + f"What follows is the card of {parent.tag}: its figures are its own.\n\n{parent.card}"
    )
