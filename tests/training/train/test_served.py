"""The gate as a farmer meets it: by hand, on a network that is a sigmoid of green minus red."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plantood.judging.gate import Gate
from plantood.model.store import load_gate
from plantood.training.judging.evaluation import Evaluation
from plantood.training.judging.seen import Seen
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.division.splits import Division
from plantood.training.train.evaluate import CHOSEN_ON, TRAINED_ON, sides_of
from plantood.training.train.served import Served, judge_served, reasons_table
from plantood.verdict import ReasonCode
from tests.training.conftest import draw, make_photo

CASES = {"plant": 1, "grey": 0, "tiny": 1, "dark": 1}


@pytest.fixture
def photos(tmp_path: Path) -> tuple[LabelledPhoto, ...]:
    made = {
        "plant": draw(1, 1),
        "grey": draw(0, 2),
        "tiny": draw(1, 3, size=20),
        "dark": draw(1, 4) // 20,
    }
    found = []
    for name, label in CASES.items():
        path = tmp_path / f"{name}.png"
        Image.fromarray(made[name]).save(path)
        found.append(LabelledPhoto(path, label, "s"))
    return tuple(found)


def test_verdicts_are_those_of_the_gate(gate: str, photos: tuple[LabelledPhoto, ...]) -> None:
    served = judge_served(load_gate(gate), {"test": photos})["test"]
    live = Gate(load_gate(gate))
    for photo, reasons in zip(photos, served.reasons, strict=True):
        assert [reason.value for reason in reasons] == [
            reason.code for reason in live.check(photo.path).reasons
        ]
    codes = dict(zip(CASES, served.reasons, strict=True))
    assert codes["grey"] == (ReasonCode.NOT_A_PLANT,)
    assert codes["tiny"] == (ReasonCode.TOO_SMALL,)
    assert ReasonCode.TOO_DARK in codes["dark"]


def test_of_the_whole_gate_and_of_the_network_alone() -> None:
    photos = tuple(make_photo(str(i), label) for i, label in enumerate([1, 1, 1, 0]))
    served = Served(
        photos,
        np.array([0.9, 0.8, 0.3, 0.9], np.float32),
        (
            (),
            (ReasonCode.TOO_BLURRY, ReasonCode.TOO_DARK),
            (ReasonCode.NOT_A_PLANT,),
            (ReasonCode.TOO_SMALL,),
        ),
    )
    np.testing.assert_array_equal(served.whole.probabilities, np.float32([0.9, 0, 0.3, 0]))
    figures = [
        Evaluation(name, {"test": one}, 0.5).figures()["splits"]["test"]["at_threshold"]
        for name, one in (("whole", served.whole), ("alone", served.alone))
    ]
    assert [one["confusion"]["false_retake"] for one in figures] == [2, 1]
    assert [one["confusion"]["false_accept"] for one in figures] == [0, 1]
    header, rows = reasons_table({"test": served})
    assert header[2] == "sent back as"
    assert [row[:4] for row in rows] == [
        ["test", "plant", "too_blurry", "1"],
        ["test", "plant", "not_a_plant", "1"],
        ["test", "other", "too_small", "1"],
    ]
    assert rows[0][4].startswith("33.3% (")


def test_photos_that_it_has_learned_from_are_apart() -> None:
    """As is what is grouped with them."""
    digests = [f"{i}" * 64 for i in range(6)]
    photos = tuple(make_photo(digest) for digest in digests)
    known = Seen(frozenset([digests[0][:16]]), frozenset([digests[1][:16]]))
    division = Division(photos, (), (7, 1, 2, 1, 7, 3))
    learned = [TRAINED_ON, CHOSEN_ON, "", CHOSEN_ON, TRAINED_ON, ""]
    assert sides_of(division, known) == learned
    assert sides_of(division, Seen()) == [""] * 6
