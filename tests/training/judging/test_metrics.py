from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from plantood.training.judging import metrics


@pytest.fixture(params=["spread", "tied", "saturated"])
def scored(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 400)
    probabilities = np.clip(rng.normal(0.3 + 0.4 * labels, 0.25), 0, 1)
    if request.param == "tied":
        probabilities = np.round(probabilities, 1)
    if request.param == "saturated":
        probabilities = np.where(rng.random(400) < 0.5, np.round(probabilities), probabilities)
    return labels, probabilities


def test_agrees_with_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = scored
    found = metrics.summary(labels, probabilities, 0.5)
    called = probabilities >= 0.5
    clipped = np.clip(probabilities, metrics.EPSILON, 1 - metrics.EPSILON)
    assert found["loss"] == pytest.approx(sk.log_loss(labels, clipped))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, called))
    assert found["precision"] == pytest.approx(sk.precision_score(labels, called))
    assert found["recall"] == pytest.approx(sk.recall_score(labels, called))
    assert found["f1"] == pytest.approx(sk.f1_score(labels, called))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(labels, probabilities))
    tn, fp, fn, tp = sk.confusion_matrix(labels, called).ravel()
    assert found["confusion"] == {
        "true_accept": tp,
        "false_retake": fn,
        "false_accept": fp,
        "true_retake": tn,
    }


def test_roc_curve_agrees_with_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = scored
    fpr, tpr, thresholds = metrics.roc_curve(labels, probabilities)
    expected = sk.roc_curve(labels, probabilities, drop_intermediate=False)
    np.testing.assert_allclose(fpr, expected[0])
    np.testing.assert_allclose(tpr, expected[1])
    np.testing.assert_allclose(thresholds, expected[2])


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
        {"count": 1, "predicted": 1.0, "observed": 1.0}
    ]


def test_a_probability_equal_to_the_threshold_is_accepted() -> None:
    assert metrics.confusion([1, 0], [0.5, 0.5], 0.5)["true_accept"] == 1
    assert metrics.confusion([1, 0], [0.5, 0.5], 0.5)["false_accept"] == 1


def test_one_class_leaves_figures_undefined_not_wrong() -> None:
    found = metrics.summary([0, 0], [0.2, 0.7])
    assert found["auroc"] is None
    assert found["fpr_at_95_tpr"] is None
    assert found["recall"] is None
    assert found["accuracy"] == 0.5
    assert metrics.summary([], [])["loss"] is None


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
