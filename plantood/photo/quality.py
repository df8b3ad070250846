"""What can be measured on a photo before the network sees it: pixels in, numbers out.

Every cue is measured on luma at one size (longest side ``SIDE``), so that an original and a copy
reduced to a few hundred pixels give the same number. Thresholds are those of
the policy (:mod:`plantood.model.parts.policy`); ``docs/quality.md`` says how often each refuses
good and bad photos.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plantood.photo.borders import BORDER_SIDE, picture_box
from plantood.photo.images import LoadedImage
from plantood.verdict import Quality

SIDE = 128
"""Longest side, in pixels, at which cues are measured: half of the smallest copies in use, so
that the reduction averages noise and the traces of JPEG away."""

_MOST_ELONGATED = 4
"""Longer side by shorter side, beyond which the shorter one decides how far a photo is reduced:
of a panorama of 20 to 1, six rows would be left."""

_TAPS = 5
"""Length of the second blur, in pixels at ``SIDE``. Blur wider than that counts as no sharpness."""

_NOISE = 48.0
"""Squared differences (grey levels, summed over four directions) that are put down to noise:
without it, a lens covered by a finger is as crisp as its noise."""

_EVEN = 0.4
"""Fine detail in its weakest direction, relative to its strongest, above which it is even."""

_EVEN_AS_COARSE = 0.8
"""The same divided by that of coarse structure; below it, streaks are not the subject's own."""

_BOTH_STREAKY = 0.02
"""Added to both before dividing: where coarse structure is as streaky as can be, fine may be."""

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def measure(image: LoadedImage) -> Quality:
    """Measure all cues of a photo, without the borders and captions around it."""
    luma = picture_luma(image.pixels)
    return Quality(
        width=image.width,
        height=image.height,
        brightness=float(luma.mean()) / 255,
        highlights=highlights(luma),
        shadows=shadows(luma),
        sharpness=sharpness(luma),
    )


def picture_luma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What cues are measured on: the photo itself, without frames, bars and captions at its edges.

    Args:
        pixels: uint8 RGB ``[H, W, 3]``.

    Returns:
        float32 ``[h, w]``, ITU-R BT.601 luma, 0 to 255, reduced to the size at which cues are
        measured; a small photo is not enlarged.
    """
    image = Image.fromarray(pixels).convert("L")
    coarse = reduced(image, BORDER_SIDE)
    left, top, right, bottom = picture_box(np.asarray(coarse, dtype=np.float32))
    if (right - left, bottom - top) != coarse.size:
        x, y = image.width / coarse.width, image.height / coarse.height
        image = image.crop((ceil(left * x), ceil(top * y), int(right * x), int(bottom * y)))
    return np.asarray(reduced(image, SIDE), dtype=np.float32)


def highlights(luma: NDArray[np.float32]) -> float:
    """How bright the bright parts are: 95th percentile of luma, 0 to 1.

    A dark photo is one without bright parts. The mean would refuse dark foliage, too, and the
    maximum would pass a black frame with a speck of light.

    Args:
        luma: float32 ``[h, w]``, 0 to 255, as of :func:`picture_luma`.
    """
    return float(np.percentile(luma, 95)) / 255


def shadows(luma: NDArray[np.float32]) -> float:
    """How bright the dark parts are: 5th percentile of luma, 0 to 1.

    Args:
        luma: As of :func:`highlights`.
    """
    return float(np.percentile(luma, 5)) / 255


def sharpness(luma: NDArray[np.float32]) -> float:
    """How much of a photo's detail a second blur takes away, 0 (blurred) to 1 (crisp).

    :func:`crispness` times :func:`steadiness`: the first sees defocus, a dirty or a covered lens,
    the second motion, which leaves edges along its own direction crisp.

    Args:
        luma: float32 ``[h, w]``, 0 to 255, at the size of :func:`picture_luma`.
    """
    if min(luma.shape) < 2 * _TAPS:
        return 1.0  # nothing can be measured; the photo is too small anyway
    return min(1.0, crispness(luma) * steadiness(luma))


def crispness(luma: NDArray[np.float32]) -> float:
    """Share of the squared differences between neighbours that is lost when blurred again.

    After Crete, Dolmiere, Ladret and Nicolas, "The blur effect: perception and estimation with a
    new no-reference perceptual blur metric", 2007: a sharp picture changes much when it is
    blurred, a blurred one hardly. Here the differences are squared, so that the strongest edges
    decide (a sharp leaf before a smooth background is sharp), taken in four directions, and what
    noise alone would give is added below the line. With ``d`` the difference of neighbours and
    ``b`` the same after a running mean of ``_TAPS`` pixels::

        crispness = sum(max(0, d^2 - b^2)) / (sum(d^2) + noise)

    Args:
        luma: float32 ``[h, w]``, 0 to 255, both sides longer than ``_TAPS``.

    Returns:
        0 to below 1.
    """
    lost = total = 0.0
    for direction in _DIRECTIONS:
        samples = _along(luma, direction, _TAPS)
        middle = _TAPS // 2
        before = (samples[middle + 1] - samples[middle]) ** 2
        # Neighbouring running means differ by their first and last sample only.
        after = ((samples[_TAPS] - samples[0]) / _TAPS) ** 2
        lost += float(np.maximum(0, before - after).mean())
        total += float(before.mean())
    return lost / (total + _NOISE)


def steadiness(luma: NDArray[np.float32]) -> float:
    """1 unless fine detail runs in one direction only, as motion leaves it, then down to 0.

    The eigenvalues of the structure tensor of fine detail are its energies in its weakest and its
    strongest direction; motion wipes the former out. Blades of grass and the veins of a leaf are
    streaky, too, but at every scale, while motion spares coarse structure: so the ratio of the two
    only counts as far as it is lower than the ratio of coarse structure in the same directions.

    Args:
        luma: As of :func:`crispness`.

    Returns:
        Above 0, at most 1.
    """
    (weakest, strongest), axes = np.linalg.eigh(_structure_tensor(luma - _smooth(luma, 2.0)))
    coarse = axes.T @ _structure_tensor(_smooth(luma, 5.0)) @ axes
    fine_ratio = (weakest + 0.5) / (strongest + 0.5)  # the constants keep flat photos at 1
    coarse_ratio = coarse[0, 0] / (coarse[1, 1] + 0.1)
    relative = (fine_ratio + _BOTH_STREAKY) / (coarse_ratio + _BOTH_STREAKY)
    return float(min(1, max(fine_ratio / _EVEN, relative / _EVEN_AS_COARSE)))


def reduced(image: Image.Image, side: int) -> Image.Image:
    """A picture with a longer side of at most ``side``, or more if it is elongated.

    Args:
        image: Of any mode that Pillow can resize.
        side: In pixels, at least 1.

    Returns:
        The same picture where it is small enough.
    """
    scale = max(side / max(image.size), side / _MOST_ELONGATED / min(image.size))
    if scale >= 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _along(
    luma: NDArray[np.float32], direction: tuple[int, int], steps: int
) -> list[NDArray[np.float32]]:
    """Views of ``luma``, all of one shape, shifted by 0 to ``steps`` pixels along a direction."""
    down, right = direction
    height, width = luma.shape[0] - down * steps, luma.shape[1] - abs(right) * steps
    views = []
    for step in range(steps + 1):
        top, left = down * step, step if right > 0 else steps - step if right < 0 else 0
        views.append(luma[top : top + height, left : left + width])
    return views


def _smooth(luma: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur, borders repeated.

    Sums of shifted views: a matrix product would wake the threads of BLAS, which costs more than
    all of this where several photos are measured at once.
    """
    radius = round(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).tolist()
    height, width = luma.shape
    padded = np.pad(luma, ((radius, radius), (0, 0)), "edge")
    luma = sum(weight * padded[i : i + height] for i, weight in enumerate(weights))
    padded = np.pad(luma, ((0, 0), (radius, radius)), "edge")
    luma = sum(weight * padded[:, i : i + width] for i, weight in enumerate(weights))
    return luma


def _structure_tensor(luma: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean outer product of the gradient with itself, float64 ``[2, 2]``."""
    down = luma[1:] - luma[:-1]
    right = luma[:, 1:] - luma[:, :-1]
    x = (right[1:] + right[:-1]) / 2
    y = (down[:, 1:] + down[:, :-1]) / 2
    return np.array(
        [[np.mean(x * x), np.mean(x * y)], [np.mean(x * y), np.mean(y * y)]], np.float64
    )
