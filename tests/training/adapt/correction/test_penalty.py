from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plantood.model.parts.memory import Memory, remember
from plantood.training.adapt.correction.correct import fit_correction, none
from plantood.training.adapt.correction.penalty import FOLDS, PENALTIES, choose_penalty, parts
from tests.training.adapt.correction.test_correct import CHANNELS, kept, photos

START = none(CHANNELS)


@pytest.fixture(scope="module")
def memory() -> Memory:
    known = photos(800, 0)
    return remember(known.embedding, known.logit, known.plant, ["known"] * 800, np.ones(800))


def test_photos_that_agree_let_it_move_further(memory: Memory) -> None:
    new, others_of_it = photos(60, 1, away=2), photos(300, 2, away=2)
    chosen = choose_penalty(memory, new, START)
    assert chosen == min(PENALTIES)
    strong, weak = (
        kept(others_of_it, fit_correction(memory, new, START, penalty=penalty))
        for penalty in (max(PENALTIES), chosen)
    )
    assert weak > strong + 0.05


def test_photos_that_teach_nothing_hold_it_back(memory: Memory) -> None:
    chosen = [choose_penalty(memory, photos(60, seed), START) for seed in range(1, 7)]
    assert chosen.count(max(PENALTIES)) >= 5


def test_one_class_or_few_photos_hold_it_back(memory: Memory) -> None:
    new = photos(60, 1, away=2)
    assert choose_penalty(memory, new, START) < max(PENALTIES)
    assert choose_penalty(memory, new.part(new.plant), START) == max(PENALTIES)
    assert choose_penalty(memory, new.part(np.arange(60) < 6), START) == max(PENALTIES)
    assert choose_penalty(memory, new.part(np.zeros(60, bool)), START) == max(PENALTIES)


def test_photos_of_one_scene_count_as_one(memory: Memory) -> None:
    new = photos(60, 1, away=2)
    again = new.part(np.tile(np.arange(60), 8))
    for seed in range(1, 7):  # what teaches nothing teaches nothing eight times
        once = photos(60, seed)
        eight = once.part(np.tile(np.arange(60), 8))
        assert choose_penalty(memory, eight, START) == choose_penalty(memory, once, START)
    assert choose_penalty(memory, again, START) == choose_penalty(memory, new, START)
    two_scenes = replace(new, scene=new.plant.astype(np.int64))
    assert choose_penalty(memory, two_scenes, START) == max(PENALTIES)


def test_scenes_stay_whole_and_classes_even() -> None:
    new = photos(40, 1)
    new = replace(new, scene=np.arange(40) // 2 * 7, plant=np.arange(40) < 20)
    part = parts(new)
    assert np.array_equal(part[::2], part[1::2])
    for plant in (True, False):
        assert np.bincount(part[new.plant == plant], minlength=FOLDS).tolist() == [4] * FOLDS
