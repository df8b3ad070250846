"""How often the quality cues refuse good photos, and how often they catch bad ones.

    python -m benchmarks.quality_cues

measures with the policy's defaults on the photos of the shared folder and writes the tables
between the two markers of ``docs/quality.md``.
"""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import click
import numpy as np
from PIL import Image
from rich.progress import track

from benchmarks import bad_photos
from benchmarks.quality_around import at_phone_size, caught_around, lost_around, reasons
from plantood.model.parts.policy import Policy, quality_reasons
from plantood.photo.images import LoadedImage, load_image
from plantood.photo.quality import measure
from plantood.training.common.intervals import share
from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.verdict import Quality, ReasonCode

DOCUMENT = Path(__file__).parents[1] / "docs" / "quality.md"
MARKER = "quality_cues"
MANIFEST = Path("data", "manifest.csv")
CUES = (
    ReasonCode.TOO_SMALL,
    ReasonCode.TOO_DARK,
    ReasonCode.TOO_BRIGHT,
    ReasonCode.TOO_BLURRY,
)
DEGRADATIONS: list[tuple[str, Callable, ReasonCode, tuple[float, ...]]] = [
    ("defocus, sigma / longest side", bad_photos.defocus, ReasonCode.TOO_BLURRY,
     (0.005, 0.01, 0.015, 0.02, 0.03, 0.05)),
    ("motion, length / longest side", bad_photos.motion, ReasonCode.TOO_BLURRY,
     (0.02, 0.04, 0.06, 0.1, 0.15, 0.2)),
    ("brightness times", bad_photos.dim, ReasonCode.TOO_DARK, (0.5, 0.25, 0.125, 0.0625)),
    ("brightness times", bad_photos.overexpose, ReasonCode.TOO_BRIGHT, (2, 4, 8, 16)),
]  # fmt: skip
POLICY = Policy()


def refused(quality: Quality) -> list[ReasonCode]:
    """Why the default policy refuses a photo."""
    return quality_reasons(quality, POLICY)


def of_pixels(pixels: np.ndarray) -> Quality:
    """Measure an array as if it had been sent."""
    return measure(load_image(pixels))


def photos_by_source(shared: Path) -> dict[tuple[str, str], list[Path]]:
    """(label, source) -> photos, in an order that does not depend on the source's own."""
    found = defaultdict(list)
    with (shared / MANIFEST).open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"]:
                found[row["label"], row["source"]].append((row["sha256"], row["path"]))
    return {
        key: [shared / "data" / path for _, path in sorted(rows)]
        for key, rows in sorted(found.items(), key=lambda item: (item[0][0] != "plant", item[0]))
    }


def false_retakes(photos: dict[tuple[str, str], list[Path]]) -> str:
    """Table: share of each source refused by each cue."""
    header = ["source", "label", "photos", *(f"`{code}`" for code in CUES), "any (95 % interval)"]
    header += ["lost", "won"]
    rows = []
    for (label, source), paths in track(photos.items(), "Good photos"):
        found = [reasons(load_image(path)) for path in paths]
        counts = Counter(code for _, inside in found for code in inside)
        lost = sum(bool(inside) and not whole for whole, inside in found)
        won = sum(bool(whole) and not inside for whole, inside in found)
        any_cue = share(sum(bool(inside) for _, inside in found), len(paths))
        shares = [percent(counts[code] / len(paths)) for code in CUES]
        rows.append([source, label, len(paths), *shares, any_cue, lost, won])
    return markdown(header, rows)


def caught(photos: dict[tuple[str, str], list[Path]], sample: int) -> str:
    """Table: share of degraded plant photos that the cue meant for them catches."""
    header = ["what was done to the plant photos", "cue", "caught (95 % interval)"]
    header += ["least of a source"]
    rows = []
    plants = {
        source: paths[:sample] for (label, source), paths in photos.items() if label == "plant"
    }
    pixels = {
        source: [load_image(path).pixels for path in paths] for source, paths in plants.items()
    }
    for name, degrade, code, strengths in track(DEGRADATIONS, "Bad photos"):
        for strength in strengths:
            shares, total = {}, 0
            for source, images in pixels.items():
                rng = np.random.default_rng(7)
                hits = [code in refused(of_pixels(degrade(x, strength, rng))) for x in images]
                shares[source] = sum(hits) / len(hits)
                total += sum(hits)
            least = min(shares, key=shares.__getitem__)
            count = sum(map(len, pixels.values()))
            named = f" ({least})" if 0 < shares[least] < 1 else ""
            worst = percent(shares[least]) + named
            rows.append([f"{name} {strength:g}", f"`{code}`", share(total, count), worst])
    return markdown(header, rows)


def caught_from_nothing(count: int) -> str:
    """Table: share of black frames and covered lenses that any cue catches."""
    header = ["generated", "photos", "caught by", "caught (95 % interval)"]
    rows = []
    sizes = [(256, 192), (640, 480), (1280, 960)]
    for name, make in (
        ("black frame from a pocket", bad_photos.pocket),
        ("finger over the lens", bad_photos.covered_lens),
    ):
        rng = np.random.default_rng(11)
        found = [refused(of_pixels(make(rng, sizes[i % 3]))) for i in range(count)]
        by = Counter(code for reasons in found for code in reasons)
        cues = ", ".join(f"`{code}` {percent(n / count)}" for code, n in by.most_common())
        rows.append([name, count, cues, share(sum(map(bool, found)), count)])
    return markdown(header, rows)


def agreement(originals: Iterable[Path]) -> str:
    """Table: sharpness and highlights of originals and of their reduced copies."""
    sides = (1024, 512, 256)
    reduced = [f"at {side} px" for side in sides]
    header = ["original", "sharpness", *reduced, "highlights", *reduced, "ms at best"]
    rows = []
    for path in originals:
        with Image.open(path) as image:
            whole = image.convert("RGB")
        measured = [measure(load_image(path))]
        measured += [measure(reduced_copy(whole, side)) for side in sides]
        rows.append(
            [
                path.stem.rpartition("_")[0],
                *(f"{quality.sharpness:.2f}" for quality in measured),
                *(f"{quality.highlights:.2f}" for quality in measured),
                milliseconds(load_image(path)),
            ]
        )
    return markdown(header, rows)


def reduced_copy(image: Image.Image, side: int) -> LoadedImage:
    """A copy as the data sets hold it: reduced, saved as JPEG, loaded again."""
    copy = image.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = BytesIO()
    copy.save(file, "JPEG", quality=90)
    return load_image(file.getvalue())


def percent(share: float) -> str:
    """0.0171 -> 1.7%."""
    return "0" if share == 0 else f"{100 * share:.1f}%"


def milliseconds(photo: LoadedImage) -> str:
    """Shortest of some times of measuring all cues: other work on the machine does not count."""
    times = []
    for _ in range(15):
        started = time.perf_counter()
        measure(photo)
        times.append(time.perf_counter() - started)
    return f"{1000 * min(times):.1f}"


@click.command(help=__doc__)
@click.option("--sample", default=60, show_default=True, help="Plant photos degraded per source.")
@click.option("--generated", default=300, show_default=True, help="Photos made from nothing.")
@click.option("--around", default=20, show_default=True, help="Others, put in frames, per source.")
def main(sample: int, generated: int, around: int) -> None:
    """Measure and write the tables; without the photos nothing, so that others may follow it."""
    shared = shared_dir()
    if shared is None or not (shared / MANIFEST).is_file():
        click.echo(f"Left out, since the photos are not there: set {VARIABLE} to their folder.")
        return
    photos = photos_by_source(shared)
    originals = sorted((shared / "data" / "originals").glob("*.jpg"))
    framed = at_phone_size(
        {
            source: paths[sample : sample + around]
            for (label, source), paths in photos.items()
            if label == "plant"
        }
    )
    large = [path for path in originals if "receipts" not in path.name and "500x" not in path.name]
    sections = [
        ("Photos refused, by source", false_retakes(photos)),
        ("Bad photos caught", caught(photos, sample)),
        *caught_around(framed),
        ("Good photos with something around them", lost_around(framed, large)),
        ("Photos without a scene", caught_from_nothing(generated)),
        ("Originals and their reduced copies", agreement(originals)),
    ]
    text = "\n\n".join(f"### {title}\n\n{table}" for title, table in sections)
    write_between_markers(DOCUMENT, MARKER, text)
    click.echo(text)


if __name__ == "__main__":
    main()
