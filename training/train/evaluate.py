"""The figures of a stored gate on any data, through the graph that serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plantood.errors import TrainingDataError
from plantood.model.entry import GateModel
from plantood.training.files.disk import ensure_writable
from plantood.training.fitting.scoring import score_splits
from plantood.training.judging.evaluation import Evaluation
from plantood.training.judging.gates import find_gate
from plantood.training.photos.account import Account, read_usable
from plantood.training.photos.data import BadPhoto, LabelledPhoto
from plantood.training.photos.dataset import Photos, write_bad
from plantood.training.report.html import write_report

ALL = "all"
"""Name of the split of photos that belong to none."""


def evaluate(
    tag: str,
    data: Path,
    *,
    out: Path,
    cache: Path,
    split: str | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Score all photos, and write the report into a folder; returns what is in report.json.

    Only the network and its threshold are judged; photos that the quality cues would refuse are
    scored like the others.

    Args:
        tag: of a gate model in the Bento model store.
        data: folder or manifest.
        out: folder for the report, made if need be.
        cache: folder where scanned photos are remembered.
        split: only this one of the splits that the manifest names.
        threshold: instead of the policy's.

    Raises:
        TrainingDataError: if there is nothing to evaluate on.
        GateModelNotFound: if the store has no such gate model.
    """
    gate = find_gate(tag)
    ensure_writable(out, cache)
    by_split, bad = photos_by_split(data, cache, split)
    evaluation = evaluation_of_gate(gate, by_split, threshold)
    write_bad(bad, out / "bad_files.csv")
    return write_report(
        out,
        f"{gate.tag} on {data.name}",
        [evaluation],
        facts=[
            ("gate model", gate.tag),
            ("data", f"{data} ({sum(map(len, by_split.values()))} photos)"),
            ("threshold", f"{evaluation.threshold:.4f}"),
        ],
        notes=[f"{len(bad)} files were left out; bad_files.csv says why."] if bad else [],
        extra={"tag": gate.tag},
    )


def photos_by_split(
    data: Path, cache: Path, split: str | None = None
) -> tuple[dict[str, Photos], list[BadPhoto]]:
    """The usable photos of a folder or manifest by the splits that it names, and the others.

    Raises:
        TrainingDataError: if there is nothing to evaluate on.
    """
    photos, bad = read_usable(data, cache)
    found: dict[str, list[LabelledPhoto]] = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.sha256):
        found[photo.split or ALL].append(photo)
    names = [name for name in ("train", "val", "test", ALL) if name in found]
    if split is not None:
        names = [name for name in names if name == split]
    if not names:
        why = Account.of(data, (), bad).commonest()
        raise TrainingDataError(
            f"No usable photo in the split {split} of {data} ({len(bad)} could not be used{why}); "
            f"it has the splits {', '.join(found)}."
        )
    return {name: tuple(found[name]) for name in names}, bad


def evaluation_of_gate(
    gate: GateModel, by_split: Mapping[str, Photos], threshold: float | None = None
) -> Evaluation:
    """The scores of a stored gate by the graph that serves; the policy's threshold by default."""
    return Evaluation(
        name=f"{gate.manifest.backbone} {gate.manifest.head}",
        splits=score_splits(gate.scorer(), by_split),
        threshold=gate.manifest.policy.plant_threshold if threshold is None else threshold,
    )
