from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from plantood.training.judging.metrics import confusion
from plantood.training.judging.threshold import bayes_threshold, choose_threshold


def cost_at(
    labels: ArrayLike, probabilities: ArrayLike, threshold: float, accept: float, retake: float
) -> float:
    counts = confusion(labels, probabilities, threshold)
    return accept * counts["false_accept"] + retake * counts["false_retake"]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("accept", "retake"), [(3, 1), (1, 1), (1, 3)])
def test_no_threshold_costs_less(seed: int, accept: float, retake: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 60)
    probabilities = np.round(np.clip(rng.normal(0.35 + 0.3 * labels, 0.3), 0, 1), 2)
    chosen = choose_threshold(
        labels, probabilities, false_accept_cost=accept, false_retake_cost=retake
    )
    every = np.linspace(0, 1.001, 1002)
    least = min(cost_at(labels, probabilities, t, accept, retake) for t in every)
    assert cost_at(labels, probabilities, chosen.threshold, accept, retake) == pytest.approx(least)
    assert chosen.cost_per_photo == pytest.approx(least / len(labels))
    assert chosen.confusion == confusion(labels, probabilities, chosen.threshold)


def test_separated_classes_give_the_middle_of_the_gap() -> None:
    chosen = choose_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9])
    assert chosen.threshold == pytest.approx(0.4)
    assert chosen.cost_per_photo == 0


def test_a_false_accept_costs_more_so_the_threshold_rises() -> None:
    labels, probabilities = [0, 1, 0, 1, 1], [0.2, 0.4, 0.6, 0.7, 0.8]
    assert choose_threshold(labels, probabilities).threshold == pytest.approx(0.65)
    lenient = choose_threshold(labels, probabilities, false_accept_cost=0.5)
    assert lenient.threshold == pytest.approx(0.3)


def test_of_equal_costs_the_one_nearest_to_one_half() -> None:
    # One error of the same cost each: between 0.1 and 0.2, or between 0.4 and 0.55.
    labels, probabilities = [0, 1, 0, 1], [0.1, 0.2, 0.4, 0.55]
    chosen = choose_threshold(labels, probabilities, false_accept_cost=1, false_retake_cost=1)
    assert chosen.threshold == pytest.approx(0.475)


def test_within_the_noise_the_one_that_the_loss_was_made_for() -> None:
    """One false accept costs 3, give or take 3: up to 6 a threshold is as good."""
    labels = [0] * 5 + [1] * 5
    probabilities = [0.05, 0.1, 0.1, 0.15, 0.9, 0.2, 0.3, 0.45, 0.95, 0.97]

    def threshold(**options: float) -> float:
        return choose_threshold(labels, probabilities, **options).threshold

    assert threshold() == pytest.approx(0.175)
    assert threshold(standard_errors=0.5) == pytest.approx(0.25)  # one false retake more
    assert threshold(standard_errors=1) == pytest.approx(0.375)  # two
    assert threshold(standard_errors=1, towards=0.7) == pytest.approx(0.675)  # three
    assert threshold(standard_errors=1, towards=0.1) == pytest.approx(0.125)  # one more accept
    tolerant = choose_threshold(labels, probabilities, standard_errors=1)
    assert (tolerant.towards, tolerant.standard_errors) == (0.5, 1)
    assert tolerant.confusion["false_retake"] == 2


def test_without_errors_there_is_no_noise() -> None:
    for towards in (0.1, 0.9):
        chosen = choose_threshold(
            [0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9], standard_errors=1, towards=towards
        )
        assert chosen.threshold == pytest.approx(0.4)


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
    found = choose_threshold(labels, said, false_accept_cost=costs[0], false_retake_cost=costs[1])
    assert found.threshold == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_stays_inside_the_unit_interval(label: int) -> None:
    chosen = choose_threshold([label] * 3, [0.3, 0.5, 0.6])
    assert 0 < chosen.threshold < 1
    assert chosen.cost_per_photo == 0


def test_saturated_probabilities() -> None:
    chosen = choose_threshold([0, 1], [0.0, 1.0])
    assert chosen.threshold == 0.5
    chosen = choose_threshold([0, 1], np.array([1.0, 1.0], np.float32))
    assert chosen.confusion["true_accept"] == 1  # no threshold in (0, 1] refuses a score of 1


@pytest.mark.parametrize("costs", [(0, 1), (1, -1)])
def test_costs_must_be_positive(costs: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        choose_threshold([0, 1], [0, 1], false_accept_cost=costs[0], false_retake_cost=costs[1])
