from __future__ import annotations

import io
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import shift

from plantood.training.common.shared import shared_dir
from plantood.training.photos.data import find_data
from plantood.training.photos.hashes import (
    FLOOR,
    HIGH_PASS,
    LEAST_ALIKE,
    LOOK,
    LOW_PASS,
    Looks,
    look_of,
    near_duplicate_groups,
    near_duplicates,
)
from tests.training.conftest import draw


def saved(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def burst(pixels: np.ndarray, seed: int, count: int = 4) -> list[np.ndarray]:
    """The same scene so many times, moved by up to 6 pixels and compressed anew."""
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    frames = []
    for x, y in rng.integers(0, 7, (count, 2)):
        frame = pixels[y : height - 6 + y, x : width - 6 + x]
        frames.append(saved(frame, int(rng.integers(60, 93))))
    return frames


def pairs_of(looks: list[bytes]) -> set[tuple[int, int]]:
    return {(a, b) for a, b in near_duplicates(looks).tolist()}


def test_copies_of_a_photo_are_near() -> None:
    for seed in range(10):
        photo = draw(1, seed, size=200)
        copy = saved(np.asarray(Image.fromarray(photo).resize((140, 140))), 50)
        assert pairs_of([look_of(photo), look_of(copy)]) == {(0, 1)}


def test_other_photos_are_far() -> None:
    assert pairs_of([look_of(draw(label, seed)) for seed in range(40) for label in (0, 1)]) == set()


def test_a_burst_is_one_group() -> None:
    frames = [look_of(f) for s in range(20) for f in burst(draw(1, s, size=256), s)]
    groups = near_duplicate_groups(frames).reshape(20, 4)
    assert np.all(groups == groups[:, :1])
    assert len(np.unique(groups)) == 20


def test_the_correlation_is_that_of_the_pictures_moved_over_each_other() -> None:
    """By another tool: the picture is moved, filtered by its whole spectrum and correlated."""
    rng = np.random.default_rng(0)
    window = np.outer(*[np.hanning(34)[1:-1]] * 2)
    periods = np.hypot(*np.meshgrid(*[np.fft.fftfreq(32) * 32] * 2))

    def filtered(grey: np.ndarray) -> np.ndarray:
        faded = (grey - np.average(grey, weights=window)) * window
        spectrum = np.fft.fft2(faded)
        floor = FLOOR * np.sqrt(np.mean(np.abs(spectrum[:, :17]) ** 2))
        spectrum /= np.sqrt(np.maximum(np.abs(spectrum), floor))
        passed = np.where(periods > LOW_PASS, 0, np.clip(periods / HIGH_PASS, 0, 1))
        return np.fft.ifft2(spectrum * passed).real

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        moved = [shift(filtered(a), (0.4 * y, 0.4 * x), mode="grid-wrap", order=5)
                 for y in range(-2, 3) for x in range(-2, 3)]  # fmt: skip
        other = filtered(b)
        return max(
            float((m * other).sum() / np.linalg.norm(m) / np.linalg.norm(other)) for m in moved
        )

    scene = np.asarray(Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).resize((64, 64)))
    verdicts = []
    for amount in np.linspace(0, 90, 40):
        noisy = np.clip(scene[1:, 1:] + rng.normal(0, amount, (63, 63)), 0, 255).astype(np.uint8)
        looks = [look_of(np.repeat(p[..., None], 3, axis=2)) for p in (scene, noisy)]
        pair = [np.frombuffer(look, np.uint8).reshape(32, 32).astype(float) for look in looks]
        expected = correlation(*pair)
        if abs(expected - LEAST_ALIKE) > 0.03:
            verdicts.append((bool(pairs_of(looks)), expected > LEAST_ALIKE))
    assert {expected for _, expected in verdicts} == {True, False}
    assert all(found == expected for found, expected in verdicts), verdicts


def test_photos_that_show_nothing_are_alike() -> None:
    rng = np.random.default_rng(0)
    pale = [Image.fromarray(rng.integers(99, 102, (8, 8), np.uint8)) for _ in range(5)]
    flat = [np.asarray(picture.resize((160, 120)).convert("RGB")) for picture in pale]
    looks = [look_of(photo) for photo in (*flat, draw(1, 0))]
    assert near_duplicate_groups(looks).tolist() == [0, 0, 0, 0, 0, 1]


def test_nothing_but_photos_that_show_nothing() -> None:
    pocket, lens = bytes([7]) * LOOK, bytes([9]) * LOOK
    assert near_duplicates([pocket]).tolist() == []
    assert near_duplicates([pocket, lens]).tolist() == [[0, 1]]


def test_groups_are_the_components_of_the_pairs() -> None:
    """A frame between two that are too far apart links them."""
    scene = draw(1, 0, size=256)
    frames = [scene[:, x : x + 200] for x in (0, 10, 20, 30, 40)]
    looks = [look_of(frame) for frame in frames] + [look_of(draw(0, 1))]
    pairs = pairs_of(looks)
    assert {(0, 1), (1, 2), (2, 3), (3, 4)} <= pairs
    assert (0, 4) not in pairs
    assert near_duplicate_groups(looks).tolist() == [0, 0, 0, 0, 0, 1]


def components(count: int, pairs: set[tuple[int, int]]) -> list[int]:
    """By walking from each to its neighbours: numbers in the order of the first of a component."""
    near: dict[int, set[int]] = {index: set() for index in range(count)}
    for low, high in pairs:
        near[low].add(high)
        near[high].add(low)
    number: dict[int, int] = {}
    for index in range(count):
        if index in number:
            continue
        found, number[index] = [index], max(number.values(), default=-1) + 1
        while found:
            at = found.pop()
            for other in near[at] - number.keys():
                number[other] = number[index]
                found.append(other)
    return [number[index] for index in range(count)]


def frames_of(scene: np.ndarray, count: int, seed: int, noise: float) -> list[bytes]:
    """Looks of what a camera on a pole sees: one scene in changing light."""
    rng = np.random.default_rng(seed)
    light, grain = rng.uniform(0.5, 1.0, count), rng.normal(0, noise, (count, *scene.shape))
    return [
        np.clip(scene * one + more, 0, 255).astype(np.uint8).tobytes()
        for one, more in zip(light, grain, strict=True)
    ]


def scene_of(seed: int, side: int = 16) -> np.ndarray:
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    return np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.BICUBIC), float)


@pytest.mark.parametrize("block", [7, 64, 1024])
def test_groups_are_those_of_all_pairs_compared_one_by_one(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenes by so much noise that some of their frames are linked only by others."""
    table = scene_of(0, side=5)  # common to all: so that most pairs have to be compared
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scenes = [0.5 * table + 0.5 * scene_of(100 * seed + n + 1) for n in range(5)]
        looks = [f for n, s in enumerate(scenes) for f in frames_of(s, 16, n, noise=11.0)]
        looks += [bytes([grey]) * LOOK for grey in (7, 9, 7)] + looks[:4]
        looks = [looks[index] for index in rng.permutation(len(looks))]
        ready, every = Looks(looks), np.arange(len(looks))
        all_pairs = np.stack(np.triu_indices(len(looks), 1), axis=1)
        low, high = all_pairs.T
        close = ready.may_be_alike(every, every)[low, high]
        alike = (ready.correlations(all_pairs) >= LEAST_ALIKE) & close
        assert len(low) > close.sum() > 2 * alike.sum()
        alike |= ready.flat[low] & ready.flat[high]
        pairs = {(one, two) for one, two in all_pairs[alike].tolist()}
        monkeypatch.setattr("plantood.training.photos.hashes.BLOCK", block)
        expected = components(len(looks), pairs)
        assert 6 < max(expected) < 60
        assert near_duplicate_groups(looks).tolist() == expected
        assert pairs_of(looks) == pairs


def test_of_a_camera_that_stands_still_few_pairs_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """5,000 frames have 12 million pairs. Memory grows with frames, not with those."""
    looks = frames_of(scene_of(1), 5_000, 1, noise=4.0)
    compared = []
    real = Looks.correlations
    monkeypatch.setattr(
        Looks,
        "correlations",
        lambda ready, pairs: compared.append(len(pairs)) or real(ready, pairs),
    )
    tracemalloc.start()
    groups = near_duplicate_groups(looks)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not groups.any()
    assert sum(compared) < 2 * len(looks)
    assert most < 100e6


def test_thirty_thousand_photos_take_seconds() -> None:
    rng = np.random.default_rng(0)
    looks = [rng.bytes(LOOK) for _ in range(20_000)]
    looks += looks[:5_000]  # copies
    looks += [bytes([n % 256]) * LOOK for n in range(5_000)]  # frames of one grey
    start = time.process_time()  # of the work, whatever else this machine does
    groups = near_duplicate_groups(looks)
    assert time.process_time() - start < 30
    assert len(np.unique(groups)) == 20_001
    np.testing.assert_array_equal(groups[:5_000], groups[20_000:25_000])


def test_no_photos() -> None:
    assert near_duplicate_groups([]).shape == (0,)
    assert near_duplicates([]).shape == (0, 2)


@pytest.mark.skipif(shared_dir() is None, reason="needs the shared photos")
def test_bursts_of_real_photos_are_found_and_others_are_not_joined() -> None:
    """Every fortieth shared photo of 256 pixels, twice: moved and compressed anew."""
    photos = [
        np.asarray(Image.open(photo.path).convert("RGB"))
        for photo in find_data(shared_dir() / "data" / "manifest.csv").photos[::40]
    ]
    photos = [photo for photo in photos if max(photo.shape) == 256]
    looks = [look_of(f) for n, photo in enumerate(photos) for f in burst(photo, n, 2)]
    pairs = pairs_of(looks)
    found = {(2 * n, 2 * n + 1) for n in range(len(photos))} & pairs
    assert len(photos) > 100
    assert len(found) >= 0.97 * len(photos)
    assert len(pairs - found) <= 2
