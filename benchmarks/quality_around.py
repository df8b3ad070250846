"""What the quality cues say of photos that have something around them: two tables each way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from benchmarks import bad_photos, overlays
from plantood.model.parts.policy import Policy, quality_reasons
from plantood.photo.images import LoadedImage, load_image, load_whole
from plantood.photo.quality import SIDE, highlights, measure, reduced, shadows, sharpness
from plantood.training.common.intervals import share
from plantood.training.common.tables import markdown
from plantood.verdict import ReasonCode

POLICY = Policy()
CHOSEN_ON = frozenset(
    {"apple_plantvillage", "blackgram_field", "citrus_leaves", "maize_plantvillage", "rice_leaf"}
)
"""Sources on which the constants of :mod:`plantood.photo.borders` were chosen."""
BAD: list[tuple[str, Callable, float, ReasonCode]] = [
    ("defocus 0.02", bad_photos.defocus, 0.02, ReasonCode.TOO_BLURRY),
    ("motion 0.1", bad_photos.motion, 0.1, ReasonCode.TOO_BLURRY),
    ("brightness times 0.125", bad_photos.dim, 0.125, ReasonCode.TOO_DARK),
    ("brightness times 16", bad_photos.overexpose, 16.0, ReasonCode.TOO_BRIGHT),
]
LEAVES = (0.05, 0.1, 0.2, 0.35)
PLACES = ((0.5, 0.5), (0.3, 0.65), (0.6, 0.85), (0.5, 0.1), (0.15, 0.4))

Photos = list[tuple[str, np.ndarray]]
"""Source and pixels."""


def reasons(photo: LoadedImage) -> tuple[list[ReasonCode], list[ReasonCode]]:
    """Why a photo is refused if all of the file is measured, and if the photo inside is.

    The former is what was done before borders were looked for.
    """
    grey = reduced(Image.fromarray(photo.pixels).convert("L"), SIDE)
    luma = np.asarray(grey, dtype=np.float32)
    inside = measure(photo)
    whole = inside.model_copy(
        update={
            "brightness": float(luma.mean()) / 255,
            "highlights": highlights(luma),
            "shadows": shadows(luma),
            "sharpness": sharpness(luma),
        }
    )
    return quality_reasons(whole, POLICY), quality_reasons(inside, POLICY)


def at_phone_size(plants: dict[str, list[Path]]) -> Photos:
    """Some photos of each source, large enough for letters to be drawn on them."""
    return [
        (source, overlays.enlarged(load_image(path).pixels))
        for source, paths in plants.items()
        for path in paths
    ]


def caught_around(photos: Photos) -> list[tuple[str, str]]:
    """Titles and tables: how many bad photos get the right reason, whatever is around them."""
    cases = {"nothing": overlays.nothing, **overlays.CASES}
    rows = {name: [name] for name in cases}
    for _, degrade, strength, code in track(BAD, "Bad photos in frames"):
        rng = np.random.default_rng(13)
        bad = [(source, degrade(pixels, strength, rng)) for source, pixels in photos]
        for name, overlay in cases.items():
            hits = []
            for source, pixels in bad:
                whole, inside = reasons(load_image(overlay(pixels, rng)))
                hits.append((source in CHOSEN_ON, code in whole, code in inside))
            rows[name] += [
                share(sum(hit[1] for hit in hits), len(hits)),
                *(
                    share(sum(h[2] for h in hits if h[0] is on), sum(h[0] is on for h in hits))
                    for on in (True, False)
                ),
            ]
    tables = []
    for first, title in ((0, "Blurred"), (2, "Dark and bright")):
        header = ["around the photo"]
        for name, _, _, code in BAD[first : first + 2]:
            said = f"{name}: `{code}`"
            header += [f"{said}, whole file", "photo inside, chosen on", "kept back"]
        columns = slice(1 + 3 * first, 1 + 3 * (first + 2))
        body = [[row[0], *row[columns]] for row in rows.values()]
        tables.append((f"{title} photos with something around them", markdown(header, body)))
    return tables


def lost_around(photos: Photos, originals: Iterable[Path]) -> str:
    """Table: how many good photos are refused, and how many only since borders are looked for."""
    header = ["good photos", "photos", "refused, whole file", "photo inside", "lost", "won"]
    rows = []
    for name, made in track(list(_good(photos, list(originals))), "Good photos in frames"):
        found = [reasons(load_image(pixels)) for pixels in made]
        whole, inside = (sum(bool(pair[i]) for pair in found) for i in (0, 1))
        lost = sum(bool(inside) and not whole for whole, inside in found)
        won = sum(bool(whole) and not inside for whole, inside in found)
        count = len(found)
        rows.append([name, count, share(whole, count), share(inside, count), lost, won])
    return markdown(header, rows)


def _good(photos: Photos, originals: list[Path]) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """Names, and what makes the photos."""
    sharp = [pixels for _, pixels in photos]

    def drawn(overlay: overlays.Overlay) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(17)
        return (overlay(pixels, rng) for pixels in sharp)

    def leaves(of: float) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(19)
        for pixels in sharp:
            blurred = bad_photos.defocus(pixels, 0.03, rng)
            for at in PLACES:
                yield overlays.with_a_sharp_leaf(pixels, blurred, of, at)

    def copies() -> Iterator[np.ndarray]:
        for pixels in sharp:
            yield np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.LANCZOS))

    def cut(width: int, height: int, count: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(23)
        for path in originals:
            whole = load_whole(path)
            for _ in range(count):
                left = int(rng.integers(0, max(1, whole.width - width)))
                top = int(rng.integers(0, max(1, whole.height - height)))
                right, bottom = min(whole.width, left + width), min(whole.height, top + height)
                yield np.asarray(whole.crop((left, top, right, bottom)))

    for name, overlay in {"nothing around": overlays.nothing, **overlays.CASES}.items():
        yield name, drawn(overlay)
    yield "copies of 224 x 224", copies()
    for of in LEAVES:
        yield f"a sharp leaf on {100 * of:g} % before a blur, at five places", leaves(of)
    yield "close-ups: 900 x 700 pixels of an original", cut(900, 700, 30)
    yield "panoramas of 8 to 1 out of an original", cut(3000, 375, 10)
    yield "panoramas of 20 to 1 out of an original", cut(3000, 150, 10)
