from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plantood.model.parts.calibration import sigmoid
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import DRAWN, Memory, remember
from plantood.training.adapt.correction.correct import (
    NewPhotos,
    fit_correction,
    leave_each_out,
    memory_logits,
    none,
)
from plantood.training.adapt.correction.fit import Vector
from plantood.training.adapt.judge import (
    MADE,
    ChildJudgement,
    Compared,
    Predictions,
    enough_to_choose,
    judge_child,
    remembered_to_choose,
)
from plantood.training.adapt.terms import Terms
from plantood.training.adapt.told import change_table, figures_table
from plantood.training.common.settings import CostSettings
from plantood.training.judging.changes import at_fixed_points, error_of
from plantood.training.judging.decision.threshold import choose_threshold
from plantood.training.judging.evaluation import Scored
from plantood.training.judging.metrics import summary
from tests.training.adapt.correction.test_correct import CHANNELS, photos
from tests.training.conftest import make_photo

START = none(CHANNELS)


@pytest.fixture(scope="module")
def memory() -> Memory:
    known = photos(300, 0)
    sources = ["near" if i % 3 else "far" for i in range(300)]
    return remember(known.embedding, known.logit, known.plant, sources, np.ones(300))


def terms(memory: Memory, served: float = 0.75, **costs: float) -> Terms:
    return Terms.from_figures({}, served, memory, CostSettings(**costs))


def judged(
    memory: Memory,
    new: NewPhotos,
    correction: Correction | None = None,
    left_out: Vector | None = None,
    by: Terms | None = None,
) -> ChildJudgement:
    """As `adapt` does it, but for what is given."""
    return judge_child(
        memory,
        new,
        START,
        fit_correction(memory, new, START) if correction is None else correction,
        leave_each_out(memory, new, START) if left_out is None else left_out,
        terms=by or terms(memory),
        margin=0.02,
    )


@pytest.mark.parametrize("served", [0.05, 0.4, 0.999])
@pytest.mark.parametrize(
    "costs", [{}, {"false_accept_cost": 20.0}, {"share_of_others": 0.02, "false_retake_cost": 9.0}]
)
def test_photos_that_teach_nothing_show_no_difference(
    memory: Memory, served: float, costs: dict[str, float]
) -> None:
    """Whatever its parent serves with: another threshold is nothing that was learned."""
    new = photos(30, 1, 2.0)
    by = terms(memory, served, **costs)
    said = START.logit(new.logit, new.embedding)
    found = judged(memory, new, START, said, by)
    assert found.before == found.after
    for change in (*found.new, *found.known):
        assert (change.newly_right, change.newly_wrong) == (0, 0)
    for figures in found.figures:
        assert figures.cost.before == figures.cost.after
        assert figures.log_loss[0] == figures.log_loss[1]
    assert found.objections == []


def test_both_thresholds_are_chosen_on_the_same_photos(memory: Memory) -> None:
    """The new photos are a source beside the two that are remembered; its parent's is preferred."""
    new = photos(30, 1, 2.0)
    by = terms(memory, 0.4)
    found = judged(memory, new, by=by)
    after = fit_correction(memory, new, START)
    names = [*memory.names.tolist(), *["the field"] * 30]
    for chosen, old, own in (
        (found.before, memory.logit, new.logit),
        (found.after, memory_logits(memory, after), leave_each_out(memory, new, START)),
    ):
        expected = choose_threshold(
            np.concatenate([memory.plant, new.plant]),
            sigmoid(np.concatenate([old, own])),
            towards=0.4,
            share_of_others=by.had,
            sources=names,
        )
        assert chosen.threshold == pytest.approx(expected.threshold, abs=1e-6)
    assert (found.before.towards, found.after.towards) == (0.4, 0.4)


def test_before_is_the_parent_and_after_no_photo_is_judged_by_what_it_taught(
    memory: Memory,
) -> None:
    new = photos(30, 1, 2.0)
    found = judged(memory, new)
    p, at = sigmoid(new.logit), found.before.threshold
    assert [(one.error, one.count, one.wrong_before) for one in found.new[:2]] == [
        ("false accepts", int(np.sum(~new.plant)), int(np.sum(p[~new.plant] >= at))),
        ("false retakes", int(np.sum(new.plant)), int(np.sum(p[new.plant] < at))),
    ]
    remembered = sigmoid(memory.logit)
    assert found.known[0].wrong_before == int(np.sum(remembered[~memory.plant] >= at))
    without = sigmoid(leave_each_out(memory, new, START))
    at = found.after.threshold
    assert found.new[1].wrong_after == int(np.sum(without[new.plant] < at))
    after = sigmoid(memory_logits(memory, fit_correction(memory, new, START)))
    assert found.known[1].wrong_after == int(np.sum(after[memory.plant] < at))


def test_at_fixed_points_of_both(memory: Memory) -> None:
    """As fine-tuning has them, of the same photos and probabilities."""
    new = photos(60, 1, 1.0)
    found = judged(memory, new)
    listed = tuple(make_photo(str(n), int(plant)) for n, plant in enumerate(new.plant))
    before, after = (
        Scored(listed, sigmoid(logits).astype(np.float32))
        for logits in (new.logit, leave_each_out(memory, new, START))
    )
    expected = at_fixed_points(before, after, found.before.threshold, 0.02, "new photos")
    assert found.new[2:] == expected
    assert [one.source.split(", at ")[0] for one in found.known[2:4]] == ["memory", "memory"]


def test_what_all_photos_come_to(memory: Memory) -> None:
    """Losses and calibration errors as of any evaluation, at the share of others."""
    new = photos(30, 1, 2.0)
    by = terms(memory, share_of_others=0.2)
    figures, of_memory = judged(memory, new, by=by).figures
    shift = np.log(0.8 / 0.2) - np.log((1 - by.had) / by.had)
    logits = new.logit, leave_each_out(memory, new, START)
    for when, logit in enumerate(logits):
        expected = summary(new.plant, sigmoid(logit + shift), share_of_others=0.2)
        assert figures.log_loss[when] == pytest.approx(expected["loss"], abs=1e-5)
        assert figures.calibration_error[when] == pytest.approx(expected["calibration_error"])
    assert (figures.photos, figures.count) == ("new photos", 30)
    assert (of_memory.photos, of_memory.count) == ("memory", 300)


def test_a_threshold_that_was_served_with_says_nothing_of_what_was_learned(memory: Memory) -> None:
    """A parent with a poor threshold: what the rule alone makes better is no gain."""
    new = photos(30, 1, 2.0)
    poor, good = (judged(memory, new, by=terms(memory, served)) for served in (0.999, 0.75))
    for one in (poor, good):
        wrong = sum(change.wrong_before for change in one.known[:2])
        assert wrong < 75  # at 0.999 nearly all of the 150 plants are sent back


def test_few_new_photos_of_a_class_have_no_say_in_the_threshold(memory: Memory) -> None:
    new = photos(40, 1, 2.0)
    plants, others = np.flatnonzero(new.plant), np.flatnonzero(~new.plant)
    for many, few_ in ((plants, others), (others, plants)):
        mine = new.part(np.concatenate([many[:6], few_[:4]]))
        assert enough_to_choose(mine).tolist() == [True] * 6 + [False] * 4
    burst = new.part(plants[:8])
    assert enough_to_choose(replace(burst, scene=burst.scene // 8)).sum() in (0, 8)
    assert not enough_to_choose(replace(burst, scene=np.arange(8) // 2)).any()
    others = np.flatnonzero(~new.plant)[4:]
    few = new.part(~np.isin(np.arange(40), others))
    assert int(np.sum(~few.plant)) == 4
    found = judged(memory, few)
    assert found.after.others == int(np.sum(~memory.plant))
    assert found.after.plants == int(np.sum(memory.plant)) + int(np.sum(few.plant))


def test_neither_drawn_pictures_nor_stray_photos_are_sources_that_choose() -> None:
    known = photos(300, 0)
    sources = ["seam" + DRAWN if i % 3 == 0 else "field" for i in range(300)]
    stray = int(np.flatnonzero(known.plant & np.array([name == "field" for name in sources]))[0])
    sources[stray] = "one photo"
    memory = remember(known.embedding, known.logit, known.plant, sources, np.ones(300))
    mine = remembered_to_choose(memory)
    assert set(memory.names[mine]) == {"field"}
    assert np.sum(mine) == sources.count("field")
    new = photos(30, 1, 2.0)
    found = judged(memory, new, START, START.logit(new.logit, new.embedding))
    assert found.before.plants == np.sum(mine & memory.plant) + np.sum(new.plant)
    # A class of which all was drawn has no others to choose by.
    frames = ["frame" + DRAWN if not plant else "field" for plant in known.plant]
    drawn = remember(known.embedding, known.logit, known.plant, frames, np.ones(300))
    assert remembered_to_choose(drawn).all()


def test_sources_that_changed_are_told(memory: Memory) -> None:
    found = judged(memory, photos(30, 1, 2.0))
    totals, sources = found.known[:2], found.known[4:]
    assert {one.source for one in sources} <= {"near", "far"}
    for total in totals:
        of_error = [one for one in sources if one.error == total.error]
        assert sum(one.newly_wrong for one in of_error) == total.newly_wrong
        assert sum(one.newly_right for one in of_error) == total.newly_right
    for header, rows in (change_table(found), figures_table(found)):
        assert {len(row) for row in rows} == {len(header)}


def test_what_gets_worse_is_an_objection(memory: Memory) -> None:
    new = photos(30, 1, 2.0)
    wrongly = fit_correction(memory, new, START)
    turned = replace(wrongly, gain=-wrongly.gain, kernel=-wrongly.kernel, bias=-wrongly.bias)
    objections = judged(memory, new, turned).objections
    for text in ("Worse on memory:", "Worse on memory, at ", "Costlier on memory: "):
        assert any(one.startswith(text) for one in objections), text
    many = photos(300, 1)
    objections = judged(memory, many, START, -many.logit).objections
    assert any(one.startswith("Worse on new photos") for one in objections)
    assert any(one.startswith("Costlier on new photos: ") for one in objections)
    assert judged(memory, photos(30, 1)).objections == []


def test_all_drawn_pictures_together_are_one_source_and_no_kind_objects_alone() -> None:
    """They have no vote in the threshold; the photos of the memory are told without them."""
    known = photos(600, 0)
    kinds = np.array(["field", "seam" + DRAWN, *["planted" + DRAWN] * 10])[np.arange(600) % 12]
    memory = remember(known.embedding, known.logit, known.plant, kinds.tolist(), np.ones(600))
    assert {"seam" + DRAWN, "planted" + DRAWN, "field"} == set(memory.names)
    new = photos(30, 1, 2.0)
    taught = fit_correction(memory, new, START)
    found = judged(memory, new, replace(taught, bias=taught.bias - np.float32(1)))
    taken = ~memory.drawn
    assert [one.count for one in found.known[:2]] == [
        np.sum(taken & ~memory.plant),
        np.sum(taken & memory.plant),
    ]
    assert found.figures[1].count == np.sum(taken)
    sources = {one.source for one in found.known[4:]}
    assert MADE in sources
    assert not any(source.endswith(DRAWN) for source in sources)
    for made in (one for one in found.known if one.source == MADE):
        assert made.count == np.sum(memory.drawn & (memory.plant == (made.error == error_of(True))))


def test_what_is_no_worse_than_what_is_served_is_no_objection(memory: Memory) -> None:
    """A parent of one hundred plants at 0.8 and a child that sends twenty of them back."""
    before = Predictions(np.ones(100), np.full(100, 0.8), np.arange(100))
    after = replace(before, probabilities=np.where(np.arange(100) < 20, 0.2, 0.8))
    for served, worse in ((0.75, True), (0.9, False)):
        both = Compared("memory", before, after, 0.5, 0.5, terms(memory, served), 0.02)
        (retakes,) = both.totals()
        assert (retakes.wrong_before, retakes.wrong_after, retakes.worse) == (0, 20, worse)
        assert (both.figures().cost.worse, both.figures().costlier) == (True, worse)
    again = Compared("memory", after, before, 0.5, 0.5, terms(memory, 0.1), 0.02)
    assert not again.totals()[0].worse  # as it serves it sends none back, but that is its threshold
    assert not again.figures().costlier
