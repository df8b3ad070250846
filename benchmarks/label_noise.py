"""How many wrong labels are found, and how far one has to look.

    python -m benchmarks.label_noise --write docs/review.md

Flips some of the labels of the photos of the shared folder and ranks the photos by what
``plantood.training.judging.wrong_labels`` makes of the embeddings of the starter gate. Its backbone
is ImageNet's and has seen none of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from plantood.training.common.intervals import share
from plantood.training.common.settings import CACHE
from plantood.training.common.shared import VARIABLE, shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.features.scoring import score_photos
from plantood.training.files.atomic import write_bytes
from plantood.training.judging.wrong_labels import find_label_errors
from plantood.training.photos.data import LabelledPhoto, find_data
from plantood.training.photos.division.splits import joined_groups
from plantood.training.photos.scan import scan_photos

MARKER = "label-noise"
SEEDS = 5
FLIPPED = 0.05
"""Share of the labels."""
LOOKED_AT = (0.05, 0.10)
"""Shares of the photos that a reviewer looks at, the most suspected first."""


@dataclass(frozen=True)
class Found:
    """What one draw of flipped labels came to.

    Attributes:
        flipped: Labels that were flipped.
        among: Of them among the first photos, by the shares of `LOOKED_AT`.
        first: Of as many first photos as labels were flipped, those whose label was.
        suspects: Photos that are suspected.
        right: Of them, those whose label was flipped.
    """

    flipped: int
    among: tuple[int, ...]
    first: int
    suspects: int
    right: int


def flip_and_find(
    features: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> Found:
    """Flip labels at random, groups or not, and look for them."""
    rng = np.random.default_rng(seed)
    flipped = rng.choice(len(labels), round(FLIPPED * len(labels)), replace=False)
    wrong = np.zeros(len(labels), bool)
    wrong[flipped] = True
    found = find_label_errors(features, np.where(wrong, 1 - labels, labels), groups, seed=seed)
    hits = np.cumsum(wrong[found.ranked])
    return Found(
        flipped=len(flipped),
        among=tuple(int(hits[round(part * len(labels)) - 1]) for part in LOOKED_AT),
        first=int(hits[len(flipped) - 1]),
        suspects=len(found.suspects),
        right=int(wrong[found.suspects].sum()),
    )


def table(found: list[Found], photos: int) -> str:
    """Every seed, and all together."""
    total = Found(
        sum(one.flipped for one in found),
        tuple(sum(parts) for parts in zip(*(one.among for one in found), strict=True)),
        sum(one.first for one in found),
        sum(one.suspects for one in found),
        sum(one.right for one in found),
    )
    header = ["seed", "labels flipped", *(f"found among the first {p:.0%}" for p in LOOKED_AT)]
    header += ["suspected", "of these flipped", "of the flipped, suspected"]
    rows = [
        [
            name,
            str(one.flipped),
            *(share(hits, one.flipped) for hits in one.among),
            str(one.suspects),
            share(one.right, one.suspects),
            share(one.right, one.flipped),
        ]
        for name, one in [*((str(n), one) for n, one in enumerate(found)), ("all", total)]
    ]
    return (
        f"{photos:,} photos; shares with 95 % intervals (Wilson). All seeds flip labels of "
        "the same photos, so the intervals of the last row are somewhat narrow.\n\n"
        f"{markdown(header, rows)}"
    )


def ensure_shared() -> Path:
    """The shared folder.

    Raises:
        ClickException: it is not there.
    """
    shared = shared_dir()
    if shared is None:
        raise click.ClickException(f"the photos are not there; set {VARIABLE}")
    return shared


def cached_embeddings(shared: Path, cache: Path) -> tuple[list[LabelledPhoto], NDArray[np.float32]]:
    """All labelled photos and their embeddings ``[N, C]`` by the starter gate, kept in a folder."""
    photos, _ = scan_photos(find_data(shared / "data" / "manifest.csv").photos, cache)
    file = cache / "starter-embeddings.npz"
    if not file.exists():
        scores = score_photos(open_gate(starter_dir()).scorer(), tuple(photos), "Embedding")
        out = BytesIO()
        np.savez(out, embedding=scores.embedding, sha256=np.array([p.sha256 for p in photos]))
        write_bytes(file, out.getvalue())
    by_digest = {photo.sha256: photo for photo in photos}
    with np.load(file, allow_pickle=False) as arrays:
        return [by_digest[digest] for digest in arrays["sha256"].tolist()], arrays["embedding"]


@click.command()
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Document.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=CACHE,
    show_default=True,
    help="Folder where scanned photos and their embeddings are kept.",
)
def main(write: Path | None, cache: Path) -> None:
    """Flip labels and count those that are found."""
    photos, features = cached_embeddings(ensure_shared(), cache)
    labels = np.array([photo.label for photo in photos])
    groups = joined_groups(photos)
    found = [flip_and_find(features, labels, groups, seed) for seed in range(SEEDS)]
    text = "`python -m benchmarks.label_noise --write docs/review.md`\n\n" + table(
        found, len(photos)
    )
    click.echo(text)
    if write is not None:
        write_between_markers(write, MARKER, text)


if __name__ == "__main__":
    main()
