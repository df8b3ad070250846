from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plantood.training.common.settings import CostSettings
from plantood.training.judging.decision.rule import Unseen

PLANTS = frozenset({"farm", "garden"})
COSTS = CostSettings(share_of_others=0.5)


def unseen(test: str = "", **logits: list[float] | np.ndarray) -> Unseen:
    """Photos of sources with these logits; those of the source ``test`` choose nothing."""
    sources = np.array([name for name, own in logits.items() for _ in own])
    plant = np.isin(sources, sorted(PLANTS))
    probabilities = 1 / (1 + np.exp(-np.concatenate([*logits.values()])))
    return Unseen(sources, plant, probabilities[None], told_only=sources == test)


def spread(middle: float, count: int = 40) -> np.ndarray:
    return middle + np.linspace(-0.5, 0.5, count)


def test_the_rule_tells_apart_what_it_was_chosen_on() -> None:
    scores = unseen(farm=spread(3.0), garden=spread(2.5), street=spread(0.5), room=spread(0.2))
    rule = scores.rule(COSTS)
    accepted = rule.calibration.apply(scores.probabilities[0]) >= rule.threshold.threshold
    np.testing.assert_array_equal(accepted, scores.plant)
    assert (rule.threshold.plants, rule.threshold.others) == (80, 80)
    assert rule.threshold.share_of_others == 0.5


def test_sources_count_alike_in_the_rule() -> None:
    """Where the sources overlap, one of ten photos weighs as much as one of a thousand."""
    small = unseen(farm=spread(3.0), garden=spread(0.0, 10), street=spread(-3.0), room=spread(-2.5))
    large = unseen(
        farm=spread(3.0), garden=spread(0.0, 1000), street=spread(-3.0), room=spread(-2.5)
    )
    slopes = [one.rule(COSTS).calibration.calibration.slope for one in (small, large)]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.2)


def test_photos_of_the_test_split_choose_nothing() -> None:
    sources = {"farm": spread(3.0), "garden": spread(2.5), "street": spread(-3.0)}
    with_it, without = unseen("room", room=spread(3.0), **sources), unseen(**sources)
    assert with_it.rule(COSTS) == without.rule(COSTS)
    assert unseen(room=spread(3.0), **sources).rule(COSTS) != without.rule(COSTS)


def test_a_source_is_judged_by_a_rule_without_it() -> None:
    """A garden like no other plant moves the rule of all, but not its own."""
    scores = unseen(farm=spread(3.0), garden=spread(-1.0), street=spread(-3.0), room=spread(-2.5))
    own = scores.rule(COSTS, without=frozenset({"garden"}))
    mine = scores.sources == "garden"
    share = np.mean(own.calibration.apply(scores.probabilities[0][mine]) >= own.threshold.threshold)
    told = {one.source: one.share for one in scores.accepted(COSTS)}
    assert told["garden"] == pytest.approx(share)
    all_of_them = scores.rule(COSTS)
    accepted = all_of_them.calibration.apply(scores.probabilities[0]) >= (
        all_of_them.threshold.threshold
    )
    assert accepted[mine].mean() > share
    assert {one.share for one in scores.accepted(COSTS) if one.label == "other"} == {0.0}


def test_neighbours_have_a_say_in_the_rule() -> None:
    """The probe knows little of these sources; what they are near to tells nearly all."""
    rng = np.random.default_rng(0)
    middles = {"farm": 0.5, "garden": 0.5, "street": -0.5, "room": -0.5}
    scores = unseen(**{name: rng.normal(middle, 1, 60) for name, middle in middles.items()})
    scores = replace(scores, margins=np.where(scores.plant, 0.1, -0.1) + rng.normal(0, 0.05, 240))
    rule = scores.rule(COSTS)
    assert rule.calibration.method == "neighbours"
    for one in scores.accepted(COSTS):
        assert one.share > 0.9 if one.label == "plant" else one.share < 0.05
    assert rule.remembering(9).calibration.calibration.pictures == 9


def test_the_candidate_that_does_best_on_new_sources_is_taken() -> None:
    good = unseen(farm=spread(3.0), garden=spread(2.5), street=spread(-3.0), room=spread(-2.5))
    sure = unseen(farm=spread(9.0), garden=spread(-9.0), street=spread(-9.0), room=spread(-9.0))
    both = replace(good, probabilities=np.concatenate([sure.probabilities, good.probabilities]))
    losses = both.losses(COSTS, (1.0, 1.0))
    assert losses == [*sure.losses(COSTS, (1.0, 1.0)), *good.losses(COSTS, (1.0, 1.0))]
    rule = both.rule(COSTS)
    assert rule == replace(good.rule(COSTS), candidate=1)
    # Where the garden has no say, none speaks against the one that is surer.
    alone = both.rule(COSTS, without=frozenset({"garden"}))
    assert alone.candidate == 0
    assert both.only(1).rule(COSTS) == good.rule(COSTS)
    mine = both.sources == "garden"
    assert (both.judged(alone, mine) < 0.5).all()
    assert (both.judged(rule, mine) > 0.5).all()


def test_a_loss_is_by_source_by_share_and_by_weight() -> None:
    """Of one photo each the loss is the mean cross-entropy; a farm of many weighs no more."""
    logits = {"farm": [2.0] * 9, "street": [-1.0]}
    plant, other = np.log1p(np.exp(-2.0)), np.log1p(np.exp(-1.0))
    scores = unseen(**logits)
    assert scores.losses(COSTS, (1.0, 1.0)) == pytest.approx([(plant + other) / 2])
    assert scores.losses(COSTS, (3.0, 1.0)) == pytest.approx([(plant + 3 * other) / 2])
    dear = CostSettings(share_of_others=0.9)
    assert scores.losses(dear, (1.0, 1.0)) == pytest.approx([0.1 * plant + 0.9 * other])
    as_they_are = CostSettings()
    assert scores.losses(as_they_are, (1.0, 1.0)) == pytest.approx([0.9 * plant + 0.1 * other])


def test_by_default_others_are_as_common_as_in_the_photos() -> None:
    scores = unseen(
        farm=spread(3.0, 90), garden=spread(2.5, 90), street=spread(-3.0, 10), room=spread(-2.5, 10)
    )
    rule = scores.rule(CostSettings())
    assert rule.threshold.share_of_others == pytest.approx(0.1)
    assert rule.calibration.share_of_others == pytest.approx(0.1)


def test_a_share_that_the_network_knows_of_is_not_counted_twice() -> None:
    """Of ten photos nine are plants, and its logits say so: nothing is to be added."""
    rng = np.random.default_rng(1)
    sources = np.repeat([f"source {n:02}" for n in range(20)], 400)
    plant = sources < "source 10"
    others = ~plant & (np.arange(len(plant)) % 9 == 0)
    kept = plant | others
    x = rng.normal(np.where(plant, 1.0, -1.0)) * 2 + np.log(9)
    scores = Unseen(sources[kept], plant[kept], 1 / (1 + np.exp(-x[kept]))[None])
    line = scores.rule(CostSettings()).calibration.calibration
    assert (line.slope, line.intercept) == pytest.approx((1, 0), abs=0.15)
    even = scores.rule(COSTS).calibration.calibration
    assert (even.slope, even.intercept) == pytest.approx((1, -np.log(9)), abs=0.15)


@pytest.mark.parametrize(
    ("plants", "others", "enough"), [(5, 5, True), (4, 9, False), (9, 4, False)]
)
def test_few_sources_are_not_enough_for_a_rule(plants: int, others: int, enough: bool) -> None:
    plant = np.repeat([True, False], [plants, others])
    sources = np.array([f"{label} {n}" for n, label in enumerate(plant)])
    assert Unseen(sources, plant, np.full((1, len(plant)), 0.5)).enough is enough


def test_what_belongs_together_counts_as_one_source() -> None:
    plant = np.repeat([True, False], 6)
    sources = np.array([f"{label} {n}" for n, label in enumerate(plant)])
    scores = Unseen(sources, plant, np.full((1, 12), 0.5))
    assert scores.enough
    one = replace(scores, together=(frozenset({"True 0", "True 1"}),))
    assert one.enough
    assert one.fewest == 5
    assert not replace(scores, together=(frozenset({"True 0", "True 1", "True 2"}),)).enough


def test_a_source_that_is_only_told_of_is_not_among_the_fewest() -> None:
    plant = np.repeat([True, False], 5)
    sources = np.array([f"{label} {n}" for n, label in enumerate(plant)])
    scores = Unseen(sources, plant, np.full((1, 10), 0.5), told_only=sources == "True 0")
    assert scores.fewest == 4
    assert not scores.enough


def test_a_unit_is_judged_by_a_rule_without_it_and_each_source_alone() -> None:
    scores = unseen(
        farm=spread(3.0),
        garden=spread(-1.0),
        meadow=spread(-0.5),
        street=spread(-3.0),
        room=spread(-2.5),
    )
    plant = np.isin(scores.sources, ["farm", "garden", "meadow"])
    unit = frozenset({"garden", "meadow"})
    scores = replace(scores, plant=plant, together=(unit,))
    own = scores.rule(COSTS, without=unit)
    told = {one.source: one for one in scores.accepted(COSTS)}
    assert list(told) == ["farm", "garden", "meadow", "room", "street"]
    for name in unit:
        judged = scores.judged(own, scores.sources == name)
        assert told[name].share == pytest.approx(np.mean(judged >= own.threshold.threshold))
    apart = replace(scores, together=()).rule(COSTS, without=frozenset({"garden"}))
    assert apart.threshold != own.threshold


def test_a_stray_photo_changes_no_rule() -> None:
    """It would be a source like any other, and count as much as hundreds."""
    scores = unseen(farm=spread(3.0), garden=spread(2.0), street=spread(-3.0), room=spread(-2.5))
    scores = replace(scores, plant=np.isin(scores.sources, ["farm", "garden"]))
    stray = Unseen(
        np.append(scores.sources, "plant"),
        np.append(scores.plant, True),
        np.append(scores.probabilities, [[0.001]], axis=1),
    )
    costs = CostSettings(share_of_others=0.5)
    assert stray.rule(costs) == scores.rule(costs)
    assert stray.fewest == 2
