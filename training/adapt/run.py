"""One adaptation: a gate and a handful of photos to its child in the store."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import bentoml
from threadpoolctl import threadpool_limits

from plantood.model.entry import MANIFEST, GateModel, sha256
from plantood.model.saving import finish_save, save_gate
from plantood.model.store import store_dir
from plantood.training.adapt.child import memory_of, write_child
from plantood.training.adapt.correction.correct import fit_correction, leave_each_out, none
from plantood.training.adapt.correction.penalty import choose_penalty
from plantood.training.adapt.doubts import write_doubts
from plantood.training.adapt.judge import ChildJudgement, judge_child
from plantood.training.adapt.photos import Given, read_photos
from plantood.training.adapt.settings import AdaptOptions
from plantood.training.adapt.terms import Terms
from plantood.training.adapt.told import Told, told_of
from plantood.training.common.gates import find_gate
from plantood.training.files.disk import ensure_writable
from plantood.training.finetune.settings import REJECTED
from plantood.training.judging.decision.costs import costs_notes
from plantood.training.process.identity import digest_of
from plantood.training.process.progress import say


@dataclass(frozen=True)
class Adapted:
    """What came of it."""

    judged: ChildJudgement
    told: Told
    tag: str
    """Of the child in the store."""
    latest: bool
    """Whether it was saved under the name that is served."""


def adapt(options: AdaptOptions) -> Adapted:
    """Fit a correction to memory and new photos, compare, and save the child.

    The same gate and photos give the same child; one that a kill left unfinished is finished.
    Photos whose label the others contradict are written into the folder of runs, as a round.

    Raises:
        GateModelNotFound: the store has no such parent.
        GateModelError: it came without its Keras model, which its child needs.
        TrainingDataError: it remembers nothing, or the photos cannot be used, or it knows them all.
        RoundError: a round cannot be read, or its labels were changed by hand.
    """
    ensure_writable(options.runs, options.cache, store_dir())
    parent = find_gate(options.tag)
    memory = memory_of(parent)
    keras = parent.keras_path
    given = read_photos(parent, options.photos, options.cache)
    start = parent.correction() or none(len(memory.mean))
    # Hundreds of fits, each too short for threads to meet: on busy cores they cost many times that.
    with threadpool_limits(1, user_api="blas"):
        penalty = choose_penalty(memory, given.scored, start)
        correction = fit_correction(memory, given.scored, start, penalty=penalty)
        left_out = leave_each_out(memory, given.scored, start, penalty=penalty, begin=correction)
    terms = Terms.of(parent, memory, options.costs)
    judged = judge_child(
        memory,
        given.scored,
        start,
        correction,
        left_out,
        terms=terms,
        margin=options.margin,
    )
    told = told_of(parent.tag, memory, given.scored, judged, terms=terms, penalty=penalty)
    digest = _digest(parent, given, options)
    folder = options.runs / f"adapt-{digest}"
    doubts = write_doubts(folder, parent, given, left_out, options.photos)
    of_costs = costs_notes(parent.tag, parent.metrics, options.costs)
    told = replace(told, notes=(*given.notes, *told.notes, *of_costs))
    for note in (*told.notes, *doubts):
        say(note, "yellow")
    latest = options.force or not judged.objections
    tag = _tag(parent, options, digest, latest)
    if not finish_save(tag):
        with tempfile.TemporaryDirectory(prefix="plantood-") as staging:
            write_child(
                Path(staging),
                parent,
                given,
                keras=keras,
                memory=memory,
                correction=terms.moved(correction),
                judged=judged,
                terms=terms,
                told=told,
            )
            save_gate(staging, name=tag.name, version=tag.version)
    return Adapted(judged, told, str(tag), latest)


def _digest(parent: GateModel, given: Given, options: AdaptOptions) -> str:
    """Of all that the child, and what it says of itself, depend on."""
    scenes = given.scored.scene.tolist()
    first = {scene: at for at, scene in reversed(list(enumerate(scenes)))}
    return digest_of(
        {
            "parent_sha256": sha256(parent.path / MANIFEST),
            "photos": [  # in the order of their digests
                (photo.sha256, photo.label, photo.source, given.photos[first[scene]].sha256)
                for photo, scene in zip(given.photos, scenes, strict=True)
            ],
            "costs": options.costs.as_dict(),
            "margin": options.margin,
        }
    )


def _tag(parent: GateModel, options: AdaptOptions, digest: str, latest: bool) -> bentoml.Tag:
    name = options.gate_name or bentoml.Tag.from_taglike(parent.tag).name
    return bentoml.Tag(
        name + ("" if latest else REJECTED),
        f"{parent.manifest.backbone}-{parent.manifest.head}-{digest}",
    )
