"""The figures of a stored gate on any data, through the graph that serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from plantood.errors import TrainingDataError
from plantood.model.entry import GateModel
from plantood.training.common.gates import find_gate
from plantood.training.features.scoring import score_splits
from plantood.training.files.disk import ensure_writable
from plantood.training.judging.evaluation import UNGROUPED, Evaluation
from plantood.training.judging.seen import Seen, seen_by
from plantood.training.photos.account import Account, read_usable
from plantood.training.photos.data import BadPhoto, LabelledPhoto
from plantood.training.photos.dataset import Photos, write_bad
from plantood.training.photos.division.splits import FRACTIONS, Division, divide
from plantood.training.process.identity import digest_of
from plantood.training.process.run import short_name
from plantood.training.report.html import write_report
from plantood.training.report.likeness import by_gate
from plantood.training.train.served import judge_served, reasons_table

ALL = "all"
"""Name of the split of photos that belong to none."""
TRAINED_ON, CHOSEN_ON = "trained on", "chosen on"
"""Names of the splits of photos that the gate, or one that it was made from, has learned from: its
weights; or when to stop, which head, and its threshold."""
WHOLE, ALONE = "gate", "network alone"


def report_name(tag: str, data: Path, split: str | None, threshold: float | None) -> str:
    """Name of the folder of a report: two that differ in any of these have different ones."""
    choices = {"data": str(data.resolve()), "split": split, "threshold": threshold}
    return f"evaluate-{tag.replace(':', '-')}-{short_name(data)}-{digest_of(choices)[:8]}"


def evaluate_gate(
    tag: str,
    data: Path,
    *,
    out: Path,
    cache: Path,
    split: str | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Judge all photos, and write the report into a folder; returns what is in report.json.

    As a farmer meets the gate: with quality cues and network; beside it the network alone. Photos
    that the gate has learned from stand in splits of their own.

    Args:
        tag: of a gate model in the Bento model store.
        data: folder or manifest.
        out: folder for the report, made if need be.
        cache: folder where scanned photos are remembered.
        split: only this one; see :func:`photos_by_split`.
        threshold: instead of the policy's.

    Raises:
        TrainingDataError: if there is nothing to evaluate on.
        GateModelNotFound: if the store has no such gate model.
    """
    gate = find_gate(tag)
    ensure_writable(out, cache)
    known = seen_by(gate)
    by_split, bad, groups = photos_by_split(data, cache, split, known)
    policy = gate.manifest.policy
    if threshold is not None:
        policy = policy.model_copy(update={"plant_threshold": threshold})
    served = judge_served(gate, by_split, policy)
    share = share_of_others(gate)
    evaluations = [
        Evaluation(
            WHOLE,
            {name: one.whole for name, one in served.items()},
            policy.plant_threshold,
            share_of_others=share,
            groups=groups,
        ),
        Evaluation(
            ALONE,
            {name: one.alone for name, one in served.items()},
            policy.plant_threshold,
            share_of_others=share,
            groups=groups,
        ),
    ]
    notes = [f"{len(bad)} files were left out; bad_files.csv says why."] if bad else []
    if known is None:
        notes.append(
            f"{gate.tag} does not say which photos it was trained on; of those that it was, the "
            "figures flatter it."
        )
    elif not set(by_split) - {TRAINED_ON, CHOSEN_ON}:
        notes.append("The gate has learned from all of these photos, so no figure is honest.")
    if share is not None:
        notes.append(
            f"Loss, accuracy, precision, F1 and calibration error are of {share:.1%} others, the "
            "share that was given when the gate was made, not of that in these photos."
        )
    write_bad(bad, out / "bad_files.csv")
    header, rows = reasons_table(served)
    return write_report(
        out,
        f"{gate.tag} on {data}",
        evaluations,
        facts=[
            ("gate model", gate.tag),
            ("network", f"{gate.manifest.backbone} {gate.manifest.head}"),
            ("data", f"{data} ({sum(map(len, by_split.values()))} photos)"),
            ("threshold", f"{policy.plant_threshold:.4f}"),
            (
                WHOLE,
                "as it is served: quality cues and network; a photo refused by a cue counts "
                "with P(plant) 0",
            ),
        ],
        notes=notes,
        like=by_gate(gate),
        extra={"tag": gate.tag, "reasons": [dict(zip(header, row, strict=True)) for row in rows]},
    )


def sides_of(division: Division, known: Seen) -> list[str]:
    """`TRAINED_ON`, `CHOSEN_ON` or nothing for each photo of a division.

    A photo stands for all that it is grouped with: what was learned from it is known of them.
    """
    groups = list(zip(division.photos, division.groups, strict=True))
    trained = {group for photo, group in groups if known.trained_on(photo)}
    chosen = {group for photo, group in groups if known.chosen_on(photo)}
    return [
        TRAINED_ON if group in trained else CHOSEN_ON if group in chosen else ""
        for group in division.groups
    ]


def photos_by_split(
    data: Path, cache: Path, split: str | None = None, known: Seen | None = None
) -> tuple[dict[str, Photos], list[BadPhoto], dict[str, int]]:
    """The usable photos of a folder or manifest by split, the others, and which show one scene.

    Args:
        data: folder or manifest.
        cache: folder where scanned photos are remembered.
        split: only this one. If it is train, val or test, photos that name no split are divided as
            `train` divides them; else these form the split `ALL`.
        known: what a gate has learned from: such photos, and those that show the same, stand in
            splits of their own, the first: of the last one tables tell every source.

    Raises:
        TrainingDataError: if there is nothing to evaluate on.
    """
    photos, bad = read_usable(data, cache)
    given = {photo.sha256: photo.split for photo in photos}
    division = divide(photos)
    sides = sides_of(division, known) if known else [""] * len(photos)
    found: dict[str, list[LabelledPhoto]] = defaultdict(list)
    parts: dict[str, list[LabelledPhoto]] = defaultdict(list)
    for photo, side in zip(division.photos, sides, strict=True):
        own = photo if split in FRACTIONS else replace(photo, split=given[photo.sha256])
        name = own.split or ALL
        found[name].append(own)
        if split in (None, name):
            parts[side or name].append(own)
    if not parts:
        why = Account.of(data, (), bad).commonest()
        raise TrainingDataError(
            f"No usable photo in the split {split} of {data} ({len(bad)} could not be used{why}); "
            f"it has the splits {', '.join(found)}."
        )
    order = [name for name in (TRAINED_ON, CHOSEN_ON, *FRACTIONS, ALL) if name in parts]
    return {name: tuple(parts[name]) for name in order}, bad, division.group_of


def share_of_others(gate: GateModel) -> float | None:
    """What a user gave for P(plant) to be calibrated for; None: that of the photos, ungiven."""
    share: float | None = gate.metrics.get("share_of_others")
    return share


def evaluation_of_gate(
    gate: GateModel, by_split: Mapping[str, Photos], groups: Mapping[str, int] = UNGROUPED
) -> Evaluation:
    """The scores of a stored gate by the graph that serves, at the policy's threshold."""
    return Evaluation(
        name=f"{gate.manifest.backbone} {gate.manifest.head}",
        splits=score_splits(gate.scorer(), by_split),
        threshold=gate.manifest.policy.plant_threshold,
        share_of_others=share_of_others(gate),
        groups=groups,
    )
