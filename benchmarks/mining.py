"""What mining costs: seconds and peak memory at several numbers of photos, and for 400,000.

    python -m benchmarks.mining --write docs/mining.md

Real photos are repeated under new names and with new bytes (a JPEG comment with a number), so that
every one of them is read, decoded and scored. Each row is a run of ``plantood mine`` in
a process of its own, from its start to its end, and the peak of its resident memory. One row draws
a sample from 400,000 names (several links to each file). Beside it stands what one would write by
hand, which only scores.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from plantood.cli.check import SAMPLES
from plantood.model.starter import install_starter
from plantood.model.store import load_gate
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.rounds.layout import Round

MANY = 400_000
"""Photos that the source project had."""
SAMPLE = 5_000
"""Photos that it drew."""
PER_FOLDER = 1_000

console = Console(stderr=True)


@dataclass(frozen=True)
class Run:
    """One process: what it was, seconds of wall clock, peak resident memory in bytes."""

    what: str
    photos: int
    mined: int | None
    """Photos copied for review; None by hand."""
    seconds: float
    peak_bytes: int


@click.command()
@click.option("--photos", default="1000,5000,20000", show_default=True, help="Numbers of photos.")
@click.option("--large", default=200, show_default=True, help="Photos as cameras write them.")
@click.option("--names", default=MANY, show_default=True, help="Names to draw a sample from.")
@click.option("--gate", default="plantood-gate:starter", show_default=True, help="Tag.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="For the photos (20,000 of them take 0.4 GB).  [default: a temporary one]",
)
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Document.")
def main(  # noqa: PLR0917 (click calls it by name)
    photos: str,
    large: int,
    names: int,
    gate: str,
    engine: str,
    folder: Path | None,
    write: Path | None,
) -> None:
    """Measure, print the table, and write it between its markers."""
    counts = [int(count) for count in photos.split(",")]
    with tempfile.TemporaryDirectory(dir=folder) as made:
        text = measure(Path(made), counts, large, names, gate=gate, engine=engine)
    click.echo(text)
    if write:
        command = f"`python -m benchmarks.mining --write {write}`"
        write_between_markers(write, "mining", f"{command}\n\n{text}")


def measure(
    folder: Path, counts: Sequence[int], large: int, names: int, *, gate: str, engine: str
) -> str:
    """The table, as Markdown."""
    install_starter()
    model, options = load_gate(gate).keras_path, ["--gate", gate, "--engine", engine]
    small = base_photos()
    counts = sorted(counts)
    by_count = []
    for count in counts:
        repeat(small, folder / "photos", count)
        by_count.append(mine(folder, f"{count:,} photos", ["--sample", "all", *options]))
        if count == counts[len(counts) // 2]:
            hand = by_hand(f"{count:,} photos, by hand", model, folder / "photos", count)
            pairs = [(by_count[-1], hand)]
    runs = [*by_count, hand]
    if names:
        listed = folder / "names.txt"
        link(folder / "photos", folder / "links", names)
        listed.write_text("\n".join(str(p) for p in sorted((folder / "links").glob("*/*"))))
        sample = str(min(SAMPLE, max(counts) // 4))
        what = f"{int(sample):,} drawn from {names:,} names"
        runs.append(mine(folder, what, ["--sample", sample, *options], listed))
    shared = shared_dir()
    camera = sorted((shared / "data" / "originals").glob("*.jpg")) if shared else []
    if large and camera:
        repeat(camera, folder / "large", large)
        what = f"{large:,} as cameras wrote them (0.25 to 35 megapixels)"
        runs.append(mine(folder, what, ["--sample", "all", *options], folder / "large"))
        runs.append(by_hand(f"{what}, by hand", model, folder / "large", large))
        pairs.append((runs[-2], runs[-1]))
    return report(runs, by_count, pairs, small)


def report(
    runs: Sequence[Run],
    by_count: Sequence[Run],
    pairs: Sequence[tuple[Run, Run]],
    base: Sequence[Path],
) -> str:
    """Table and what follows from it: a line through the measured numbers of photos."""
    header = ["photos", "scored", "to review", "seconds", "photos/s", "peak memory MB"]
    rows = [
        [
            r.what,
            f"{r.photos:,}",
            "-" if r.mined is None else f"{r.mined:,}",
            f"{r.seconds:.1f}",
            f"{r.photos / r.seconds:.1f}",
            f"{r.peak_bytes / 1e6:.0f}",
        ]
        for r in runs
    ]
    text = (
        f"{len(base):,} photos, longest side 256 pixels unless it says otherwise, repeated with "
        f"new bytes; {os.cpu_count()} cores. *By hand* is "
        "`keras.utils.image_dataset_from_directory` and `keras.Model.predict` of the same "
        f"network.\n\n{markdown(header, rows)}\n"
    )
    ratios = " and ".join(f"{hand.seconds / ours.seconds:.1f}" for ours, hand in pairs)
    text += f"\n`mine` is {ratios} times as fast as by hand.\n"
    if len(by_count) > 1:
        numbers = np.array([r.photos for r in by_count])
        slope, start = np.polyfit(numbers, [r.seconds for r in by_count], 1)
        memory = np.polyfit(numbers, [r.peak_bytes for r in by_count], 1)[0]
        growth = f"grows by {memory:.0f} bytes a photo" if memory > 0 else "does not grow with them"
        text += (
            f"\nSeconds = {start:.1f} + {slope * 1000:.2f} for every 1,000 photos: {MANY:,} would "
            f"take {(start + slope * MANY) / 60:.0f} minutes. Memory {growth}.\n"
        )
    return text


def mine(folder: Path, what: str, options: Sequence[str], source: Path | None = None) -> Run:
    """Mine once, into a round that is then removed."""
    out = folder / "round"
    words = ["plantood", "mine", str(source or folder / "photos"), "--out", str(out), *options]
    seconds, peak = timed(what, words)
    counts = Round.open(out).info.counts
    shutil.rmtree(out)
    return Run(what, counts["scored"], counts["mined"], seconds, peak)


def by_hand(what: str, model: Path, photos: Path, count: int) -> Run:
    """Score a folder as one would by hand."""
    with tempfile.TemporaryDirectory() as out:
        words = ["benchmarks.handwritten_scoring", str(model), str(photos), f"{out}/scores.csv"]
        seconds, peak = timed(what, words)
        scored = len(Path(out, "scores.csv").read_text().splitlines()) - 1
    if scored != count:
        raise click.ClickException(f"{scored} photos of {count} were scored by hand")
    return Run(what, scored, None, seconds, peak)


def timed(what: str, module: Sequence[str]) -> tuple[float, int]:
    """Run a module in a process of its own: its seconds, and the peak of its memory in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *module], stdout=subprocess.DEVNULL, stderr=sys.stderr
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise click.ClickException(f"it failed: {what}")
    console.print(f"{what}: {seconds:.1f} s")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def base_photos() -> list[Path]:
    """Real photos in a fixed random order: the shared ones, else the samples that ship."""
    shared = shared_dir()
    if shared is None:
        return [path for path in sorted(SAMPLES.glob("*.jpg")) if "broken" not in path.name]
    from plantood.training.photos.data import find_data

    photos = [photo.path for photo in find_data(shared / "data" / "manifest.csv").photos]
    random.Random(0).shuffle(photos)
    return photos


def repeat(base: Sequence[Path], folder: Path, count: int) -> None:
    """Fill a folder up to ``count`` photos, each with bytes of its own."""
    for number, photo in zip(range(count), itertools.cycle(base), strict=False):
        path = folder / f"{number // PER_FOLDER:04}" / f"{number:07}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(numbered(photo.read_bytes(), number))


def numbered(photo: bytes, number: int) -> bytes:
    """The JPEG with a comment behind its first marker: other bytes, the same pixels."""
    comment = f"{number:010}".encode()
    return photo[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + photo[2:]


def link(files: Path, folder: Path, count: int) -> None:
    """``count`` names for the photos of a folder."""
    photos = sorted(files.glob("*/*"))
    for number, photo in zip(range(count), itertools.cycle(photos), strict=False):
        path = folder / f"{number // PER_FOLDER:04}" / f"{number:07}.jpg"
        if not number % PER_FOLDER:
            path.parent.mkdir(parents=True)
        os.link(photo, path)


if __name__ == "__main__":
    main()
