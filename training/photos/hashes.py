"""What photos look like, small: and which of them show the same, taken once more.

A burst shows one scene several times: a few pixels apart, compressed anew each time. The grey photo
at 32x32 is kept as its *look*. Two looks are compared as in image registration: the product of
their spectra is their correlation at every shift, also by parts of a pixel (Reddy and Chatterji
1996, *An FFT-based technique for translation, rotation, and scale-invariant image registration*,
https://doi.org/10.1109/83.506761, section II), and the best of the small shifts counts. The roots
of all frequencies are taken first, half way to the paper's phase correlation, or the one edge of a
horizon or of a long leaf would be all that counts; and low frequencies weigh less: that a leaf lies
in the middle of a table does not make it the same leaf.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
LOOK = SIDE * SIDE
"""Bytes of a look."""
LEAST_ALIKE = 0.85
"""Correlation from which two photos show the same; `benchmarks.bursts` measures it."""
CANDIDATE = 0.6
"""Correlation of the coarse gradients from which two looks are compared at all."""
LONGEST_SHIFT, STEP = 0.8, 0.4
"""In pixels of a look: a fortieth of the photo's side, 6 of 256 pixels."""
HIGH_PASS, LOW_PASS = 4, 12
"""Periods across the photo below which a frequency weighs less, in proportion, and above which it
does not count, since 32 pixels do not hold it well."""
FLOOR = 0.05
"""Of the root mean square of a photo's frequencies: weaker ones are noise, and stay weak."""
FLAT = 2.0
"""Standard deviation in grey levels below which a photo shows nothing: they all look the same."""
BLOCK = 1024
"""Photos that are compared at a time."""
Number = TypeVar("Number", np.float32, np.complex64)


def look_of(pixels: NDArray[np.uint8]) -> bytes:
    """The look of a photo ``[H, W, 3]``: grey, 32x32, row by row, `LOOK` bytes."""
    grey = Image.fromarray(pixels).convert("L")
    return grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()


def near_duplicates(looks: Sequence[bytes], least: float = LEAST_ALIKE) -> NDArray[np.int64]:
    """All pairs of photos that show the same, ``[M, 2]``, the lower index first.

    Every two photos are compared, but most only by a product of short vectors: 30,000 photos take
    seconds, and twice as many four times as long.

    Args:
        looks: of :func:`look_of`. Those of the same bytes need not all be paired with each other,
            but are all linked.
        least: correlation from which two show the same.
    """
    if not looks:
        return np.zeros((0, 2), np.int64)
    # Equal looks are linked without any comparison, however many there are.
    first: dict[bytes, int] = {}
    copies = [(first.setdefault(look, index), index) for index, look in enumerate(looks)]
    places = np.array([*first.values()])
    grey = _grey(first)
    flat = _contrasts(grey) < FLAT
    nothing = places[flat]
    pairs = [np.array(copies), np.c_[nothing[:-1], nothing[1:]]]
    grey, places = grey[~flat], places[~flat]
    vectors = _gradients(grey)
    for candidates in close_pairs(
        lambda start: vectors[start : start + BLOCK], len(vectors), CANDIDATE
    ):
        pairs.append(places[candidates[_correlations(grey, candidates) >= least]])
    found = np.sort(np.concatenate(pairs), axis=1)
    return np.unique(found[found[:, 0] != found[:, 1]], axis=0)


def correlations(looks: Sequence[bytes], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """How alike pairs ``[n, 2]`` of photos are at the best of the small shifts, ``[n]``, -1..1."""
    used, which = np.unique(pairs, return_inverse=True)
    grey = _grey([looks[index] for index in used])
    return _correlations(grey, which.reshape(-1, 2))


def close_pairs(
    block: Callable[[int], NDArray[np.float32]], count: int, least: float, first: int = 0
) -> Iterator[NDArray[np.int64]]:
    """Pairs ``[n, 2]`` of vectors whose product is large, the lower index first.

    Block by block: of many vectors, neither all in float32 nor all products at once.

    Args:
        block: gives up to `BLOCK` vectors from an index on, ``[n, C]``.
        count: of all vectors.
        least: product from which two are a pair.
        first: pairs of which neither is from this index on are left out.
    """
    for start in range(first, count, BLOCK):
        own = block(start)
        for left in range(0, start + len(own), BLOCK):
            pairs = np.argwhere(block(left) @ own.T >= least) + np.array((left, start))
            yield pairs[pairs[:, 0] < pairs[:, 1]]


def near_duplicate_groups(looks: Sequence[bytes]) -> NDArray[np.int64]:
    """Group number of each photo, ``[N]``: the same for photos linked by near-duplicates."""
    from scipy.sparse import coo_array  # not here where a serving installation only compares looks
    from scipy.sparse.csgraph import connected_components

    pairs = near_duplicates(looks)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(looks), len(looks)))
    groups: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return groups


def _grey(looks: Iterable[bytes]) -> NDArray[np.uint8]:
    """Looks as pictures, ``[N, 32, 32]``."""
    return np.frombuffer(b"".join(looks), np.uint8).reshape(-1, SIDE, SIDE)


def _contrasts(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Standard deviations in grey levels, ``[N]``."""
    blocks = (grey[start : start + BLOCK] for start in range(0, len(grey), BLOCK))
    return np.concatenate([block.std(axis=(1, 2), dtype=np.float32) for block in blocks])


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Differences of neighbours at 8x8, both ways, as vectors of length 1, ``[N, 112]``."""
    small = grey.reshape(-1, 8, SIDE // 8, 8, SIDE // 8).mean(axis=(2, 4), dtype=np.float32)
    across, down = np.diff(small, axis=2), np.diff(small, axis=1)
    return _unit(np.concatenate([part.reshape(-1, 8 * 7) for part in (across, down)], axis=1))


def _correlations(grey: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of pairs ``[n, 2]`` at the best of the small shifts, block by block, ``[n]``."""
    found = [np.zeros(0, np.float32)]
    for start in range(0, len(pairs), BLOCK):
        used, which = np.unique(pairs[start : start + BLOCK], return_inverse=True)
        spectra = _spectra(grey[used])
        one, two = which.reshape(-1, 2).T
        found.append(((spectra[one] * spectra[two].conj()) @ _SHIFTS).real.max(axis=1))
    return np.concatenate(found)


def _spectra(grey: NDArray[np.uint8]) -> NDArray[np.complex64]:
    """Flattened, weighted spectra of length 1, ``[N, 32 * 17]``; the photo's edges fade out."""
    mean = (grey * _WINDOW).sum(axis=(1, 2), keepdims=True) / _WINDOW.sum()
    spectra = np.fft.rfft2((grey - mean) * _WINDOW)
    strength = np.abs(spectra)
    floor = FLOOR * np.sqrt(np.square(strength).mean(axis=(1, 2), keepdims=True))
    weighted = spectra / np.sqrt(np.maximum(strength, floor)) * _WEIGHTS
    return _unit(weighted.reshape(len(grey), -1).astype(np.complex64))


def _unit(vectors: NDArray[Number]) -> NDArray[Number]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[Number] = vectors / np.maximum(lengths, np.float32(1e-6))
    return unit


def _frequencies() -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Periods a pixel down and across, ``[32, 1]`` and ``[1, 17]``."""
    return np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]


def _weights() -> NDArray[np.float64]:
    down, across = _frequencies()
    periods = SIDE * np.hypot(down, across)
    passed = np.clip(periods / HIGH_PASS, 0, 1) * (periods <= LOW_PASS)
    # A real picture's spectrum is half of it: all but the columns at the edges stand for two.
    twice = np.where((across == 0) | (across == 0.5), 1, 2)
    weights: NDArray[np.float64] = passed * np.sqrt(twice)
    return weights


def _shifts() -> NDArray[np.complex64]:
    """What a shift does to each frequency, ``[32 * 17, shifts]``."""
    down, across = _frequencies()
    steps = np.arange(-LONGEST_SHIFT, LONGEST_SHIFT + 1e-6, STEP)
    columns = [np.exp(2j * np.pi * (down * y + across * x)).ravel() for y in steps for x in steps]
    return np.stack(columns, axis=1).astype(np.complex64)


_WINDOW = np.outer(*[np.hanning(SIDE + 2)[1:-1].astype(np.float32)] * 2)
_WEIGHTS = _weights()
_SHIFTS = _shifts()


def members_by_group(groups: NDArray[np.int64]) -> dict[int, list[int]]:
    """Indices of the photos in each group."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    return members
