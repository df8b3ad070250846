"""The figures of a stored gate on any data, through the graph that serves."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from plantood.errors import TrainingDataError
from plantood.model.store import load_gate
from training.data import LabelledPhoto, read_data
from training.dataset import write_bad
from training.evaluation import Evaluation, Scored
from training.report import write_report
from training.scan import scan
from training.scoring import score_photos

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
    gate = load_gate(tag)
    photos, bad = scan(read_data(data), cache)
    by_split: dict[str, list[LabelledPhoto]] = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.sha256):
        by_split[photo.split or ALL].append(photo)
    names = [name for name in ("train", "val", "test", ALL) if name in by_split]
    if split is not None:
        names = [name for name in names if name == split]
    if not names:
        asked = f"in the split {split} of" if split else "in"
        raise TrainingDataError(f"No usable photo {asked} {data} ({len(bad)} could not be used).")
    scorer = gate.scorer()
    scored = {
        name: Scored(
            tuple(by_split[name]),
            score_photos(scorer, tuple(by_split[name]), f"Scoring {name}").plant_probability,
        )
        for name in names
    }
    evaluation = Evaluation(
        name=f"{gate.manifest.backbone} {gate.manifest.head}",
        splits=scored,
        threshold=gate.manifest.policy.plant_threshold if threshold is None else threshold,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_bad(bad, out / "bad_files.csv")
    return write_report(
        out,
        f"{gate.tag} on {data.name}",
        [evaluation],
        facts=[
            ("gate model", gate.tag),
            ("data", f"{data} ({sum(len(s.photos) for s in scored.values())} photos)"),
            ("threshold", f"{evaluation.threshold:.4f}"),
        ],
        notes=[f"{len(bad)} files were left out; bad_files.csv says why."] if bad else [],
        extra={"tag": gate.tag},
    )
