from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plantood.training.common.settings import PENALTY
from plantood.training.judging.wrong_labels import find_label_errors, label_errors


def clusters(count: int, distance: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of two overlapping classes, and their true labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = rng.normal(0, 1, (count, 20))
    features[:, 0] += distance * labels
    return features.astype(np.float32), labels


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_come_first(seed: int) -> None:
    features, labels = clusters(400, 6.0, seed)
    flipped = np.random.default_rng(seed).choice(400, 20, replace=False)
    labels[flipped] = 1 - labels[flipped]
    found = find_label_errors(features, labels, np.arange(400))
    assert set(found.ranked[:20].tolist()) == set(flipped.tolist())
    assert set(flipped.tolist()) <= set(found.suspects.tolist())
    assert len(found.suspects) < 24
    assert sorted(found.ranked.tolist()) == list(range(400))


def test_right_labels_are_not_suspected() -> None:
    features, labels = clusters(400, 8.0, 0)
    assert len(find_label_errors(features, labels, np.arange(400)).suspects) == 0


def test_probabilities_are_those_of_scikit_learn() -> None:
    """Each by a model that was fitted without the photo's part; standardised by all photos."""
    features, labels = clusters(100, 2.0, 1)
    groups = np.arange(100) // 2
    parts = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(Ridge(alpha=PENALTY * 80))
    x = StandardScaler().fit_transform(features.astype(np.float64))
    expected = cross_val_predict(model, x, labels, groups=groups, cv=parts).clip(0, 1)
    found = find_label_errors(features, labels, groups)
    sizes = {len(known) for known, _ in parts.split(x, labels, groups)}
    assert sizes == {80}
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-9)


def test_suspects_by_the_definition() -> None:
    """In the paper's words, one photo after the other."""
    features, labels = clusters(300, 1.5, 2)
    found = find_label_errors(features, labels, np.arange(300))
    p = found.probabilities
    usual = [np.mean(1 - p[labels == 0]), np.mean(p[labels == 1])]
    suspected = set()
    for n in range(300):
        above = [q - usual[k] for k, q in enumerate((1 - p[n], p[n]))]
        if above.index(max(above)) != labels[n]:
            suspected.add(n)
    assert len(suspected) > 10
    assert set(found.suspects.tolist()) == suspected
    own = np.where(labels == 1, p, 1 - p)
    assert np.all(np.diff(own[found.suspects]) >= 0)
    assert np.all(np.diff(own[found.ranked[len(suspected) :]]) >= 0)


def test_a_copy_with_the_same_wrong_label_is_no_witness() -> None:
    """Features as many as photos: what was fitted with the copy knows the wrong label by heart."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    features = rng.normal(0, 1, (120, 300))
    features[:, :40] += 3 * labels[:, None]
    features[1] = features[0]
    labels[:2] = 1  # both are others
    together = find_label_errors(features, labels, np.r_[0, 0, np.arange(1, 119)])
    apart = find_label_errors(features, labels, np.arange(120))
    assert together.probabilities[0] < apart.probabilities[0] - 0.05
    assert set(together.ranked[:2].tolist()) == {0, 1}


def test_too_few_groups_are_told() -> None:
    features, labels = clusters(40, 3.0, 0)
    with pytest.raises(ValueError, match="4 groups of a class are too few for 5 folds"):
        find_label_errors(
            features, labels, np.where(labels == 1, np.arange(40) // 10, np.arange(40))
        )


def test_by_hand() -> None:
    """Plants get 0.7 on average, others 0.75 of their own: 0.475 and more seems a plant."""
    labels = [1, 1, 1, 0, 0, 0]
    p = [0.9, 0.9, 0.3, 0.1, 0.17, 0.48]
    found = label_errors(p, labels)
    assert found.suspects.tolist() == [2, 5]
    assert found.ranked.tolist() == [2, 5, 4, 0, 1, 3]


def test_of_a_class_without_photos_nothing_is_doubted() -> None:
    """Plants alone, which get 0.8 on average: below half of that one seems something else."""
    found = label_errors([0.99, 0.99, 0.99, 0.39, 0.41, 0.93], np.ones(6))
    assert found.probabilities.mean() < 0.8
    assert found.suspects.tolist() == [3]
    assert label_errors([0.1, 0.2], np.zeros(2)).suspects.tolist() == []
