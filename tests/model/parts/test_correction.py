from __future__ import annotations

import pickle
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pytest

from plantood.model.parts import correction
from plantood.model.parts.correction import Correction


def made(gain: float = 1.0, kernel: tuple[float, ...] = (0, 0), bias: float = 0.0) -> Correction:
    return Correction(np.float32(gain), np.array(kernel, np.float32), np.float32(bias))


def test_worked_out_by_hand() -> None:
    # (3, 4) is (0.6, 0.8) at length 1; 0.75 has the log-odds log 3.
    one = made(2, (1, -0.5), 0.3)
    embedding = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    expected = [2 * np.log(3) + 0.6 - 0.4 + 0.3, -2 * np.log(3) - 0.5 + 0.3]
    found = one.logit(np.log([3, 1 / 3]), embedding)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    probability = one.plant_probability(np.array([0.75, 0.25], np.float32), embedding)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-np.array(expected))), atol=1e-6)


def test_none_changes_nothing() -> None:
    probability = np.array([0.001, 0.2, 0.5, 0.9999], np.float32)
    found = made().plant_probability(probability, np.ones((4, 2)))
    np.testing.assert_allclose(found, probability, atol=1e-6)


def test_certain_is_no_obstacle() -> None:
    found = made(1, (0, 0), -40).plant_probability(np.array([0.0, 1.0]), np.ones((2, 2)))
    assert np.all(np.isfinite(found))
    assert found.max() < 1e-6


def test_save_and_load(tmp_path: Path) -> None:
    one = made(2, (1, -0.5), 0.3)
    one.save(tmp_path / "correction.npz")
    again = correction.Correction.load(tmp_path / "correction.npz")
    for name, value in vars(one).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_it_is_never_unpickled(tmp_path: Path) -> None:
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps({"gain": 1}))
    with pytest.raises(BadZipFile):
        correction.Correction.load(tmp_path / "pickled.npz")
    np.savez(tmp_path / "objects.npz", gain=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle="):
        correction.Correction.load(tmp_path / "objects.npz")
