"""A whole round by its five commands, on photos in a folder, with what each of them prints.

    python -m benchmarks.flywheel.walkthrough --write docs/tutorial-round.md

The store is empty before, and the gate is trained on the labelled photos without bare ground, which
is what the round is to teach it. A file of labels plays the reviewer, through the review server's
API.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmarks.flywheel.bench import (
    BACKBONE,
    BARE_GROUND,
    field_photos,
    folder_option,
    shared,
    write_option,
)
from benchmarks.flywheel.commands import Commands
from plantood.defaults import DEFAULT_GATE
from plantood.training.common.tables import write_between_markers
from plantood.training.finetune.settings import NOT_ACCEPTED

PORT = 8400


@click.command(help=__doc__)
@folder_option
@write_option
def main(folder: Path, write: Path | None) -> None:
    """Train, run the five commands, and write them with their output."""
    folder = folder.resolve() / "walkthrough"
    shutil.rmtree(folder, ignore_errors=True)  # what is finished would not be shown again
    lay_out(folder / "photos")
    run = Commands(folder, {"BENTOML_HOME": str(folder / "bentoml")})
    shown = []

    def step(*words: str) -> None:
        shown.append(transcript(words, run(*words, allowed=(0, NOT_ACCEPTED))))

    step(
        *("train", "photos/labelled/", "--backbone", BACKBONE, "--weights", "starter"),
        *("--heads", "gap"),
    )
    step(
        *("mine", "photos/production/", "--gate", DEFAULT_GATE),
        *("--sample", "1500", "--at-most", "0.6"),
        *("--out", "round-1/"),
    )
    shown.append(transcript(("review", "round-1/"), run.review("round-1", PORT)))
    step("negatives", "soil", "photos/fields/", "--out", "soil/")
    step("finetune", DEFAULT_GATE, "round-1/", "soil/")
    step("rounds", DEFAULT_GATE)
    text = "\n\n".join(shown)
    click.echo(text)
    if write:
        write_between_markers(write, "walkthrough", text)


def lay_out(folder: Path) -> None:
    """Copy labelled photos, production photos and field photos into folders of their own."""
    for original, copy in places():
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, folder / copy)


def places() -> Iterator[tuple[Path, Path]]:
    """Each photo, and where in the folder it is to lie."""
    data = shared() / "data"
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = Path(row["source"], Path(row["path"]).name)
            if not row["label"]:
                yield data / row["path"], Path("production") / name
            elif row["source"] not in BARE_GROUND:
                yield data / row["path"], Path("labelled", row["label"]) / name
    for photo in field_photos():
        yield photo, Path("fields", photo.name)


def transcript(words: Sequence[str], output: str) -> str:
    """A command and its output as a console block."""
    lines = [line.rstrip() for line in output.strip().splitlines()]
    return "\n".join(["```console", f"$ plantood {' '.join(words)}", *lines, "```"])


if __name__ == "__main__":
    main()
