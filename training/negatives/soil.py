"""Bare ground between the plants of one photo: pixels in, windows out, and why others are not.

The vegetation is told by excess green and Otsu's threshold (`photos.vegetation`), the
largest windows without any are proposed, and each is looked at once more: the network is to learn
from it that this is *no plant*, so one leaf in it does more harm than ten windows missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plantood.model.parts.policy import Policy, explain, quality_reasons
from plantood.photo.images import load_image
from plantood.photo.quality import measure
from plantood.training.negatives.windows import Square, empty_squares
from plantood.training.photos.augment import Photo
from plantood.training.photos.vegetation import (
    MIN_EXCESS_GREEN,
    Mask,
    chroma,
    excess_green,
    otsu_threshold,
    vegetation_mask,
)

MAX_MEAN_GREEN = 0.10
"""Mean excess green above which ground is grown over, as moss or leaves out of focus are. Bare
soil of the field photos that this was set on had at most 0.08; leaves alone have 0.2 to 0.9."""
LEAF_CUT, LEAF_STRENGTH, LEAF_SHARE = 0.5, 0.2, 0.0005
"""A window still holds leaves if more than ``LEAF_SHARE`` of its pixels have an excess green above
``LEAF_CUT`` times the photo's threshold, and at least ``LEAF_STRENGTH`` of the full scale in
``2G - R - B``: in dark pixels the chromatic coordinates are noise. Set on the field photos that
docs/flywheel.md measures."""
DISTANCE = 0.006
"""Kept between a window and vegetation, as a share of the photo's shorter side: the outline of a
leaf is pale, and its shadow belongs to it."""
MIN_CHROMA = 0.03
"""Photos whose most colourful pixels (99.9th percentile of chroma) stay below it have no colour."""


@dataclass(frozen=True)
class Refused:
    """A window that is no negative."""

    square: Square
    reason: str


@dataclass(frozen=True)
class Cut:
    """What was found in one photo, each from the largest to the smallest."""

    accepted: tuple[Square, ...]
    refused: tuple[Refused, ...]
    reason: str = ""
    """Why there is nothing to be found at all; empty otherwise."""
    vegetation: float = 0.0
    """Share of the photo, 0..1."""


def bare_windows(photo: Photo, *, least_side: int, at_most: int) -> Cut:
    """The largest windows of bare ground in a photo, uint8 RGB ``[H, W, 3]``.

    Args:
        photo: at the resolution at which it is to be cut.
        least_side: smallest side of a window, in pixels.
        at_most: windows to accept; the search ends with them.
    """
    if np.percentile(chroma(photo), 99.9) < MIN_CHROMA:
        return Cut((), (), "it has no colour, so that leaves cannot be told from the ground")
    vegetation, threshold = ground_vegetation(photo)
    if vegetation.all():
        return Cut((), (), "there is vegetation everywhere")
    accepted: list[Square] = []
    refused: list[Refused] = []
    distance = round(DISTANCE * min(vegetation.shape))
    for square in empty_squares(vegetation, least_side, distance=distance):
        if reason := why_not(photo[square.place], threshold):
            refused.append(Refused(square, reason))
        else:
            accepted.append(square)
        if len(accepted) == at_most:
            break
    nothing = not (accepted or refused)
    reason = f"no window of {least_side} pixels is free of vegetation" if nothing else ""
    return Cut(tuple(accepted), tuple(refused), reason, float(vegetation.mean()))


def ground_vegetation(photo: Photo) -> tuple[Mask, float]:
    """Where plants stand, ``[H, W]``, and the threshold of excess green that says so.

    Otsu's threshold cuts every photo in two. If the greener half of bare ground is not green, the
    floor of `vegetation_mask` keeps it bare; if even the less green half
    is green, all of it is vegetation.
    """
    index = excess_green(photo)
    otsu = otsu_threshold(index)
    below = index[index <= otsu]
    if below.size and float(below.mean()) > MAX_MEAN_GREEN:
        return np.ones(index.shape, bool), MIN_EXCESS_GREEN
    return vegetation_mask(photo), max(otsu, MIN_EXCESS_GREEN)


def why_not(window: Photo, threshold: float) -> str:
    """Why a window is no negative; empty if it is one.

    Args:
        window: uint8 RGB ``[H, W, 3]``.
        threshold: of excess green, of the photo that it is from.
    """
    smooth = np.asarray(Image.fromarray(window).filter(ImageFilter.MedianFilter(5)))
    index = excess_green(smooth)
    if (mean := float(index.mean())) > MAX_MEAN_GREEN:
        return f"green all over (mean excess green {mean:.2f})"
    leaves = (index > LEAF_CUT * threshold) & (_strength(smooth) > LEAF_STRENGTH)
    if (share := float(leaves.mean())) > LEAF_SHARE:
        return f"still holds leaves ({share:.2%} of it)"
    quality, policy = measure(load_image(np.ascontiguousarray(window))), Policy()
    codes = quality_reasons(quality, policy)
    return "; ".join(f"{code.value} ({explain(code, quality, policy)})" for code in codes)


def _strength(photo: Photo) -> NDArray[np.float32]:
    """``(2G - R - B) / 255``: ``[H, W]``, -2..2; excess green without dividing by the light."""
    rgb = photo.astype(np.float32)
    strength: NDArray[np.float32] = (2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2]) / np.float32(255)
    return strength
