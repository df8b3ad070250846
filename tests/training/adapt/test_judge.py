from __future__ import annotations

import numpy as np
import pytest

from plantood.model.calibration import sigmoid
from plantood.model.memory import Memory, remember
from plantood.training.adapt.correct import fit_correction, leave_each_out, memory_logits, none
from plantood.training.adapt.judge import Judged, judge
from plantood.training.common.settings import CostSettings
from plantood.training.judging.threshold import choose_threshold
from tests.training.adapt.test_correct import CHANNELS, photos

START = none(CHANNELS)


@pytest.fixture(scope="module")
def memory() -> Memory:
    known = photos(300, 0)
    sources = ["near" if i % 3 else "far" for i in range(300)]
    return remember(known.embedding, known.logit, known.plant, sources, np.ones(300))


def judged(memory: Memory, away: float = 2.0) -> Judged:
    new = photos(30, 1, away)
    return judge(
        memory,
        new,
        START,
        fit_correction(memory, new, START),
        threshold=0.4,
        costs=CostSettings(),
        margin=0.02,
    )


def test_before_is_the_parent_at_its_threshold(memory: Memory) -> None:
    new, found = photos(30, 1, 2.0), judged(memory)
    p = sigmoid(new.logit)
    assert [(one.error, one.count, one.wrong_before) for one in found.new] == [
        ("false accepts", int(np.sum(~new.plant)), int(np.sum(p[~new.plant] >= 0.4))),
        ("false retakes", int(np.sum(new.plant)), int(np.sum(p[new.plant] < 0.4))),
    ]
    remembered = sigmoid(memory.logit)
    assert found.known[0].wrong_before == int(np.sum(remembered[~memory.plant] >= 0.4))
    assert found.known[1].wrong_before == int(np.sum(remembered[memory.plant] < 0.4))


def test_after_no_photo_is_judged_by_what_it_taught(memory: Memory) -> None:
    new, found = photos(30, 1, 2.0), judged(memory)
    without = sigmoid(leave_each_out(memory, new, START))
    at = found.chosen.threshold
    assert found.new[1].wrong_after == int(np.sum(without[new.plant] < at))
    after = sigmoid(memory_logits(memory, fit_correction(memory, new, START)))
    assert found.known[1].wrong_after == int(np.sum(after[memory.plant] < at))


def test_the_threshold_is_chosen_on_both_near_the_one_before(memory: Memory) -> None:
    new = photos(30, 1, 2.0)
    after = sigmoid(memory_logits(memory, fit_correction(memory, new, START)))
    expected = choose_threshold(
        np.concatenate([memory.plant, new.plant]),
        np.concatenate([after, sigmoid(leave_each_out(memory, new, START))]),
        towards=0.4,
    )
    assert judged(memory).chosen.threshold == pytest.approx(expected.threshold, abs=1e-6)


def test_sources_that_changed_are_told(memory: Memory) -> None:
    found = judged(memory)
    totals, sources = found.known[:2], found.known[2:]
    assert {one.source for one in sources} <= {"near", "far"}
    for total in totals:
        of_error = [one for one in sources if one.error == total.error]
        assert sum(one.newly_wrong for one in of_error) == total.newly_wrong
        assert sum(one.newly_right for one in of_error) == total.newly_right
    header, rows = found.table()
    assert {len(row) for row in rows} == {len(header)}


def test_what_gets_worse_is_an_objection(memory: Memory) -> None:
    new = photos(30, 1, 2.0)
    wrongly = fit_correction(memory, new, START)
    turned = type(wrongly)(-wrongly.gain, -wrongly.kernel, -wrongly.bias)
    found = judge(
        memory,
        new,
        START,
        turned,
        threshold=0.4,
        costs=CostSettings(),
        margin=0.02,
    )
    assert any("Worse on memory" in one for one in found.objections)
    assert not any("Worse on memory" in one for one in judged(memory, 0.0).objections)
