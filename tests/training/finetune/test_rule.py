from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plantood.model.parts.calibration import Calibration, logit, sigmoid
from plantood.training.common.settings import CostSettings
from plantood.training.finetune.rule import ParentRule, judged_alike, weights_notes
from plantood.training.judging.decision.rule import LEFT_OUT, VALIDATION
from plantood.training.judging.decision.threshold import ChosenThreshold, choose_threshold
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.train.judged import calibrated, judged_facts, threshold_notes
from tests.training.conftest import make_photo

COSTS = CostSettings()
LINE = Calibration(0.4, -0.3)
"""Of a parent that is far less sure of what is new."""
PHOTOS = tuple(make_photo(str(n), n % 2) for n in range(400))


def evaluation(name: str, slope: float = 1.0, intercept: float = 0.0) -> Evaluation:
    """Logits of overlapping classes, and a line of them."""
    rng = np.random.default_rng(0)
    x = rng.normal([-2.0, 2.0] * 200, 1.5) * slope + intercept
    scored = Scored(PHOTOS, sigmoid(x).astype(np.float32))
    return Evaluation(name, {"val": scored, "test": scored}, 0.5)


def chosen(threshold: float = 0.8, **values: float) -> ChosenThreshold:
    made = choose_threshold([0, 1] * 9, [0.1, 0.9] * 9, share_of_others=0.5)
    return replace(made, threshold=threshold, carried_over=True, **values)


OWN = ParentRule(LINE, chosen(), LEFT_OUT)


def test_without_a_rule_of_its_own_validation_chooses() -> None:
    raw = evaluation("before"), evaluation("after", 2.0, 1.0)
    for found, one in zip(judged_alike(*raw, COSTS, None), raw, strict=True):
        assert found.figures() == calibrated(one, COSTS).figures()


def test_a_child_that_learned_nothing_is_what_its_parent_serves() -> None:
    before, after = judged_alike(evaluation("before"), evaluation("after"), COSTS, OWN)
    raw = evaluation("before").splits["test"].probabilities
    for one in (before, after):
        np.testing.assert_allclose(one.splits["test"].probabilities, LINE.apply(raw), atol=1e-5)
        assert one.threshold == 0.8
        assert one.details["chosen_on"] == LEFT_OUT
        assert one.details["chosen_threshold"]["carried_over"]
        assert one.details["chosen_threshold"]["plants"] == 9
        np.testing.assert_array_equal(one.uncalibrated["test"].probabilities, raw)


def test_logits_of_another_scale_are_brought_to_the_parents() -> None:
    before, after = judged_alike(evaluation("before"), evaluation("after", 2.0, 1.0), COSTS, OWN)
    found, expected = (logit(one.splits["test"].probabilities) for one in (after, before))
    assert np.abs(found - expected).max() < 0.15
    # By validation alone it would be surer than what its parent says of new sources allows.
    alone = calibrated(evaluation("after", 2.0, 1.0), COSTS)
    assert logit(alone.splits["test"].probabilities).std() > 1.5 * found.std()
    assert after.threshold == before.threshold == 0.8


def test_a_burst_of_one_scene_moves_no_logits() -> None:
    """Of the validation photos that bring a child's logits to its parent's, scenes count once."""
    before, after = evaluation("before"), evaluation("after", 2.0, 1.0)
    after.splits["val"].probabilities[1] = 0.01  # a plant that the child takes for an other
    at = np.append(np.arange(400), np.full(300, 1))  # the second photo 300 times more
    times = tuple(replace(PHOTOS[n], sha256=f"{place}") for place, n in enumerate(at))
    groups = {photo.sha256: int(n) for photo, n in zip(times, at, strict=True)}

    def burst(one: Evaluation) -> Evaluation:
        val = Scored(times, one.splits["val"].probabilities[at])
        return replace(one, splits={**one.splits, "val": val}, groups=groups)

    once = judged_alike(before, after, COSTS, OWN)
    again = judged_alike(burst(before), burst(after), COSTS, OWN)
    for one, other in zip(once, again, strict=True):
        found, expected = (logit(x.splits["test"].probabilities) for x in (other, one))
        np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("own", [None, OWN], ids=["chosen on validation", "its parent's rule"])
def test_weights_of_the_loss_that_validation_cannot_take_out_are_told(
    own: ParentRule | None,
) -> None:
    """Of a child whose odds are a third of its parent's, as with 3 for a false accept."""

    def pair(count: int, groups: dict[str, int]) -> tuple[Evaluation, Evaluation]:
        before, after = (
            replace(
                one,
                splits={**one.splits, "val": first(one.splits["val"], count)},
                groups=groups,
            )
            for one in (evaluation("before"), evaluation("after", intercept=-np.log(3)))
        )
        return judged_alike(before, after, COSTS, own)

    def first(scored: Scored, count: int) -> Scored:
        return Scored(scored.photos[:count], scored.probabilities[:count])

    def level(one: Evaluation) -> float:
        return float(logit(one.splits["test"].probabilities).mean())

    before, after = pair(400, {})
    assert level(after) == pytest.approx(level(before), abs=0.1)
    assert weights_notes(after, (3, 1)) == []
    for few in (pair(8, {}), pair(400, {p.sha256: n % 8 for n, p in enumerate(PHOTOS)})):
        before, after = few
        assert level(after) < level(before) - 0.3
        (note,) = weights_notes(after, (3, 1))
        assert "at least 5 scenes of each class" in note
        assert "the child may send more plants back" in note
        assert "--loss bce" in note
        (note,) = weights_notes(after, (1, 3))
        assert "the child may let more others through" in note
        assert weights_notes(after, (2, 2)) == []
    assert few[1].calibration is not None
    assert few[1].calibration.method == "none"


def test_other_costs_and_another_share_move_it() -> None:
    same = OWN.moved(CostSettings(false_accept_cost=6, false_retake_cost=2))
    assert (same.threshold.threshold, same.calibration) == (0.8, LINE)
    dear = OWN.moved(CostSettings(false_accept_cost=9))
    assert dear.threshold.threshold == dear.threshold.towards == pytest.approx(0.9)
    assert dear.threshold.confusion == {}
    assert dear.calibration == LINE
    rare = OWN.moved(CostSettings(share_of_others=0.1))
    assert rare.threshold.share_of_others == 0.1
    assert rare.calibration.intercept == pytest.approx(LINE.intercept + np.log(9))
    # The errors of its child are then weighed at this share, too.
    _, after = judged_alike(
        evaluation("before"), evaluation("after"), CostSettings(share_of_others=0.1), OWN
    )
    assert after.share_of_others == 0.1
    moved = replace(LINE, intercept=LINE.intercept + np.log(9))
    raw = evaluation("after").splits["val"].probabilities
    np.testing.assert_allclose(after.splits["val"].probabilities, moved.apply(raw), atol=1e-5)


def test_the_rule_of_a_gate_is_read_from_what_it_says_of_itself() -> None:
    figures = {"chosen_on": LEFT_OUT, "chosen_threshold": chosen().as_dict()}
    with_margin = Calibration(0.4, -0.3, margin=2.0, pictures=9)
    assert ParentRule.from_figures(figures, with_margin) == OWN  # the scorer adds the margin
    promised = ParentRule.from_figures({**figures, "threshold": 0.95}, LINE)
    assert promised is not None
    assert promised.threshold == replace(OWN.threshold, threshold=0.95)
    assert ParentRule.from_figures(figures, None) == replace(OWN, calibration=Calibration())
    assert ParentRule.from_figures({**figures, "chosen_on": VALIDATION}, LINE) is None
    assert ParentRule.from_figures({"chosen_threshold": chosen().as_dict()}, LINE) is None
    assert ParentRule.from_figures({}, LINE) is None
    # As a child says of itself what its parent's was.
    _, child = judged_alike(evaluation("before"), evaluation("after"), COSTS, OWN)
    assert child.calibration is not None
    again = ParentRule.from_figures(child.figures(), child.calibration.served)
    assert again is not None
    assert again.threshold == OWN.threshold
    assert again.calibration.slope == pytest.approx(LINE.slope)


def test_in_words_it_is_the_parents() -> None:
    def facts(costs: CostSettings) -> dict[str, str]:
        return dict(judged_facts(judged_alike(*pair, costs, OWN)[1]))

    pair = evaluation("before"), evaluation("after", 2.0, 1.0)
    told = facts(COSTS)
    assert told["threshold"] == (
        f"0.8000, by the rule of its parent, from 9 plants and 9 others of {LEFT_OUT}"
    )
    assert told["share of others"] == "50.0%, as its parent's"
    assert told["calibration"].startswith("that of its parent, behind what brings its logits")
    dear = facts(CostSettings(false_accept_cost=9, share_of_others=0.1))
    assert dear["threshold"] == (
        "0.9000, Bayes' of the costs, which the rule of its parent was not chosen for"
    )
    assert dear["share of others"] == "10.0%, as given"


def test_that_it_rests_on_few_photos_is_told() -> None:
    pair = evaluation("before"), evaluation("after")
    (note,) = threshold_notes(judged_alike(*pair, COSTS, OWN)[1])
    assert note.startswith("The threshold rests on 9 plants and 9 others, which is few")
    # Bayes' of other costs rests on none.
    assert threshold_notes(judged_alike(*pair, CostSettings(false_accept_cost=9), OWN)[1]) == []


def test_a_share_that_was_given_for_the_parent_is_the_childs() -> None:
    figures = {"chosen_on": LEFT_OUT, "chosen_threshold": chosen().as_dict()}
    given = ParentRule.from_figures({**figures, "share_of_others": 0.5}, LINE)
    pair = evaluation("before"), evaluation("after")
    for own, share in ((OWN, None), (given, 0.5)):
        for one in judged_alike(*pair, COSTS, own):
            assert one.share_of_others == share
