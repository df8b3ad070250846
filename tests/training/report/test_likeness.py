from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from plantood.model.entry import open_gate
from plantood.model.store import load_gate
from plantood.training.features.cache import FeatureCache
from plantood.training.report.likeness import SHOWN, by_features, by_gate, spoken
from tests.service.tiny_gate import build
from tests.training.conftest import make_photo, write_photo


def test_by_what_a_gate_remembers(gate: str, tmp_path: Path) -> None:
    like = by_gate(load_gate(gate))
    assert like is not None
    photo = replace(make_photo("a"), path=write_photo(tmp_path / "green.jpg", 1, 0))
    nearest = like(photo)
    assert len(nearest) == SHOWN
    assert nearest[0][:2] == ("plant", "field")
    assert spoken(nearest).startswith(f"plant field {nearest[0].distance:.2f}, ")


def test_a_gate_that_remembers_nothing(tmp_path: Path) -> None:
    build(tmp_path)
    assert by_gate(open_gate(tmp_path)) is None


def test_by_the_features_at_hand(tmp_path: Path) -> None:
    maps = np.zeros((6, 2, 2, 3), np.float32)
    means = ((9, 1, 0), (8, 2, 0), (1, 9, 0), (0, 9, 1), (9, 1.1, 0), (0, 1, 9))
    for row, mean in enumerate(means):
        maps[row] = mean
    features = FeatureCache(tmp_path)
    features.append(list("abcdef"), maps)
    known = tuple(
        make_photo(digest, label, source)
        for digest, label, source in (
            ("a", 1, "maize"),
            ("b", 1, "beans"),
            ("c", 0, "floors"),
            ("d", 0, "soil"),
        )
    )
    like = by_features(features, known)
    assert like is not None
    nearest = like(make_photo("e"))
    assert [(one.label, one.source) for one in nearest] == [("plant", "maize"), ("plant", "beans")]
    assert nearest[0].distance < 0.03  # float16 keeps no more of what is nearly alike
    angle = np.arctan(2 / 8) - np.arctan(1.1 / 9)
    assert abs(nearest[1].distance - 2 * np.sin(angle / 2)) < 3e-3
    assert like(make_photo("f"))[0].source == "soil"
    assert spoken(nearest).endswith(", plant beans 0.12")


def test_where_one_class_is_learned_from_nothing_is_said(tmp_path: Path) -> None:
    features = FeatureCache(tmp_path)
    assert by_features(features, (make_photo("a", 1), make_photo("b", 1))) is None
    assert by_features(features, ()) is None
    assert not spoken(())
