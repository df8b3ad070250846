"""Where a plant stands in a photo: masks from colour alone, no model.

Two cues, each a pure function from pixels to a number, and one threshold for both:

* excess green (Woebbecke et al. 1995, *Color indices for weed identification under various
  soil, residue, and lighting conditions*, Trans. ASAE 38(1)), for plants on the ground;
* chroma (largest minus smallest channel), for leaves on a black, grey or white table;
* Otsu's threshold (Otsu 1979, *A threshold selection method from gray-level histograms*,
  IEEE Trans. SMC 9(1)), which splits a histogram where the variance between its halves peaks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plantood.training.photos.augment import Photo

Mask = NDArray[np.bool_]
"""``[height, width]``, True where a plant stands."""

MIN_EXCESS_GREEN = 0.06
"""Below it nothing counts as green, wherever Otsu cuts: bare soil has two halves as well."""
MIN_CHROMA = 0.10
"""The same floor for chroma: a grey table under a coloured lamp is no leaf."""


def excess_green(photo: Photo) -> NDArray[np.float32]:
    """Excess green ``2g - r - b`` of the chromatic coordinates: ``[height, width]``, -1..2."""
    rgb = photo.astype(np.float32)
    total = rgb.sum(axis=-1)
    green = rgb[..., 1]
    # 2g - r - b = 3g - 1, as r + g + b = 1. A black pixel has no colour: 0.
    index = 3.0 * green / np.maximum(total, 1.0) - 1.0
    coloured: NDArray[np.float32] = np.where(total < 30.0, 0.0, index).astype(np.float32)
    return coloured


def chroma(photo: Photo) -> NDArray[np.float32]:
    """Largest minus smallest channel: ``[height, width]``, 0 (grey) to 1 (pure colour)."""
    largest, smallest = photo.max(axis=-1).astype(np.float32), photo.min(axis=-1)
    spread: NDArray[np.float32] = ((largest - smallest) / 255.0).astype(np.float32)
    return spread


def otsu_threshold(values: NDArray[np.float32], bins: int = 128) -> float:
    """The value that best splits ``values`` in two classes (Otsu 1979); any shape, any range."""
    counts, edges = np.histogram(values, bins=bins)
    if np.count_nonzero(counts) < 2:
        return float(edges[-1])
    centres = 0.5 * (edges[:-1] + edges[1:])
    weight = counts / counts.sum()
    below = np.cumsum(weight)
    mean_below = np.cumsum(weight * centres)
    mean = mean_below[-1]
    spread = below * (1.0 - below)
    between = np.divide(
        (mean * below - mean_below) ** 2, spread, out=np.zeros_like(spread), where=spread > 1e-9
    )
    return float(edges[int(np.argmax(between)) + 1])


def vegetation_mask(photo: Photo) -> Mask:
    """Green plants on the ground: excess green above Otsu's threshold and above a floor."""
    index = excess_green(photo)
    return _smooth(index > max(otsu_threshold(index), MIN_EXCESS_GREEN))


def table_leaf_mask(photo: Photo) -> Mask:
    """A leaf on a black, grey or white table: chroma above most of Otsu's threshold and a floor.

    A leaf has pale veins and spots as well, so the cut is set below the middle of the histogram.
    """
    colour = chroma(photo)
    return _smooth(colour > max(0.65 * otsu_threshold(colour), MIN_CHROMA))


def _smooth(mask: Mask) -> Mask:
    """Specks and pinholes removed by a median over 5x5 pixels."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MedianFilter(5))
    return np.asarray(picture) > 127
