from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory, remember, unit
from plantood.training.adapt.correction.correct import (
    SHARE,
    NewPhotos,
    fit_correction,
    leave_each_out,
    memory_logits,
    memory_weights,
    none,
)

CHANNELS = 16
TRUTH = np.append(np.random.default_rng(7).normal(size=CHANNELS - 1) * 12, 0.0)


def photos(count: int, seed: int, away: float = 0.0) -> NewPhotos:
    """Photos of a source, and what a head says that knows the truth of other sources.

    ``away`` moves its plants to where that head sees others, but also along the last channel,
    which hardly varied before.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, CHANNELS)) * np.append(np.ones(CHANNELS - 1), 0.1) + 0.5
    plant = unit(x) @ TRUTH + rng.logistic(size=count) > 0
    x[plant] -= away * TRUTH / np.linalg.norm(TRUTH)
    x[plant, -1] += away
    logit = (unit(x) @ TRUTH).astype(np.float32)
    return NewPhotos(x.astype(np.float32), logit, plant, np.arange(count))


@pytest.fixture(scope="module")
def memory() -> Memory:
    known = photos(800, 0)
    return remember(known.embedding, known.logit, known.plant, ["known"] * 800, np.ones(800))


def kept(photos: NewPhotos, correction: Correction) -> float:
    return float(np.mean(correction.logit(photos.logit, photos.embedding)[photos.plant] > 0))


def test_it_is_the_best_of_the_penalised_loss(memory: Memory) -> None:
    """As scikit-learn finds it, to which a target between is a plant and an other in its shares."""
    new = photos(30, 1, away=2)
    zero = Correction(np.float32(0), np.zeros(CHANNELS, np.float32), np.float32(0.4))
    found = fit_correction(memory, new, zero, penalty=0.1)
    known = np.column_stack([memory.logit, memory.codes.astype(np.float32)])
    x = np.concatenate(
        [known, known, np.column_stack([new.logit, memory.encode(new.embedding)[0]])]
    )
    plant = np.concatenate([np.ones(800), np.zeros(800), new.plant])
    old_weights, new_weights = memory_weights(memory, new.plant, SHARE)
    said = 1 / (1 + np.exp(-0.4))
    weights = np.concatenate([said * old_weights, (1 - said) * old_weights, new_weights])
    spread = np.sqrt(weights @ (x - weights @ x) ** 2)
    expected = LogisticRegression(C=10, tol=1e-10, max_iter=2000, solver="newton-cholesky")
    expected.fit(x / spread, plant, sample_weight=weights)
    np.testing.assert_allclose(found.gain, expected.coef_[0, 0] / spread[0], atol=1e-4)
    scores = expected.decision_function(x[-30:] / spread)
    np.testing.assert_allclose(found.logit(new.logit, new.embedding), scores, atol=1e-3)


def test_a_new_source_is_learned_and_the_old_one_kept(memory: Memory) -> None:
    strange, others_of_it = photos(20, 1, away=2), photos(300, 2, away=2)
    start = none(CHANNELS)
    after = fit_correction(memory, strange, start, penalty=0.01)
    assert kept(others_of_it, start) < 0.1 < 0.7 < kept(others_of_it, after)
    before_known, after_known = memory_logits(memory, start) > 0, memory_logits(memory, after) > 0
    right = [float(np.mean(one == memory.plant)) for one in (before_known, after_known)]
    assert right[1] > right[0] - 0.06  # the new plants lie where others did: that costs some


def test_where_it_is_looked_from_changes_nothing(memory: Memory) -> None:
    new, start = photos(30, 1, away=2), none(CHANNELS)
    found = fit_correction(memory, new, start)
    far = Correction(np.float32(-3), np.full(CHANNELS, 2, np.float32), np.float32(5))
    for begin in (found, far):
        again = fit_correction(memory, new, start, begin=begin)
        np.testing.assert_allclose(again.kernel, found.kernel, atol=1e-5)
        np.testing.assert_allclose([again.gain, again.bias], [found.gain, found.bias], atol=1e-5)


def test_without_new_photos_nothing_changes(memory: Memory) -> None:
    start = Correction(np.float32(1.5), np.zeros(CHANNELS, np.float32), np.float32(-0.4))
    after = fit_correction(memory, photos(0, 1), start)
    np.testing.assert_allclose(
        memory_logits(memory, after), memory_logits(memory, start), atol=1e-4
    )


def test_it_goes_on_from_where_it_was(memory: Memory) -> None:
    start = Correction(np.float32(1.5), np.full(CHANNELS, 0.3, np.float32), np.float32(-0.4))
    held = fit_correction(memory, photos(10, 1), start, penalty=1e7)
    np.testing.assert_allclose(held.gain, 1.5, atol=1e-4)
    np.testing.assert_allclose(held.kernel, 0.3, atol=1e-2)  # directions are float16
    x = photos(10, 1)
    moved = held.logit(x.logit, x.embedding) - start.logit(x.logit, x.embedding)
    assert np.ptp(moved) < 0.02  # the bias is free


def test_weights(memory: Memory) -> None:
    old, new = memory_weights(memory, np.array([True, True, False]), share=0.2)
    plants = float(memory.weight[memory.plant].sum())
    np.testing.assert_allclose(new, [0.1 * plants, 0.1 * plants, 0.2 * (1 - plants)], rtol=1e-5)
    np.testing.assert_allclose(old.sum() + new.sum(), 1)
    np.testing.assert_allclose(old[memory.plant].sum(), 0.8 * plants, rtol=1e-5)


def test_a_class_without_new_photos_keeps_its_weight(memory: Memory) -> None:
    old, new = memory_weights(memory, np.array([True]), share=0.2)
    others = float(memory.weight[~memory.plant].sum())
    np.testing.assert_allclose(old[~memory.plant].sum(), others, rtol=1e-5)
    np.testing.assert_allclose(old.sum() + new.sum(), 1)


def test_photos_of_one_class_only(memory: Memory) -> None:
    new = photos(20, 1, away=3)
    for label in (True, False):
        after = fit_correction(memory, new.part(new.plant == label), none(CHANNELS))
        assert np.all(np.isfinite(after.kernel))


def test_each_scene_is_judged_without_itself(memory: Memory) -> None:
    new = photos(9, 1, away=3)
    scenes = replace(new, scene=np.array([0, 0, 0, 1, 1, 2, 3, 4, 4]))
    found = leave_each_out(memory, scenes, none(CHANNELS), penalty=0.01)
    without = fit_correction(memory, scenes.part(scenes.scene != 1), none(CHANNELS), penalty=0.01)
    expected = without.logit(scenes.logit, scenes.embedding)[3:5]
    np.testing.assert_allclose(found[3:5], expected, atol=1e-6)
    with_all = fit_correction(memory, scenes, none(CHANNELS), penalty=0.01)
    assert np.abs(found - with_all.logit(scenes.logit, scenes.embedding)).min() > 1e-4


def test_logits_of_a_memory_are_those_of_its_pictures(memory: Memory) -> None:
    known = photos(800, 0)
    one = Correction(np.float32(0.7), TRUTH.astype(np.float32), np.float32(0.2))
    expected = one.logit(known.logit, known.embedding)
    np.testing.assert_allclose(memory_logits(memory, one), expected, atol=0.05)  # float16
