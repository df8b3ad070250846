"""Two rounds of the flywheel by its commands, on real photos, beside those of the source project.

    python -m benchmarks.flywheel.rounds --write docs/flywheel.md

The gate of the dev splits without bare ground; round one: a sample of the production photos is
mined and labelled through the review server's API, as its reviewer would; round two: windows of
soil cut out of field photos, beside these photos. Then all gates judge the same photos: those
of the dev test split, the production photos that were never sampled, bare ground from sources never
seen, and of the field photos and their windows those that were not trained on. A fourth gate learns
from the windows alone. Interrupted, it goes on: every command does.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.flywheel.bench import (
    BACKBONE,
    BARE_GROUND,
    WEIGHTS,
    errors,
    field_photos,
    folder_option,
    production_labels,
    shared,
    write_option,
    write_result,
)
from benchmarks.flywheel.commands import Commands
from plantood.model.entry import GateModel
from plantood.model.store import load_gate
from plantood.training.common.intervals import share
from plantood.training.common.settings import HEAD_NAMES, DataSettings
from plantood.training.common.tables import markdown
from plantood.training.finetune.data import gather, old_collections
from plantood.training.finetune.settings import ReplaySettings
from plantood.training.judging.changes import at_fixed_points
from plantood.training.judging.evaluation import Evaluation
from plantood.training.photos.data import LABELS, LabelledPhoto
from plantood.training.photos.dataset import Photos, load_dataset
from plantood.training.photos.scan import scan_photos
from plantood.training.rounds.layout import Round
from plantood.training.train.evaluate import evaluation_of_gate

SOURCE_FUNNEL = ("4,992", "707", "98", "609")
SOURCE_ACCURACY = ("88.7%", "92.5%", "92.5%")
"""Of the source project's head V2: first training, after round one, after round two. Its best head
after both had 93.7 %."""
STAGES = ("first training", "after round one", "after round two", "round two, windows alone")
TEST, PRODUCTION, GROUND, FIELD = "test", "production", "ground", "field"
SETS = {
    TEST: "dev test split",
    PRODUCTION: "production photos never sampled",
    GROUND: "bare ground, sources never seen",
    FIELD: "field photos and windows held out",
}
"""What all gates are judged on."""


@click.command(help=__doc__)
@folder_option
@click.option("--head", type=click.Choice(HEAD_NAMES), default="gap", show_default=True)
@click.option("--sample", default=1500, show_default=True, help="Production photos to draw.")
@click.option(
    "--both-phases", is_flag=True, help="Also the second phase, backbone unfrozen: takes an hour."
)
@write_option
def main(folder: Path, head: str, sample: int, both_phases: bool, write: Path | None) -> None:
    """Go both rounds, judge all gates on the same photos, and write the tables."""
    cache = folder.resolve() / "cache"
    folder = folder.resolve() / f"rounds-{head}{'-both' if both_phases else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = shared() / "data/manifest.csv"
    options = [*([] if both_phases else ["--no-fine-tune"]), "--cache", str(cache)]
    run = Commands(folder)
    leave_out = [word for source in BARE_GROUND for word in ("--leave-out", source)]
    first = run.gate(
        *("train", manifest, "--backbone", BACKBONE, "--weights", shared() / WEIGHTS),
        *("--heads", head, *leave_out, "--save", "best", *options),
    )
    run(
        *("mine", manifest, "--labelled", manifest, "--gate", first),
        *("--sample", str(sample), "--at-most", "0.6", "--out", "round-1"),
    )
    run.review("round-1")
    second = run.gate("finetune", first, "round-1", *options)
    photos = field_photos()
    run("negatives", "soil", *photos, "--out", "soil")
    third = run.gate("finetune", second, "soil", *options)
    run("rounds", third, "--cache", cache)
    run("negatives", "soil", *photos, "--no-plants", "--out", "windows")
    alone = run.gate("finetune", second, "windows", "--gate-name", "windows-alone", *options)
    sets = photo_sets(folder / "round-1", (load_gate(third), load_gate(alone)), cache)
    gates = (first, second, third, alone)
    figures = [evaluation_of_gate(load_gate(gate), sets) for gate in gates]
    tables = funnel(folder / "round-1"), accuracies(figures), error_table(figures)
    text = "\n\n".join((*tables, fixed_points(figures)))
    choices = ("" if head == "gap" else f" --head {head}") + both_phases * " --both-phases"
    write_result(write, f"flywheel-{folder.name}", f"rounds{choices}", text + "\n")


def photo_sets(round_1: Path, last: Sequence[GateModel], cache: Path) -> dict[str, Photos]:
    """The photos that all gates are judged on, by set.

    Args:
        round_1: what was sampled for it was not left for production.
        last: gates of the last round; the field photos that none of them was trained on are taken.
        cache: where scanned photos are remembered.
    """
    manifest = shared() / "data/manifest.csv"
    labels = production_labels()
    sampled = {line["id"] for line in Round.open(round_1).scores()}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["label"]]
    production = [
        LabelledPhoto(
            manifest.parent / row["path"],
            LABELS[labels[row["sha256"]]],
            row["source"],
            PRODUCTION,
        )
        for row in rows
        if row["sha256"] in labels and row["sha256"] not in sampled
    ]
    known = load_dataset(manifest, DataSettings(leave_out=BARE_GROUND), cache)
    sets = {
        TEST: known.test,
        PRODUCTION: tuple(scan_photos(production, cache)[0]),
        GROUND: known.left_out,
    }
    divided = [gather(old_collections(one, ReplaySettings()), [], 1.0, 0, cache) for one in last]
    seen = {photo.group for one in divided for photo in one.dataset.train if photo.group}
    of_field = {photo.sha256: photo for one in divided for photo in one.dataset.photos}
    return sets | {
        FIELD: tuple(
            photo
            for photo in of_field.values()
            if photo.source == FIELD and photo.group not in seen
        )
    }


def funnel(round_1: Path) -> str:
    """From the sample to what the reviewer said of the suspicious, beside the source's."""
    opened = Round.open(round_1)
    labels = opened.labels()
    suspicious = {photo.id for photo in opened.mined() if "at_most" in photo.selected_by}
    said = Counter(labels[photo].label for photo in labels.keys() & suspicious)
    counts = opened.info.counts
    steps = ("sampled", "P(plant) <= 0.6", "labelled other", "labelled plant")
    ours = (counts["sampled"], counts["at_most"], said["other"], said["plant"])
    rows = [
        [step, source, f"{count:,}"]
        for step, source, count in zip(steps, SOURCE_FUNNEL, ours, strict=True)
    ]
    rows.append(["doubtful, left out", "-", f"{said['unsure']:,}"])
    return markdown(["round one", "source", "ours"], rows)


def accuracies(figures: list[Evaluation]) -> str:
    """Accuracy at 0.5 from round to round, beside the source's."""
    plain = [one.figures()["splits"] for one in figures]
    header = ["accuracy", *STAGES]
    rows = [["source, V2 (best head of all: 93.7%)", *SOURCE_ACCURACY, "-"]]
    for name, shown in SETS.items():
        count = plain[0][name]["at_half"]["count"]
        right = [round(count * one[name]["at_half"]["accuracy"]) for one in plain]
        rows.append([f"ours, {shown} ({count})", *(share(hits, count) for hits in right)])
    return markdown(header, rows)


def error_table(figures: list[Evaluation]) -> str:
    """False accepts and false retakes of each gate at its own threshold."""
    header = ["errors, each at its own threshold", *STAGES]
    rows = [["threshold", *(f"{one.threshold:.3f}" for one in figures)]]
    for name, shown in SETS.items():
        labels = figures[0].splits[name].labels
        for place, (error, label) in enumerate((("false accepts", 0), ("false retakes", 1))):
            if count := int(np.sum(labels == label)):
                wrong = (errors(one, name)[place] for one in figures)
                cells = [f"{hits}: {share(hits, count)}" for hits in wrong]
                rows.append([f"{error}, {shown} ({count})", *cells])
    return markdown(header, rows)


def fixed_points(figures: list[Evaluation]) -> str:
    """Errors where each gate makes as many of the other kind as the first; p by luck alone."""
    header = ["at fixed points, p against the first training", *STAGES]
    first, *later = figures
    rows = []
    for name, shown in SETS.items():
        before = first.splits[name]
        points = [
            at_fixed_points(before, one.splits[name], first.threshold, margin=0.0, photos=shown)
            for one in later
        ]
        for changes in zip(*points, strict=True):  # none, if the photos are of one class
            one = changes[0]
            cells = [f"{one.wrong_before}: {share(one.wrong_before, one.count)}"]
            cells += [
                f"{change.wrong_after}: {share(change.wrong_after, change.count)}, "
                f"p = {change.p_value:.2g}"
                for change in changes
            ]
            rows.append([f"{one.error}, {one.source} ({one.count})", *cells])
    return markdown(header, rows)


if __name__ == "__main__":
    main()
