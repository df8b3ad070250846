from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.errors import UnreadablePhoto
from plantood.training.recipe import bank as bank_module
from plantood.training.recipe.bank import Bank, open_bank, unit
from plantood.training.recipe.draw import draw_picture
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Sample
from tests.training.recipe.conftest import TinyExtractor
from tests.training.recipe.pictures import save, textured


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Ten photos, every second one *plant*, one drawn frame and one copy."""
    photos = [
        Sample(
            "photo",
            n % 2 == 0,
            ("farm",),
            (),
            (save(tmp_path / "images", "farm", str(n), textured(32, (90, 40 + 15 * n, 80), n)),),
        )
        for n in range(10)
    ]
    frame = Sample("plain_wall", False, (), (3,))
    return [*photos, frame, replace(photos[0], kind="copy", seed=(1,))]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_module, "BATCH", 2)
    monkeypatch.setattr(bank_module, "CHUNK", 4)
    monkeypatch.setattr(bank_module, "usable_cpus", lambda: 1)


def open_(samples: list[Sample], extractor: TinyExtractor, cache: Path) -> Bank:
    return open_bank(samples, Cuts(), extractor, cache, name="bank", of_length_1=True)


def test_interrupted_it_goes_on_and_equals_one_in_one_go(
    samples: list[Sample], extractor: TinyExtractor, tmp_path: Path
) -> None:
    whole = open_(samples, extractor, tmp_path / "whole")
    pixels = np.stack([draw_picture(sample, Cuts()) for sample in samples])
    np.testing.assert_allclose(
        whole.embeddings, unit(pixels.mean(axis=(1, 2), dtype=np.float32)), atol=1e-4
    )
    np.testing.assert_allclose(np.linalg.norm(whole.embeddings, axis=1), 1.0, atol=1e-5)
    assert whole.plant.tolist() == [True, False] * 5 + [False, True]

    gone = samples[5].photos[0]
    kept = gone.read_bytes()
    gone.unlink()
    with pytest.raises(UnreadablePhoto):
        open_(samples, extractor, tmp_path / "again")
    gone.write_bytes(kept)
    # What is done is not drawn again: it could not be.
    samples[1].photos[0].unlink()
    resumed = open_(samples, extractor, tmp_path / "again")
    np.testing.assert_array_equal(resumed.embeddings, whole.embeddings)

    # A full bank is only read; other samples or another backbone are another bank.
    for sample in samples[2:10]:
        sample.photos[0].unlink()
    again = open_(samples, extractor, tmp_path / "again")
    np.testing.assert_array_equal(again.embeddings, whole.embeddings)
    with pytest.raises(UnreadablePhoto):
        open_(samples[1:], extractor, tmp_path / "again")
    with pytest.raises(UnreadablePhoto):
        open_(samples, replace(extractor, digest="other"), tmp_path / "again")


def inverted(sample: Sample, cuts: Cuts) -> np.ndarray:
    return 255 - draw_picture(sample, cuts)


def test_pictures_may_be_drawn_otherwise(
    samples: list[Sample], extractor: TinyExtractor, tmp_path: Path
) -> None:
    bank = open_bank(samples[:3], Cuts(), extractor, tmp_path, name="bank", draw=inverted)
    pixels = np.stack([inverted(sample, Cuts()) for sample in samples[:3]])
    np.testing.assert_allclose(bank.embeddings, pixels.mean(axis=(1, 2)), atol=1e-2)


def test_unit_rows() -> None:
    rows = unit(np.float32([[3, 4], [0, 0], [-2, 0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [-1, 0]], atol=1e-6)
