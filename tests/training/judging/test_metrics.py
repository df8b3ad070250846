from __future__ import annotations

import numpy as np
import pytest

from plantood.training.common.intervals import wilson
from plantood.training.judging import metrics

PLANTS, OTHERS = [0.9, 0.8, 0.6, 0.4, 0.3], [0.7, 0.2, 0.1]
LABELS = [1] * len(PLANTS) + [0] * len(OTHERS)


def test_figures_by_hand() -> None:
    found = metrics.summary(LABELS, PLANTS + OTHERS, 0.5)
    assert found["confusion"] == {
        "true_accept": 3,
        "false_retake": 2,
        "false_accept": 1,
        "true_retake": 2,
    }
    assert (found["count"], found["plants"], found["others"]) == (8, 5, 3)
    assert found["accuracy"] == 5 / 8
    assert found["precision"] == 3 / 4
    assert found["recall"] == 3 / 5
    assert found["f1"] == pytest.approx(2 / 3)  # 2 * 3 / (2 * 3 + 1 + 2)
    # The other at 0.7 has two of the plants above it, those at 0.2 and 0.1 all five.
    assert found["auroc"] == pytest.approx(12 / 15)
    right = np.prod([*PLANTS, *(1 - p for p in OTHERS)])
    assert found["loss"] == pytest.approx(-np.log(right) / 8)


def test_a_certain_mistake_has_a_loss_that_can_be_added() -> None:
    assert metrics.cross_entropy([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(metrics.EPSILON))


def test_roc_curve_by_hand_with_a_tie() -> None:
    labels, probabilities = [1, 0, 1, 0], [0.8, 0.5, 0.5, 0.2]
    fpr, tpr, thresholds = metrics.roc_curve(labels, probabilities)
    assert fpr.tolist() == [0, 0, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 1, 1]
    assert thresholds.tolist() == [np.inf, 0.8, 0.5, 0.2]
    # Of four pairs the plant is above the other in three, and one is a tie.
    assert metrics.auroc(labels, probabilities) == pytest.approx(3.5 / 4)


def test_roc_curve_has_a_point_for_every_probability() -> None:
    fpr, _, _ = metrics.roc_curve([1, 1, 1, 0], [0.9, 0.8, 0.7, 0.1])
    assert len(fpr) == 5


def test_fpr_at_95_tpr_by_hand() -> None:
    # 20 plants at 0.05, 0.10 ... 1.00; 19 of them (95 %) are kept down to 0.10.
    plants = np.arange(1, 21) / 20
    others = np.array([0.01, 0.07, 0.2, 0.5, 0.93])  # three of five are at or above 0.10
    labels = np.r_[np.ones(20), np.zeros(5)]
    assert metrics.fpr_at_tpr(labels, np.r_[plants, others]) == pytest.approx(3 / 5)


def test_calibration_error_by_hand() -> None:
    # Two bins of 0.5: {0.1, 0.3}, observed 1/2, predicted 0.2; {0.9}, observed 1, predicted 0.9.
    error = metrics.calibration_error([0, 1, 1], [0.1, 0.3, 0.9], bins=2)
    assert error == pytest.approx(2 / 3 * 0.3 + 1 / 3 * 0.1)


def test_probability_one_belongs_to_the_last_bin() -> None:
    assert metrics.reliability([1], [1.0], bins=15) == [
        {"count": 1, "weight": 1.0, "predicted": 1.0, "observed": 1.0}
    ]


def test_a_probability_equal_to_the_threshold_is_accepted() -> None:
    assert metrics.confusion([1, 0], [0.5, 0.5], 0.5)["true_accept"] == 1
    assert metrics.confusion([1, 0], [0.5, 0.5], 0.5)["false_accept"] == 1
    found = metrics.summary([1, 0], [0.5, 0.5], 0.5)
    assert (found["recall"], found["precision"], found["accuracy"]) == (1, 0.5, 0.5)


def test_one_class_leaves_figures_undefined_not_wrong() -> None:
    found = metrics.summary([0, 0], [0.2, 0.7])
    assert found["auroc"] is None
    assert found["fpr_at_95_tpr"] is None
    assert found["recall"] is None
    assert found["precision"] == 0
    assert found["f1"] == 0
    assert found["accuracy"] == 0.5
    found = metrics.summary([0, 0], [0.2, 0.3])
    assert (found["precision"], found["recall"], found["f1"]) == (None, None, None)
    found = metrics.summary([1, 1], [0.2, 0.3])
    assert (found["precision"], found["recall"], found["f1"]) == (None, 0, 0)


def test_there_are_no_figures_of_no_photos() -> None:
    with pytest.raises(ValueError, match="minimum of 1 sample"):
        metrics.summary([], [])


def test_shape_batch_1_gives_the_same_figures() -> None:
    labels, probabilities = np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.4, 0.6])
    assert metrics.summary(labels, probabilities) == metrics.summary(
        labels[:, None], probabilities[:, None]
    )


def test_by_source_counts_each_class_on_its_own() -> None:
    rows = metrics.by_source(
        labels=[1, 1, 0, 0, 0],
        probabilities=[0.9, 0.2, 0.8, 0.1, 0.7],
        sources=["farm", "farm", "farm", "web", "web"],
        threshold=0.75,
    )
    told = [(row["source"], row["error"], row["count"], row["wrong"]) for row in rows]
    assert told == [
        ("farm", "false retakes", 2, 1),
        ("farm", "false accepts", 1, 1),
        ("web", "false accepts", 2, 0),
    ]


def test_intervals_of_the_shares() -> None:
    labels, said = [1] * 148 + [0] * 20, [0.2] * 15 + [0.9] * 133 + [0.1] * 20
    found = metrics.summary(labels, said)["intervals"]
    # Newcombe 1998, table I, method 3.
    assert found["false_retakes"] == pytest.approx([0.0624, 0.1605], abs=5e-5)
    assert found["recall"] == pytest.approx([1 - 0.1605, 1 - 0.0624], abs=5e-5)
    assert found["false_accepts"] == pytest.approx([0, 0.1611], abs=5e-5)
    said[-1] = 0.95  # let through by any threshold that keeps 95 % of the plants
    assert metrics.summary(labels, said)["intervals"]["fpr_at_95_tpr"] == list(wilson(1, 20))
    (row,) = metrics.by_source([1] * 148, said[:148], ["a"] * 148, 0.5)
    assert row["interval"] == found["false_retakes"]


@pytest.mark.parametrize("share", [0.1, 0.75])
def test_figures_of_another_share_of_others(share: float) -> None:
    """As if photos were repeated until the others had it."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [40, 60])
    said = np.clip(rng.normal(0.3 + 0.4 * labels, 0.25), 0.01, 0.99)
    repeated = np.where(labels == 0, round(share * 60), round((1 - share) * 40))
    found = metrics.summary(labels, said, 0.6, share)
    expected = metrics.summary(np.repeat(labels, repeated), np.repeat(said, repeated), 0.6)
    for figure in ("loss", "accuracy", "precision", "recall", "f1", "calibration_error", "auroc"):
        assert found[figure] == pytest.approx(expected[figure]), figure
    assert found["confusion"] == metrics.confusion(labels, said, 0.6)
    assert set(found["intervals"]) == {
        "false_accepts",
        "false_retakes",
        "recall",
        "fpr_at_95_tpr",
        "accuracy",
        "precision",
    }


@pytest.mark.parametrize("share", [0.1, 0.75])
def test_intervals_of_weighted_shares(share: float) -> None:
    """As by the delta method, which holds for many photos."""
    count, rates = 4000, np.array([0.9, 0.2])
    labels = np.repeat([1, 0], count)
    said = np.where(np.tile(np.arange(count) / count, 2) < np.repeat(rates, count), 0.9, 0.1)
    found = metrics.summary(labels, said, 0.5, share)
    plants, others = np.sqrt(rates * (1 - rates) / count)
    accuracy, precision = found["accuracy"], found["precision"]
    noises = {
        "accuracy": np.hypot((1 - share) * plants, share * others),
        "precision": precision * (1 - precision) * np.hypot(plants / rates[0], others / rates[1]),
    }
    for figure, value in (("accuracy", accuracy), ("precision", precision)):
        noise = noises[figure]
        expected = [value - 1.96 * noise, value + 1.96 * noise]
        assert found["intervals"][figure] == pytest.approx(expected, abs=0.2 * noise), figure


def test_weighted_shares_of_few_photos_or_of_one_class() -> None:
    right = metrics.summary([1] * 20 + [0] * 20, [0.9] * 20 + [0.1] * 20, 0.5, 0.1)["intervals"]
    assert right["accuracy"][1] == right["precision"][1] == 1
    assert 0.8 < right["accuracy"][0] < 0.95 < right["precision"][0] < 1
    wrong = metrics.summary([1] * 20 + [0] * 20, [0.1] * 20 + [0.9] * 20, 0.5, 0.1)["intervals"]
    assert wrong["accuracy"][0] == wrong["precision"][0] == 0
    assert "precision" not in metrics.summary([1, 0], [0.1, 0.1], 0.5, 0.1)["intervals"]
    # With one class nothing is weighted.
    assert metrics.summary([1] * 5, [0.9] * 5, 0.5, 0.1)["intervals"]["accuracy"] == (
        list(wilson(5, 5))
    )


def test_one_class_has_the_share_that_it_has() -> None:
    assert metrics.prevalence_weights([1, 1], 0.5).tolist() == [1, 1]
