"""How long it takes to train without each source in turn: the first time, and on cached features.

    python -m benchmarks.leaving_out --write docs/measurements.md

Whole commands are timed, from their start to the report, the start of TensorFlow among it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.starter.roles import TOGETHER

OPTIONS = [
    *("--backbone", "efficientnet_lite0", "--weights", "starter"),
    *(word for unit in TOGETHER for word in ("--together", ",".join(sorted(unit)))),
]
RUNS = "the first time: photos read, features computed", "again, on cached features"


@click.command(help=__doc__)
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Document.")
def main(write: Path | None) -> None:
    """Measure, print the table, and write it between its markers."""
    shared = shared_dir()
    if shared is None:
        raise click.ClickException(f"the shared photos are not here; name them in {VARIABLE}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, what in enumerate(RUNS):
            runs = Path(folder, str(number))  # of its own: one that is complete is not done again
            seconds, report = leave_out(shared / "data/manifest.csv", folder, runs)
            rows.append([what, f"{seconds:.0f} s"])
    text = table(report, rows)
    click.echo(text)
    if write:
        command = f"```console\n$ python -m benchmarks.leaving_out --write {write}\n```"
        write_between_markers(write, "leaving-out", f"{command}\n\n{text}")


def leave_out(manifest: Path, folder: str, runs: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of one command, and its report."""
    words = ["leave-one-out", manifest, *OPTIONS, "--cache", f"{folder}/cache"]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "plantood", *words, "--runs", runs],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    (report,) = runs.glob("*/report.json")
    return seconds, json.loads(report.read_text(encoding="utf-8"))


def table(report: dict[str, Any], rows: list[list[str]]) -> str:
    """What was left out of what, and the seconds."""
    folds = report["folds"]
    photos, sources = sum(one["count"] for one in folds), len({one["source"] for one in folds})
    shown = " ".join(["plantood", "leave-one-out", f"${VARIABLE}/data/manifest.csv", *OPTIONS])
    return (
        f"`{shown}`: {photos:,} photos of {sources} sources, head {folds[0]['head']}.\n\n"
        f"{markdown(['the whole command', 'seconds'], rows)}\n"
    )


if __name__ == "__main__":
    main()
