from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import beta

from plantood.training.judging.decision.threshold import (
    FEW,
    FEWEST,
    _rate,
    bayes_threshold,
    choose_threshold,
)
from plantood.training.judging.outcomes import confusion


def expected_cost(
    labels: ArrayLike,
    probabilities: ArrayLike,
    threshold: float,
    costs: tuple[float, float],
    share: float | None = None,
) -> tuple[float, float]:
    """Mean and standard deviation of the cost a photo under Jeffreys' prior, by SciPy."""
    counts = confusion(labels, probabilities, threshold)
    accept = beta(counts["false_accept"] + 0.5, counts["true_retake"] + 0.5)
    retake = beta(counts["false_retake"] + 0.5, counts["true_accept"] + 0.5)
    others = counts["false_accept"] + counts["true_retake"]
    share = others / sum(counts.values()) if share is None else share
    weights = share * costs[0], (1 - share) * costs[1]
    return (
        weights[0] * accept.mean() + weights[1] * retake.mean(),
        np.hypot(weights[0] * accept.std(), weights[1] * retake.std()),
    )


def drawn(seed: int, photos: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, photos)
    return labels, np.round(np.clip(rng.normal(0.35 + 0.3 * labels, 0.3), 0, 1), 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("costs", [(3, 1), (1, 1), (1, 3)])
@pytest.mark.parametrize("share", [None, 0.1, 0.9])
def test_the_nearest_within_the_noise_of_the_best(
    seed: int, costs: tuple[float, float], share: float | None
) -> None:
    labels, probabilities = drawn(seed)
    towards = costs[0] / sum(costs)
    chosen = choose_threshold(
        labels,
        probabilities,
        false_accept_cost=costs[0],
        false_retake_cost=costs[1],
        share_of_others=share,
    )
    assert chosen.towards == pytest.approx(towards)
    edges = np.unique([0, *probabilities, 1])
    every = [*(edges[:-1] + edges[1:]) / 2, towards]
    known = [expected_cost(labels, probabilities, t, costs, share) for t in every]
    limit = sum(min(known)) + 1e-9
    good = [t for t, (mean, _) in zip(every, known, strict=True) if mean <= limit]
    nearest = min(abs(t - towards) for t in good)
    assert expected_cost(labels, probabilities, chosen.threshold, costs, share)[0] <= limit
    assert abs(chosen.threshold - towards) == pytest.approx(nearest)
    assert chosen.confusion == confusion(labels, probabilities, chosen.threshold)


@pytest.mark.parametrize("seed", range(4))
def test_without_slack_no_threshold_costs_less(seed: int) -> None:
    labels, probabilities = drawn(seed)
    chosen = choose_threshold(labels, probabilities, standard_errors=0)
    least = min(
        expected_cost(labels, probabilities, t, (3, 1))[0] for t in np.linspace(0.005, 0.995, 100)
    )
    found = expected_cost(labels, probabilities, chosen.threshold, (3, 1))[0]
    assert found == pytest.approx(least)


def test_the_cost_is_of_the_share_that_is_asked_for() -> None:
    labels, probabilities = [0] * 10 + [1] * 10, [0.9] + [0.1] * 9 + [0.2] * 2 + [0.95] * 8
    chosen = choose_threshold(labels, probabilities, towards=0.8, standard_errors=9)
    assert chosen.cost_per_photo == pytest.approx((3 * 1 + 2) / 20)
    rare = choose_threshold(
        labels, probabilities, towards=0.8, standard_errors=9, share_of_others=0.1
    )
    assert rare.threshold == 0.8
    assert rare.cost_per_photo == pytest.approx(0.1 * 3 * 0.1 + 0.9 * 0.2)


def test_the_rarer_the_others_the_more_lenient() -> None:
    labels, probabilities = drawn(0, 400)
    thresholds = [
        choose_threshold(labels, probabilities, standard_errors=0, share_of_others=s).threshold
        for s in (0.05, 0.5, 0.95)
    ]
    assert thresholds == sorted(thresholds)
    assert len(set(thresholds)) == 3


def test_without_errors_the_noise_does_not_vanish() -> None:
    """Eight others far below: nothing speaks against the Bayes threshold of 0.75."""
    labels = [0] * 8 + [1] * 30
    probabilities = [0.05] * 8 + [0.6] + [0.99] * 29
    assert choose_threshold(labels, probabilities).threshold == 0.75
    assert choose_threshold(labels, probabilities).confusion["false_retake"] == 1
    # Of a thousand times as many photos that is known to be too strict.
    many = choose_threshold(np.repeat(labels, 1000), np.repeat(probabilities, 1000))
    assert many.threshold == pytest.approx((0.05 + 0.6) / 2)


def test_photos_that_tell_overrule_bayes() -> None:
    labels = [0] * 200 + [1] * 200
    probabilities = [0.1] * 150 + [0.85] * 50 + [0.95] * 200  # a quarter of the others at 0.85
    assert choose_threshold(labels, probabilities).threshold == pytest.approx(0.9)


def test_too_few_to_choose_by() -> None:
    labels = [0] * (FEWEST - 1) + [1] * 100
    probabilities = [0.9] * (FEWEST - 1) + [0.95] * 100
    chosen = choose_threshold(labels, probabilities, standard_errors=0)
    assert chosen.threshold == 0.75
    assert chosen.warning is not None
    assert "too few to choose another by" in chosen.warning
    more = choose_threshold([0, *labels], [0.9, *probabilities], standard_errors=0)
    assert more.threshold == pytest.approx(0.925)
    assert (more.plants, more.others) == (100, FEWEST)
    assert more.warning is not None
    assert f"100 plants and {FEWEST} others" in more.warning
    assert choose_threshold([0] * FEW + [1] * FEW, [0.1] * FEW + [0.9] * FEW).warning is None


@pytest.mark.parametrize(
    ("costs", "weights", "expected"),
    [((3, 1), (1, 1), 0.75), ((3, 1), (3, 1), 0.5), ((3, 1), (1, 3), 0.9), ((1, 1), (1, 1), 0.5)],
)
def test_the_best_threshold_for_a_loss(
    costs: tuple[float, float], weights: tuple[float, float], expected: float
) -> None:
    assert bayes_threshold(*costs, *weights) == pytest.approx(expected)
    # By its definition: of what the loss makes a model say, the cheapest cut.
    rng = np.random.default_rng(0)
    truth = rng.random(400_000)
    labels = (rng.random(400_000) < truth).astype(int)
    said = weights[1] * truth / (weights[1] * truth + weights[0] * (1 - truth))
    found = choose_threshold(
        labels,
        said,
        false_accept_cost=costs[0],
        false_retake_cost=costs[1],
        towards=0.6,
        standard_errors=0,
    )
    assert found.threshold == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_the_bayes_threshold(label: int) -> None:
    assert choose_threshold([label] * 30, [0.3, 0.5, 0.6] * 10).threshold == 0.75


def test_saturated_probabilities() -> None:
    chosen = choose_threshold([0] * 9 + [1] * 9, [0.0] * 9 + [1.0] * 9)
    assert chosen.threshold == 0.75
    chosen = choose_threshold([0] * 9 + [1] * 9, np.ones(18, np.float32))
    assert chosen.confusion["true_accept"] == 9  # no threshold in (0, 1] refuses a score of 1


@pytest.mark.parametrize("costs", [(0, 1), (1, -1)])
def test_costs_must_be_positive(costs: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        choose_threshold([0, 1], [0, 1], false_accept_cost=costs[0], false_retake_cost=costs[1])


def test_a_share_must_be_one() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        choose_threshold([0, 1], [0, 1], share_of_others=1.5)


def test_a_source_counts_as_much_as_any_other() -> None:
    """One of 400 others is a source of its own, and it is let through."""
    p = np.concatenate([np.linspace(0.8, 0.99, 400), np.linspace(0.01, 0.2, 399), [0.6]])
    y = np.arange(800) < 400
    few = ["field"] * 400 + ["floor"] * 399 + ["hand"]
    choices = {"towards": 0.4, "standard_errors": 2.0}
    assert choose_threshold(y, p, **choices).threshold == 0.4  # 1 of 400: within the noise
    chosen = choose_threshold(y, p, sources=few, **choices)
    assert chosen.threshold > 0.6  # it is half of what others there are
    assert chosen.cost_per_photo == 0
    assert chosen.others == 400


def mixed(let_through: list[int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """400 plants, 27 % of them below 0.5, and eight sources of 50 others with some above 0.95."""
    rng = np.random.default_rng(0)
    plants = np.where(np.arange(400) < 108, rng.uniform(0.3, 0.5, 400), rng.uniform(0.6, 0.9, 400))
    others = rng.uniform(0, 0.25, (8, 50))
    for p, count in zip(others, let_through, strict=True):
        p[:count] = 0.95
    names = [f"farm {i % 8}" for i in range(400)] + [f"floor {i // 50}" for i in range(400)]
    return np.arange(800) < 400, np.concatenate([plants, others.ravel()]), names


def test_sources_that_differ_are_more_noise_than_photos_that_do() -> None:
    """As many errors of one source as of all: what is cheapest for these may not be for others."""
    for errors, moves in (([6] * 8, True), ([48, *[0] * 7], False)):
        y, p, names = mixed(errors)
        assert choose_threshold(y, p, towards=0.5).threshold < 0.35  # by photos alone
        chosen = choose_threshold(y, p, towards=0.5, sources=names)
        assert (chosen.threshold < 0.35) == moves
        assert moves or chosen.threshold == 0.5
    # Those that belong together are one, and differ from the others as one.
    y, p, names = mixed([24, 24, *[0] * 6])
    pair = ["one" if name in ("floor 0", "floor 1") else name for name in names]
    assert choose_threshold(y, p, towards=0.5, sources=names).threshold < 0.5
    assert choose_threshold(y, p, towards=0.5, sources=names, groups=pair).threshold == 0.5


def test_the_noise_of_sources_is_that_of_the_mean_of_clusters() -> None:
    """Of sources that count alike it is their standard deviation by the root of their number."""
    rng = np.random.default_rng(1)
    unit, wrong = np.repeat(np.arange(6), 40), rng.random(240) < np.repeat(rng.random(6), 40)
    rate, noise = _rate(np.where(wrong, 1, 0), np.ones(240), unit, 2, plant=False)
    shares = wrong.reshape(6, 40).mean(1)
    assert noise[1] == pytest.approx(np.std(shares, ddof=1) / np.sqrt(6))
    assert rate[1] == pytest.approx((wrong.sum() + 0.5) / 241)


def test_photos_of_a_scene_count_as_one() -> None:
    """Each photo six times over: what is chosen is what they say once."""
    for seed in range(4):
        y, p = drawn(seed, 40)
        once = choose_threshold(y, p)
        again = choose_threshold(
            np.repeat(y, 6), np.repeat(p, 6), groups=np.repeat(np.arange(40), 6).tolist()
        )
        assert again.threshold == once.threshold
        assert again.scenes == (once.plants, once.others)
        assert again.warning is not None
        assert f"of {once.plants} and {once.others} scenes" in again.warning


def test_a_burst_of_one_scene_chooses_nothing() -> None:
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(0.3, 0.6, 60), rng.uniform(0.8, 0.9, 60)])
    y = np.arange(120) < 60
    assert choose_threshold(y, p).threshold != 0.75
    chosen = choose_threshold(y, p, groups=[f"{i}" if i < 60 else "burst" for i in range(120)])
    assert chosen.threshold == 0.75
    assert chosen.scenes == (60, 1)
    assert "60 plants and 60 others (of 60 and 1 scenes) are too few" in str(chosen.warning)


def test_the_usual_share_of_others_is_that_of_the_scenes() -> None:
    """So it is the one that P(plant) is calibrated for by the same photos."""
    y, p = drawn(0, 40)
    times = np.where(np.arange(40) == np.flatnonzero(y == 0)[0], 200, 1)
    repeated = np.repeat(np.arange(40), times)
    once = choose_threshold(y, p)
    again = choose_threshold(y[repeated], p[repeated], groups=repeated.tolist())
    assert again.share_of_others == pytest.approx(once.share_of_others)
    assert again.threshold == once.threshold
    assert again.cost_per_photo == pytest.approx(once.cost_per_photo)
