from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image

from plantood.training.photos.hashes import MAX_DISTANCE, near_duplicate_groups, perceptual_hash
from tests.training.conftest import draw


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def test_copies_of_a_photo_are_near() -> None:
    for seed in range(10):
        photo = draw(1, seed, size=200)
        smaller = Image.fromarray(photo).resize((140, 140))
        buffer = io.BytesIO()
        smaller.save(buffer, "JPEG", quality=50)
        copy = np.asarray(Image.open(buffer))
        assert distance(perceptual_hash(photo), perceptual_hash(copy)) <= MAX_DISTANCE


def test_other_photos_are_far() -> None:
    hashes = [perceptual_hash(draw(1, seed)) for seed in range(20)]
    assert all(distance(a, b) > 20 for i, a in enumerate(hashes) for b in hashes[:i])


def test_noise_of_a_flat_photo_does_not_count() -> None:
    rng = np.random.default_rng(0)
    flat = [rng.integers(9, 12, (120, 160, 3)).astype(np.uint8) for _ in range(5)]
    assert len({perceptual_hash(photo) for photo in flat}) == 1


def naive_groups(hashes: list[bytes]) -> list[int]:
    """Connected components by comparing all pairs."""
    group = list(range(len(hashes)))
    for i, a in enumerate(hashes):
        for j in range(i):
            if distance(a, hashes[j]) <= MAX_DISTANCE:
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    return group


def test_groups_are_those_of_comparing_all_pairs() -> None:
    rng = np.random.default_rng(3)
    hashes = []
    for _ in range(60):
        bits = rng.integers(0, 2, 128)
        for flips in rng.integers(0, 12, rng.integers(1, 5)):
            copy = bits.copy()
            copy[rng.choice(128, flips, replace=False)] ^= 1
            hashes.append(np.packbits(copy).tobytes())
    found = near_duplicate_groups(hashes).tolist()
    expected = naive_groups(hashes)
    pairs = [(i, j) for i in range(len(hashes)) for j in range(i)]
    assert all((found[i] == found[j]) == (expected[i] == expected[j]) for i, j in pairs)
    assert 60 <= len(set(found)) < len(hashes)


def test_a_hundred_thousand_photos_take_seconds() -> None:
    rng = np.random.default_rng(0)
    hashes = [rng.bytes(16) for _ in range(80_000)]
    hashes += hashes[:10_000]  # copies
    hashes += [b"\0" * 16] * 10_000  # black frames
    start = time.perf_counter()
    groups = near_duplicate_groups(hashes)
    assert time.perf_counter() - start < 30
    assert len(np.unique(groups)) == 80_001
    np.testing.assert_array_equal(groups[:10_000], groups[80_000:90_000])


def test_no_photos() -> None:
    assert near_duplicate_groups([]).shape == (0,)
