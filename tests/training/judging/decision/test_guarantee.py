from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from plantood.training.judging.decision.guarantee import guaranteed_threshold, others_needed
from plantood.training.judging.outcomes import confusion


@pytest.mark.parametrize(("bound", "count"), [(0.01, 299), (0.005, 598), (0.05, 59), (0.1, 29)])
def test_how_many_others_carry_a_bound(bound: float, count: int) -> None:
    assert others_needed(bound) == count
    scores = np.full(count, 0.2)
    scores[0] = 0.6  # the strictest of the others decides
    enough = guaranteed_threshold([*[0] * count, 1], [*scores, 0.8], max_false_accept=bound)
    assert enough.threshold == pytest.approx(0.7)
    assert (enough.false_accepts, enough.others_missing) == (0, 0)
    assert enough.upper_bound <= bound
    short = guaranteed_threshold([0] * (count - 1), scores[1:], max_false_accept=bound)
    assert short.threshold is None
    assert short.others_missing == 1
    assert f"{count} are needed if not one of them is accepted, 1 more" in short.in_words("test")


def test_it_is_the_least_strict_of_clopper_and_pearson() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [900, 300])
    scores = np.concatenate([rng.beta(1, 6, 900), rng.beta(6, 1, 300)]).astype(np.float32)
    found = guaranteed_threshold(labels, scores, max_false_accept=0.02)
    assert found.threshold is not None
    others = scores[:900]

    def upper(threshold: float) -> float:
        accepted = int(np.sum(others >= threshold))
        return binomtest(accepted, 900, alternative="less").proportion_ci(0.95).high

    assert upper(found.threshold) <= 0.02
    assert found.upper_bound == pytest.approx(upper(found.threshold))
    below = scores[scores < found.threshold].max()
    assert upper(below) > 0.02
    assert found.false_accepts == np.sum(others >= found.threshold) == 10  # of at most 10
    assert found.false_retakes == np.sum(scores[900:] < found.threshold)


def test_the_bound_breaks_no_more_often_than_it_says() -> None:
    """Others' scores are uniform, so the share accepted is one minus the threshold."""
    rng = np.random.default_rng(1)
    trials, broken = 3000, 0
    for _ in range(trials):
        found = guaranteed_threshold(
            np.zeros(400), rng.random(400), max_false_accept=0.05, confidence=0.9
        )
        assert found.threshold is not None
        broken += 1 - found.threshold > 0.05
    # No more than one in ten, and since the test is exact not much less either.
    assert binomtest(broken, trials, 0.1, alternative="greater").pvalue > 0.001
    assert broken / trials > 0.06


def test_mapie_finds_the_same() -> None:
    control = pytest.importorskip("mapie.risk_control")
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], [700, 300])
    scores = np.round(np.concatenate([rng.beta(1, 5, 700), rng.beta(5, 1, 300)]), 3)
    grid = np.arange(999, 0, -1) / 1000 - 0.0005  # between all scores, the strictest first
    controller = control.BinaryClassificationController(
        lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
        "fpr",
        target_level=0.03,
        confidence_level=0.95,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    ).calibrate(scores[:, None], labels)
    found = guaranteed_threshold(labels, scores, max_false_accept=0.03)
    assert found.threshold is not None
    same = np.arange(0.0005, 1, 0.001)
    same = same[[np.array_equal(scores >= t, scores >= found.threshold) for t in same]]
    assert min(controller.valid_predict_params) == pytest.approx(same.min())


def test_others_that_look_like_the_surest_plants() -> None:
    found = guaranteed_threshold(np.zeros(400), np.ones(400, np.float32), max_false_accept=0.01)
    assert found.threshold is None
    assert found.others_missing == 0
    assert "No threshold holds it on the 400 others in test" in found.in_words("test")


def test_how_many_more_others_are_needed_if_some_are_accepted() -> None:
    """By Clopper and Pearson as SciPy has it."""
    labels = np.repeat([0, 1], [350, 100])
    scores = np.concatenate([np.full(350, 0.1), np.full(100, 0.8)])
    scores[:3] = 0.9  # above every plant
    found = guaranteed_threshold(labels, scores, max_false_accept=0.01)
    assert found.threshold is None
    assert found.others_needed == others_needed(0.01, 0.95, 3) == 773

    def upper(count: int) -> float:
        return binomtest(3, count, alternative="less").proportion_ci(0.95).high

    assert upper(773) <= 0.01 < upper(772)
    told = found.in_words("test")
    assert "773 are needed if 3 of them are accepted" in told
    assert "423 more" in told


def test_photos_of_one_scene_count_once() -> None:
    """Others in bursts of five: the bound is broken as often as it says, not six times as often."""
    rng = np.random.default_rng(3)
    scenes = [*np.repeat(np.arange(300), 5), 300]
    broken = {True: 0, False: 0}
    trials = 300
    for _ in range(trials):
        scores = np.repeat(rng.random(300), 5)
        for grouped in broken:
            found = guaranteed_threshold(
                [*[0] * 1500, 1],
                [*scores, 1.0],
                max_false_accept=0.01,
                scenes=scenes if grouped else None,
            )
            assert found.threshold is not None
            broken[grouped] += 1 - found.threshold > 0.01
    assert binomtest(broken[True], trials, 0.05, alternative="greater").pvalue > 0.001
    assert broken[False] > 3 * broken[True]
    assert (found.others, found.photos_of_others) == (1500, 1500)
    grouped = guaranteed_threshold(
        [0] * 4 + [1], [0.1, 0.3, 0.2, 0.1, 0.9], max_false_accept=0.8, scenes=[1, 1, 2, 2, 2]
    )
    assert (grouped.others, grouped.photos_of_others) == (2, 4)
    assert "2 scenes of others (4 photos) in test" in grouped.in_words("test")


def test_what_is_told_is_of_the_threshold_that_serves() -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], [600, 300])
    scores = np.concatenate([rng.beta(1, 9, 600), rng.beta(3, 2, 300)])
    alone = guaranteed_threshold(labels, scores, max_false_accept=0.03)
    served = guaranteed_threshold(labels, scores, max_false_accept=0.03, at_least=0.75)
    assert alone.threshold is not None
    assert served.threshold == alone.threshold == alone.served < 0.75 == served.served
    assert served.false_retakes == np.sum(scores[600:] < 0.75) > alone.false_retakes
    assert served.false_accepts == np.sum(scores[:600] >= 0.75) < alone.false_accepts
    assert served.upper_bound < alone.upper_bound
    assert f"from a threshold of {alone.threshold:.4f} up, and 0.7500 serves" in served.in_words("")


def test_in_float32_as_in_the_policy() -> None:
    """Two neighbours in float32: between them the threshold is neither of them."""
    low = np.float32(0.9)
    high = np.nextafter(low, np.float32(1))
    scores = np.array([*[low] * 299, high], np.float32)
    found = guaranteed_threshold([*[0] * 299, 1], scores, max_false_accept=0.01)
    assert found.threshold is not None
    assert (found.false_accepts, found.false_retakes) == (0, 0)
    for kind in (np.float32, np.float64):
        counts = confusion([*[0] * 299, 1], scores.astype(kind), found.threshold)
        assert (counts["false_accept"], counts["true_accept"]) == (0, 1)


def test_in_words() -> None:
    labels = np.repeat([0, 1], [299, 100])
    scores = np.concatenate([np.full(299, 0.5), np.full(3, 0.4), np.full(97, 0.9)])
    words = guaranteed_threshold(labels, scores, max_false_accept=0.01).in_words("test")
    assert words.startswith("At most 1 % of others accepted, 95 % sure: from a threshold of 0.7")
    assert "lets 0 of 299 others in test through" in words
    assert "1.00% of all others like these, and sends back 3.0% (1.0 to 8.5) of the plants" in words
    scenes = [*range(298), 297, *range(298, 398)]
    by_scene = guaranteed_threshold(labels, scores, max_false_accept=0.02, scenes=scenes)
    assert "% of all scenes of others like these, and sends back" in by_scene.in_words("test")


@pytest.mark.parametrize(("bound", "confidence"), [(0, 0.95), (1, 0.95), (0.1, 1), (0.1, 0)])
def test_bounds_that_make_no_sense(bound: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        guaranteed_threshold([0], [0.1], max_false_accept=bound, confidence=confidence)
