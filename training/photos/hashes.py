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
Indices = NDArray[np.int64]
"""Of photos; where two are given, they broadcast as NumPy's operators do."""
Select = Callable[[Indices, Indices], NDArray[np.bool_]]
"""Tells of pairs of photos, by their indices, which ones are meant."""


def look_of(pixels: NDArray[np.uint8]) -> bytes:
    """The look of a photo ``[H, W, 3]``: grey, 32x32, row by row, `LOOK` bytes."""
    grey = Image.fromarray(pixels).convert("L")
    return grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()


class Looks:
    """Looks made ready to be compared: 2.3 kB each, however many of them are alike.

    Attributes:
        flat: Which of them show nothing, ``[N]``: all of those are alike.
    """

    def __init__(self, looks: Iterable[bytes]) -> None:
        """Of :func:`look_of` each."""
        grey = _grey(looks)
        self.flat = np.empty(len(grey), bool)
        self._gradients = np.empty((len(grey), 2 * 7 * 8), np.float32)
        self._spectra = np.empty((len(grey), len(_COUNTED)), np.complex64)
        for start in range(0, len(grey), BLOCK):
            block = slice(start, start + BLOCK)
            self.flat[block] = grey[block].std(axis=(1, 2), dtype=np.float32) < FLAT
            self._gradients[block] = _gradients(grey[block])
            self._spectra[block] = _spectra(grey[block])
        self._gradients[self.flat] = 0  # what they have is noise

    def __len__(self) -> int:
        """How many."""
        return len(self.flat)

    def both_flat(self, low: Indices, high: Indices) -> NDArray[np.bool_]:
        """Of which pairs both show nothing; indices that broadcast."""
        both: NDArray[np.bool_] = self.flat[low] & self.flat[high]
        return both

    def may_be_alike(self, rows: Indices, columns: Indices) -> NDArray[np.bool_]:
        """Which of two sets are worth comparing, ``[rows, columns]``; never those that are flat."""
        close: NDArray[np.bool_] = self._gradients[rows] @ self._gradients[columns].T >= CANDIDATE
        return close

    def correlations(self, pairs: Indices) -> NDArray[np.float32]:
        """How alike pairs ``[n, 2]`` are at the best of the small shifts, ``[n]``, -1..1."""
        found = [np.zeros(0, np.float32)]
        for start in range(0, len(pairs), BLOCK):
            one, two = (self._spectra[side] for side in pairs[start : start + BLOCK].T)
            found.append(((one * two.conj()).view(np.float32) @ _SHIFTS).max(axis=1))
        return np.concatenate(found)


def pairs_of_interest(
    count: int, wanted: Select, close: Select, first: int = 0
) -> Iterator[NDArray[np.int64]]:
    """Pairs ``[n, 2]`` of photos that are close, the earlier one first, up to `BLOCK` at a time.

    Every two photos are asked for, but never more than a block of them at once. What comes first
    may decide what is wanted later: before a pair comes, all that ends with its earlier photo has
    come.

    Args:
        count: of all photos.
        wanted: whether pairs are of interest still, by the indices of their photos, which
            broadcast: asked anew before pairs are given.
        close: whether photos are close, ``[rows, columns]``, by their indices ``[rows]`` and
            ``[columns]``, up to `BLOCK` each.
        first: pairs of which neither is from this index on are left out.
    """
    for start in range(first, count, BLOCK):
        columns = np.arange(start, min(start + BLOCK, count))
        for left in range(0, columns[-1] + 1, BLOCK):
            rows = np.arange(left, min(left + BLOCK, columns[-1] + 1))
            asked = wanted(rows[:, None], columns)
            if rows[-1] >= start:
                asked &= rows[:, None] < columns
            if not asked.any():
                continue
            pairs = np.argwhere(asked & close(rows, columns)) + np.array((left, start))
            for at in range(0, len(pairs), BLOCK):
                some = pairs[at : at + BLOCK]
                some = some[wanted(*some.T)]
                if len(some):
                    yield some


def near_duplicate_groups(looks: Sequence[bytes]) -> NDArray[np.int64]:
    """Group number of each photo, ``[N]``: the same for photos linked by near-duplicates.

    Numbered from 0 in the order of their first photos. Every two photos are compared, but most only
    by a product of short vectors, and none that are linked already. So 30,000 photos take seconds,
    also frames of a camera that stands still, and twice as many four times as long; memory grows
    with photos, not with pairs. What looks alike when it is small and is not, such as leaves on one
    table, costs a microsecond for each pair: of 30,000 a few minutes.

    Args:
        looks: of :func:`look_of`.
    """
    # Equal looks are linked without any comparison, however many there are.
    first: dict[bytes, int] = {}
    which = np.array([first.setdefault(look, len(first)) for look in looks], np.int64)
    ready = Looks(first)
    groups = np.arange(len(ready))
    groups[ready.flat] = groups[ready.flat][:1]

    def apart(low: Indices, high: Indices) -> NDArray[np.bool_]:
        differ: NDArray[np.bool_] = groups[low] != groups[high]
        return differ

    for pairs in pairs_of_interest(len(ready), apart, ready.may_be_alike):
        for low, high in pairs[ready.correlations(pairs) >= LEAST_ALIKE].tolist():
            one, other = sorted((groups[low], groups[high]))
            if one != other:
                groups[groups == other] = one
    numbers: NDArray[np.int64] = np.unique(groups, return_inverse=True)[1]
    return numbers[which]


def near_duplicates(looks: Sequence[bytes], least: float = LEAST_ALIKE) -> NDArray[np.int64]:
    """All pairs of photos that show the same, ``[M, 2]``, the lower index first, in order.

    Of many frames of one scene that is half the square of their number: to be counted, not to put
    photos into groups (:func:`near_duplicate_groups`).

    Args:
        looks: of :func:`look_of`.
        least: correlation from which two show the same.
    """
    ready = Looks(looks)

    def close(rows: Indices, columns: Indices) -> NDArray[np.bool_]:
        return ready.may_be_alike(rows, columns) | ready.both_flat(rows[:, None], columns)

    def wanted(low: Indices, high: Indices) -> NDArray[np.bool_]:
        return low < high

    found = [
        pairs[ready.both_flat(*pairs.T) | (ready.correlations(pairs) >= least)]
        for pairs in pairs_of_interest(len(ready), wanted, close)
    ]
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return pairs[np.lexsort(pairs.T[::-1])]


def correlations(looks: Sequence[bytes], pairs: Indices) -> NDArray[np.float32]:
    """How alike pairs ``[n, 2]`` of photos are at the best of the small shifts, ``[n]``, -1..1."""
    used, which = np.unique(pairs, return_inverse=True)
    return Looks([looks[index] for index in used]).correlations(which.reshape(-1, 2))


def _grey(looks: Iterable[bytes]) -> NDArray[np.uint8]:
    """Looks as pictures, ``[N, 32, 32]``."""
    return np.frombuffer(b"".join(looks), np.uint8).reshape(-1, SIDE, SIDE)


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Differences of neighbours at 8x8, both ways, as vectors of length 1, ``[N, 112]``."""
    small = grey.reshape(-1, 8, SIDE // 8, 8, SIDE // 8).mean(axis=(2, 4), dtype=np.float32)
    across, down = np.diff(small, axis=2), np.diff(small, axis=1)
    return _unit(np.concatenate([part.reshape(-1, 8 * 7) for part in (across, down)], axis=1))


def _spectra(grey: NDArray[np.uint8]) -> NDArray[np.complex64]:
    """Flattened, weighted spectra of length 1, ``[N, counted]``; the photo's edges fade out."""
    mean = (grey * _WINDOW).sum(axis=(1, 2), keepdims=True) / _WINDOW.sum()
    spectra = np.fft.rfft2((grey - mean) * _WINDOW)
    strength = np.abs(spectra)
    floor = FLOOR * np.sqrt(np.square(strength).mean(axis=(1, 2), keepdims=True))
    floor = np.maximum(floor, np.float32(1e-6))  # of one grey all over there is none
    weighted = spectra / np.sqrt(np.maximum(strength, floor)) * _WEIGHTS
    return _unit(weighted.reshape(len(grey), -1).astype(np.complex64)[:, _COUNTED])


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


def _shifts() -> NDArray[np.float32]:
    """What a shift does to each frequency that counts, ``[2 * counted, shifts]``.

    Real and imaginary part in turn, as NumPy has them in memory, and so that the product with those
    of a spectrum is the real part alone.
    """
    down, across = _frequencies()
    steps = np.arange(-LONGEST_SHIFT, LONGEST_SHIFT + 1e-6, STEP)
    columns = [np.exp(2j * np.pi * (down * y + across * x)).ravel() for y in steps for x in steps]
    shifts = np.stack(columns, axis=1)[_COUNTED]
    parts = np.stack([shifts.real, -shifts.imag], axis=1).reshape(-1, len(columns))
    return parts.astype(np.float32)


_WINDOW = np.outer(*[np.hanning(SIDE + 2)[1:-1].astype(np.float32)] * 2)
_WEIGHTS = _weights()
_COUNTED = np.flatnonzero(_WEIGHTS)
_SHIFTS = _shifts()


def members_by_group(groups: NDArray[np.int64]) -> dict[int, list[int]]:
    """Indices of the photos in each group."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    return members
