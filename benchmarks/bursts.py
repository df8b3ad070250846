"""How many bursts are told as near-duplicates, and how many distinct photos are joined with them.

    python -m benchmarks.bursts --write docs/mining.md

Bursts are made of the photos of the shared folder: each is cut out twice, up to 6 pixels apart, and
compressed anew. Distinct are all of the shared photos; some of them are real near-duplicates.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.label_noise import cached_embeddings, ensure_shared
from plantood.model.entry import open_gate
from plantood.model.runtime import Scorer
from plantood.model.starter import starter_dir
from plantood.photo.images import load_image, to_model_input
from plantood.training.common.intervals import share
from plantood.training.common.settings import CACHE
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.features.cache import batches_of
from plantood.training.mining.alike import LEAST_CORRELATION, LEAST_COSINE
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.hashes import (
    LEAST_ALIKE,
    correlations,
    look_of,
    members_by_group,
    near_duplicate_groups,
    near_duplicates,
)

MARKER = "bursts"
EVERY = 8
"""Every so many photos a burst is made of one."""
SHIFT = 6
"""Pixels that the frames of a burst lie apart, at most."""
LIMITS = (0.75, 0.8, LEAST_ALIKE, 0.9, 0.95)
Pairs = set[tuple[int, int]]


def frame(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A photo cut out somewhere, and compressed anew."""
    height, width = pixels.shape[:2]
    x, y = rng.integers(0, SHIFT + 1, 2)
    cut = pixels[y : height - SHIFT + y, x : width - SHIFT + x]
    buffer = BytesIO()
    Image.fromarray(cut).save(buffer, "JPEG", quality=int(rng.integers(60, 93)))
    return load_image(buffer.getvalue()).pixels


def frames_of_bursts(photos: list[LabelledPhoto], seed: int = 0) -> list[NDArray[np.uint8]]:
    """Two frames of each of some photos, one behind the other."""
    rng = np.random.default_rng(seed)
    chosen = (load_image(photo.path).pixels for photo in photos[::EVERY])
    return [frame(pixels, rng) for pixels in chosen for _ in range(2)]


def embedded(scorer: Scorer, photos: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Embeddings ``[N, C]`` of length 1."""
    images = (to_model_input(pixels, scorer.input_size) for pixels in photos)
    return unit(np.concatenate([scorer.score(batch).embedding for batch in batches_of(images, 32)]))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors ``[N, C]`` of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_embedding(looks: list[bytes], embeddings: NDArray[np.float32]) -> Pairs:
    """Pairs that mining joins by their embeddings, whatever else it joins."""
    low, high = np.nonzero(np.triu(embeddings @ embeddings.T >= LEAST_COSINE, 1))
    pairs = np.c_[low, high]
    return as_pairs(pairs[correlations(looks, pairs) >= LEAST_CORRELATION])


def as_pairs(pairs: NDArray[np.int64]) -> Pairs:
    """A set of them."""
    return {(low, high) for low, high in pairs.tolist()}


def row(name: str, found: Pairs, count: int, joined: Pairs) -> list[str]:
    """Bursts found, and distinct photos joined."""
    hits = sum((2 * n, 2 * n + 1) in found for n in range(count))
    return [name, f"{hits} of {count}: {share(hits, count)}", str(len(joined))]


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
    """Measure both."""
    shared = ensure_shared()
    photos, embeddings = cached_embeddings(shared, cache)
    frames = frames_of_bursts(photos)
    looks = [look_of(pixels) for pixels in frames]
    distinct = [photo.look for photo in photos]
    rows = [
        row(
            f"looks correlate by {limit:g}" + (" (division)" if limit == LEAST_ALIKE else ""),
            as_pairs(near_duplicates(looks, limit)),
            len(frames) // 2,
            as_pairs(near_duplicates(distinct, limit)),
        )
        for limit in LIMITS
    ]
    near, joined = (as_pairs(near_duplicates(some)) for some in (looks, distinct))
    scorer = open_gate(starter_dir()).scorer()
    near |= by_embedding(looks, embedded(scorer, frames))
    joined |= by_embedding(distinct, unit(embeddings))
    name = f"{LEAST_ALIKE:g}, or {LEAST_CORRELATION:g} and cosine {LEAST_COSINE:g} (mining)"
    rows.append(row(name, near, len(frames) // 2, joined))
    sizes = [len(group) for group in members_by_group(near_duplicate_groups(distinct)).values()]
    text = (
        f"`python -m benchmarks.bursts --write docs/mining.md`\n\n{len(frames) // 2:,} bursts of "
        f"two frames, up to {SHIFT} pixels apart, and {len(photos):,} distinct photos, which make "
        f"{len(photos) * (len(photos) - 1) // 2:,} pairs. The largest group that division makes of "
        f"these has {max(sizes)} photos, and {sum(size > 1 for size in sizes)} groups have more "
        "than one.\n\n"
        + markdown(["near-duplicates if", "bursts found", "pairs of distinct photos joined"], rows)
    )
    click.echo(text)
    if write is not None:
        write_between_markers(write, MARKER, text)


if __name__ == "__main__":
    main()
