from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from plantood.model.parts.calibration import Calibration
from plantood.training.judging.decision.calibration import fit_calibration
from plantood.training.judging.decision.threshold import FEWEST
from plantood.training.judging.metrics import calibration_error


def drawn(
    slope: float, intercept: float, count: int = 4000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and what a network says whose truth is ``slope * logit + intercept``."""
    rng = np.random.default_rng(seed)
    said = rng.normal(0, 2, count)
    labels = (rng.random(count) < expit(slope * said + intercept)).astype(int)
    return labels, expit(said)


@pytest.mark.parametrize(
    ("slope", "intercept", "method"), [(0.4, 0, "temperature"), (0.5, -1, "platt"), (2, 1, "platt")]
)
def test_the_truth_is_found(slope: float, intercept: float, method: str) -> None:
    labels, said = drawn(slope, intercept)
    found = fit_calibration(labels, said)
    assert found.method == method
    assert found.calibration.slope == pytest.approx(slope, rel=0.15)
    assert found.calibration.intercept == pytest.approx(intercept, abs=0.15)
    assert found.log_loss[method] == min(found.log_loss.values())
    fresh, fresh_said = drawn(slope, intercept, seed=1)
    before = calibration_error(fresh, fresh_said)
    after = calibration_error(fresh, found.calibration.apply(fresh_said))
    assert before is not None
    assert after is not None
    assert after < before / 3


def test_a_calibrated_network_is_left_alone() -> None:
    found = fit_calibration(*drawn(1, 0, seed=3))
    assert found.method == "none"
    assert found.calibration == Calibration()
    assert found.served is None


def test_the_line_is_that_of_logistic_regression() -> None:
    """Platt's targets are the labels with one photo more of each class at every logit."""
    labels, said = drawn(0.5, -1, 300)
    found = fit_calibration(labels, said)
    plants, others = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (plants + 1) / (plants + 2), 1 / (others + 2))
    x = logit(said)[:, None]
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(
        np.vstack([x, x]), np.repeat([1, 0], len(x)), np.concatenate([targets, 1 - targets])
    )
    assert found.method == "platt"
    assert found.calibration.slope == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert found.calibration.intercept == pytest.approx(model.intercept_[0], rel=1e-3)


def test_photos_without_an_error_do_not_make_it_steep_without_end() -> None:
    labels = np.repeat([0, 1], 20)
    found = fit_calibration(labels, np.repeat([0.3, 0.7], 20))
    assert 1 < found.calibration.slope < 6
    # The line goes through Platt's targets: 21 of 22 and 1 of 22.
    assert found.calibration.apply([0.7])[0] == pytest.approx(21 / 22, abs=1e-3)


def test_of_too_few_photos_it_says_nothing() -> None:
    labels = np.repeat([0, 1], [FEWEST - 1, 50])
    found = fit_calibration(labels, np.linspace(0.4, 0.6, len(labels)))
    assert (found.method, found.log_loss, found.served) == ("none", {}, None)
    assert (found.plants, found.others) == (50, FEWEST - 1)


def test_a_network_that_has_it_the_wrong_way_round_is_not_turned() -> None:
    labels, said = drawn(-1, 0, 400)
    found = fit_calibration(labels, said)
    assert found.method == "none"
    assert set(found.log_loss) == {"none"}


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_another_share_of_others_moves_the_odds(share: float) -> None:
    labels, said = drawn(0.5, -1, 40_000)
    found = fit_calibration(labels, said, share_of_others=share)
    # Photos with that share: drop some of one class.
    rng = np.random.default_rng(5)
    fresh, fresh_said = drawn(0.5, -1, 200_000, seed=6)
    plants, others = fresh.sum(), (1 - fresh).sum()
    keep = min(plants / (1 - share), others / share)
    kept = rng.random(len(fresh)) < np.where(
        fresh == 1, keep * (1 - share) / plants, keep * share / others
    )
    assert np.mean(fresh[kept] == 0) == pytest.approx(share, abs=0.01)
    error = calibration_error(fresh[kept], found.calibration.apply(fresh_said[kept]))
    assert error is not None
    assert error < 0.02


def test_weights_of_the_loss_are_taken_out() -> None:
    """A loss that weighs false accepts 3 teaches odds that are three times too low."""
    labels, said = drawn(1, 0, seed=3)
    learned = expit(logit(said) - np.log(3))
    found = fit_calibration(labels, learned, weights=(3, 1))
    assert found.method == "none"
    assert found.calibration.intercept == pytest.approx(np.log(3))
    np.testing.assert_allclose(found.calibration.apply(learned), said, atol=1e-5)


def test_a_share_of_all_or_nothing_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_calibration([0, 1], [0.1, 0.9], share_of_others=1)


def test_sources_count_alike_and_are_judged_by_lines_without_them() -> None:
    """Three large collections are told apart by far; of a small one half is taken for the other."""
    rng = np.random.default_rng(1)
    logits, labels, sources = [], [], []
    for name, label, size, mean in (
        ("a", 1, 500, 4.0),
        ("b", 1, 20, -0.5),
        ("c", 0, 500, -4.0),
        ("d", 0, 20, 0.5),
    ):
        logits += rng.normal(mean, 1.0, size).tolist()
        labels += [label] * size
        sources += [name] * size
    p = expit(2 * np.array(logits))  # too sure of itself
    alike, by_photo = (fit_calibration(labels, p, sources=one) for one in (sources, None))
    assert alike.calibration.slope < 0.7 * by_photo.calibration.slope
    repeated = np.repeat(np.arange(len(labels)), [1 if s in "ac" else 25 for s in sources])
    as_large = fit_calibration(np.array(labels)[repeated], p[repeated])
    assert alike.calibration.slope == pytest.approx(as_large.calibration.slope, rel=0.15)
    assert alike.log_loss != by_photo.log_loss


def asked(count: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, what a network says, and margins that know what it does not."""
    rng = np.random.default_rng(seed)
    said, margins = rng.normal(0, 2, count), rng.normal(0, 0.05, count)
    truth = expit(0.8 * said + 25 * margins)
    return (rng.random(count) < truth).astype(int), expit(said), margins


def test_neighbours_are_asked_where_they_know_more() -> None:
    labels, p, margins = asked()
    fitted = fit_calibration(labels, p, margins=margins)
    assert fitted.method == "neighbours"
    found = fitted.calibration
    assert (found.slope, found.intercept) == (pytest.approx(0.8, abs=0.08), 0)
    assert found.margin == pytest.approx(25, abs=2.5)
    x = np.column_stack([logit(p), margins])
    theirs = LogisticRegression(C=1e9, tol=1e-8, max_iter=1000, fit_intercept=False).fit(x, labels)
    assert [found.slope, found.margin] == pytest.approx(theirs.coef_[0].tolist(), rel=0.01)
    assert fitted.log_loss["neighbours"] < fitted.log_loss["platt"] - 0.01
    applied = fitted.remembering(7)
    assert applied.calibration == Calibration(found.slope, found.intercept, found.margin, 7)
    np.testing.assert_allclose(applied.apply(p, margins), applied.served.apply(p, margins))
    assert "neighbours" in fitted.in_words()
    assert f"margin {found.margin:.2f}" in fitted.in_words()


def test_margins_that_say_nothing_or_the_opposite_are_not_served() -> None:
    labels, p, margins = asked()
    noise = np.random.default_rng(5).permutation(margins)
    for one in (-margins, noise):
        fitted = fit_calibration(labels, p, margins=one)
        assert fitted.method != "neighbours" or fitted.calibration.margin < 3
    assert "neighbours" not in fit_calibration(labels, p, margins=-margins).log_loss
    assert "neighbours" not in fit_calibration(labels, p).log_loss


def test_leaving_a_source_out_does_not_make_its_class_rare() -> None:
    """All sources are alike but for chance, so an intercept is worth as little as it costs."""
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], 300)
    p = expit(rng.normal(np.where(labels, 1.0, -1.0), 1.0))
    sources = [f"{label} {n % 3}" for n, label in enumerate(labels)]
    fitted = fit_calibration(labels, p, sources=sources)
    assert fitted.log_loss["platt"] == pytest.approx(fitted.log_loss["temperature"], abs=0.005)


def test_no_line_is_judged_on_what_belongs_together_with_what_it_was_fitted_to() -> None:
    """Two of a table are as hard as each other: whoever has seen one expects the other."""
    rng = np.random.default_rng(0)
    middles = {"tree": 5.0, "apple": -1.0, "maize": -1.0, "soil": -5.0, "room": -4.0}
    sources = np.repeat([*middles], 100)
    p = expit(np.repeat([*middles.values()], 100) + rng.normal(0, 0.5, 500))
    labels = np.isin(sources, ["tree", "apple", "maize"])
    groups = np.where(sources == "maize", "apple", sources)
    apart, together = (
        fit_calibration(labels, p, sources=sources, groups=one, methods=("platt",))
        for one in (sources, groups)
    )
    assert apart == fit_calibration(labels, p, sources=sources, methods=("platt",))
    assert together.log_loss["platt"] > apart.log_loss["platt"] + 0.05
    assert together.calibration == apart.calibration  # every source still counts alike in the line


@pytest.mark.parametrize("share", [None, 0.1])
def test_a_line_counts_each_scene_once(share: float | None) -> None:
    """Each photo six times over, or 200 times one of them: the line is what they say once."""
    labels, said = drawn(0.5, -1, 300)
    once = fit_calibration(labels, said, share_of_others=share)
    wrong_by_far = int(np.argmax(np.where(labels == 0, said, 0)))
    times = np.ones(300, int)
    times[wrong_by_far] = 200
    for repeated in (np.repeat(np.arange(300), 6), np.repeat(np.arange(300), times)):
        photos = labels[repeated], said[repeated]
        again = fit_calibration(*photos, share_of_others=share, groups=repeated.tolist())
        assert once.method == again.method == "platt"
        assert again.calibration.slope == pytest.approx(once.calibration.slope, rel=1e-3)
        assert again.calibration.intercept == pytest.approx(once.calibration.intercept, rel=1e-3)
        assert again.plants + again.others == len(repeated)
    by_photo = fit_calibration(*photos, share_of_others=share).calibration
    assert by_photo.slope != pytest.approx(once.calibration.slope, rel=0.5)


def test_a_method_is_chosen_by_scenes() -> None:
    """One photo 300 times over, that only a shift does justice, chooses none."""
    labels, said = drawn(1, 0, 200, seed=3)
    times = np.ones(200, int)
    times[0] = 300
    repeated = np.repeat(np.arange(200), times)
    once = fit_calibration(labels, said)
    again = fit_calibration(labels[repeated], said[repeated], groups=repeated.tolist())
    assert again.method == once.method == "none"
    assert again.log_loss["none"] == pytest.approx(once.log_loss["none"])
