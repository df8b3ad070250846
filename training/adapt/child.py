"""The child's entry: its parent's graphs, the correction, and a memory that has the new photos."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from plantood.errors import TrainingDataError
from plantood.model.entry import BACKBONE, HEAD, KERAS, GateModel, write_entry
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory
from plantood.training.adapt.correction.correct import memory_weights
from plantood.training.adapt.judge import ChildJudgement
from plantood.training.adapt.photos import Given
from plantood.training.adapt.terms import CHOSEN, SHARE, Terms
from plantood.training.adapt.told import Told, card_of
from plantood.training.files.paths import composed
from plantood.training.judging.seen import Seen, seen_by
from plantood.training.photos.dataset import Dataset

REMEMBERED = 0.1
"""Of the weight of a class that the new photos of it have in the child's memory, however many they
are: a source more among the ten or so that a gate learned from."""


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
    """The memory with the new photos."""
    codes, rest = memory.encode(given.scored.embedding)
    old, new = memory_weights(memory, given.scored.plant, REMEMBERED)
    names = np.unique(
        [*map(composed, memory.sources.tolist()), *(photo.source for photo in given.photos)]
    )
    sources = [*map(composed, memory.names.tolist()), *(photo.source for photo in given.photos)]
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


def write_child(
    folder: Path,
    parent: GateModel,
    given: Given,
    *,
    keras: Path,
    memory: Memory,
    correction: Correction,
    judged: ChildJudgement,
    terms: Terms,
    told: Told,
) -> None:
    """Write the entry of a child into an empty folder.

    Args:
        folder: receives it.
        parent: of which the files of the network are copied.
        given: what it learned from.
        keras: its Keras model.
        memory: of the parent.
        correction: of the child, for the share of others that is asked for.
        judged: what came of it.
        terms: by which it was judged.
        told: what is to be said of that.
    """
    shutil.copyfile(keras, folder / KERAS)
    for name in (BACKBONE, HEAD):
        shutil.copyfile(parent.path / name, folder / name)
    manifest, chosen = parent.manifest, judged.after
    metrics: dict[str, Any] = {
        "threshold": chosen.threshold,
        CHOSEN: chosen.as_dict(),
        **({SHARE: terms.share_of_others} if terms.given else {}),
        "adapted": judged.as_dict()
        | {"served_before": terms.served, "share_of_others_before": terms.had}
        | asdict(told),
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
        policy=manifest.policy.model_copy(update={"plant_threshold": chosen.threshold}),
        metrics=metrics,
        card=card_of(
            parent.tag, parent.card, [one.labels_sha256 for one in given.data], judged, told
        ),
        memory=extended(memory, given),
        correction=correction,
        quantization=manifest.quantization,
        parent=parent.tag,
        data=(*manifest.data, *given.data),
        calibration=manifest.calibration,
    )
