from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.training.judging.unseen import mean_share
from plantood.training.recipe.samples import Sample
from plantood.training.starter.leave_out import Unseen, leave_each_out, units_of

PLANTS = frozenset({"farm", "garden"})
EACH = [frozenset({name}) for name in ("farm", "garden", "street", "room")]


def unseen(test: str = "", **logits: list[float] | np.ndarray) -> Unseen:
    """Photos of sources with these logits; those of the source ``test`` choose nothing."""
    sources = np.array([name for name, own in logits.items() for _ in own])
    plant = np.isin(sources, sorted(PLANTS))
    probabilities = 1 / (1 + np.exp(-np.concatenate([*logits.values()])))
    return Unseen(sources, plant, probabilities, np.zeros(len(plant)), sources == test)


def spread(middle: float, count: int = 40) -> np.ndarray:
    return middle + np.linspace(-0.5, 0.5, count)


def test_the_rule_tells_apart_what_it_was_chosen_on() -> None:
    scores = unseen(farm=spread(3.0), garden=spread(2.5), street=spread(0.5), room=spread(0.2))
    rule = scores.rule()
    accepted = rule.calibration.apply(scores.probabilities) >= rule.threshold.threshold
    np.testing.assert_array_equal(accepted, scores.plant)
    assert (rule.threshold.plants, rule.threshold.others) == (80, 80)
    assert rule.threshold.share_of_others == 0.5


def test_sources_count_alike_in_the_rule() -> None:
    """Where the sources overlap, one of ten photos weighs as much as one of a thousand."""
    small = unseen(farm=spread(3.0), garden=spread(0.0, 10), street=spread(-3.0), room=spread(-2.5))
    large = unseen(
        farm=spread(3.0), garden=spread(0.0, 1000), street=spread(-3.0), room=spread(-2.5)
    )
    slopes = [one.rule().calibration.calibration.slope for one in (small, large)]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.2)


def test_photos_of_the_test_split_choose_nothing() -> None:
    sources = {"farm": spread(3.0), "garden": spread(2.5), "street": spread(-3.0)}
    with_it, without = unseen("room", room=spread(3.0), **sources), unseen(**sources)
    assert with_it.rule() == without.rule()
    assert unseen(room=spread(3.0), **sources).rule() != without.rule()


def test_a_source_is_judged_by_a_rule_without_it() -> None:
    """A garden like no other plant moves the rule of all, but not its own."""
    scores = unseen(farm=spread(3.0), garden=spread(-1.0), street=spread(-3.0), room=spread(-2.5))
    own = scores.rule(frozenset({"garden"}))
    mine = scores.sources == "garden"
    share = np.mean(own.calibration.apply(scores.probabilities[mine]) >= own.threshold.threshold)
    told = {one.source: one.share for one in scores.accepted(EACH)}
    assert told["garden"] == pytest.approx(share)
    all_of_them = scores.rule()
    accepted = all_of_them.calibration.apply(scores.probabilities) >= (
        all_of_them.threshold.threshold
    )
    assert accepted[mine].mean() > share
    assert mean_share(scores.accepted(EACH), "other") == 0


def test_units_are_sources_or_what_belongs_together() -> None:
    together = (frozenset({"farm", "street"}),)
    assert units_of(["street", "farm", "room"], together) == [*together, frozenset({"room"})]


def test_each_unit_is_scored_by_a_training_without_it() -> None:
    def photo(source: str, *, test: bool = False) -> Sample:
        own = (Path(source),)
        return Sample("photo", source != "street", (source,), (), own, measured_only=test)

    samples = [
        Sample("copy", True, ("farm",), (1,), (Path("farm"),)),
        photo("farm"),
        photo("street"),
        Sample("planted", True, ("farm", "street"), (1,), (Path("farm"),)),
        photo("farm", test=True),
        photo("garden"),
    ]
    asked = []

    def train(left_out: frozenset[str], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append((left_out, rows.tolist()))
        return rows.astype(np.float32), rows.astype(np.float32) / 10

    unit = frozenset({"farm", "garden"})
    found = leave_each_out(samples, train, (unit,))
    assert asked == [(unit, [1, 4, 5]), (frozenset({"street"}), [2])]
    assert found.sources.tolist() == ["farm", "street", "farm", "garden"]
    assert found.plant.tolist() == [True, False, True, True]
    assert found.test.tolist() == [False, False, True, False]
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp([-1.0, -2.0, -4.0, -5.0])))
    np.testing.assert_allclose(found.margins, [0.1, 0.2, 0.4, 0.5])


def test_neighbours_have_a_say_in_the_rule() -> None:
    """The probe knows little of these sources; what they are near to tells nearly all."""
    rng = np.random.default_rng(0)
    middles = {"farm": 0.5, "garden": 0.5, "street": -0.5, "room": -0.5}
    scores = unseen(**{name: rng.normal(middle, 1, 60) for name, middle in middles.items()})
    scores = replace(scores, margins=np.where(scores.plant, 0.1, -0.1) + rng.normal(0, 0.05, 240))
    rule = scores.rule()
    assert rule.calibration.method == "neighbours"
    shares = scores.accepted(EACH)
    assert mean_share(shares, "plant") > 0.9
    assert mean_share(shares, "other") < 0.05
    assert rule.remembering(9).calibration.calibration.pictures == 9
