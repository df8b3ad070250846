"""The benchmark of detectors: intervals of areas, tables by source, and beside pytorch-ood."""

from __future__ import annotations

import csv
from dataclasses import replace

import click
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.embedded import Embedded
from benchmarks.ood_agreement import _of, agreement, apart
from benchmarks.ood_detectors import DETECTORS
from benchmarks.ood_figures import area_intervals, as_csv, by_source, judged, weighted_areas
from benchmarks.ood_folds import Fold
from plantood.training.common.intervals import share

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 1], 30)
FAMILIARITY = np.round(RNG.normal(LABELS, 1), 1)  # with ties


def photos(source: str, plant: bool, count: int) -> Embedded:
    return Embedded(
        embedding=np.zeros((count, 2), np.float32),
        logit=np.zeros(count, np.float32),
        plant=np.full(count, plant),
        source=np.full(count, source),
        split=np.full(count, "test"),
    )


def fold(source: str, plant: bool) -> Fold:
    """40 plants or others left out beside 50 known photos of the other class."""
    score = np.concatenate([RNG.normal(-1 if plant else 1, 1, 40), RNG.normal(0, 1, 50)])
    scores = {name: score + RNG.normal(0, 0.5, 90) for name in DETECTORS}
    return Fold(photos(source, plant, 40), photos("known", not plant, 50), scores)


def test_weighted_areas_are_those_of_scikit_learn() -> None:
    weights = RNG.integers(0, 3, (20, len(LABELS))).astype(float)
    expected = [
        (
            roc_auc_score(LABELS, FAMILIARITY, sample_weight=row),
            average_precision_score(1 - LABELS, -FAMILIARITY, sample_weight=row),
        )
        for row in weights
    ]
    np.testing.assert_allclose(weighted_areas(LABELS, FAMILIARITY, weights).T, expected)


def test_an_area_has_the_interval_of_other_photos() -> None:
    """As wide as that of Hanley and McNeil 1982 for 30 others and 60 plants."""
    area = roc_auc_score(LABELS, FAMILIARITY)
    interval, of_aupr = area_intervals(LABELS, FAMILIARITY)
    assert interval is not None
    assert of_aupr is not None
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + 59 * (first - area**2) + 29 * (second - area**2)
    wide = 1.96 * np.sqrt(spread / (30 * 60))
    assert interval == pytest.approx((area - wide, area + wide), abs=0.03)
    assert area_intervals(LABELS, LABELS.astype(float)) == [None, None]


def test_every_detector_has_all_figures_of_every_source() -> None:
    figures = judged([fold("kitchen", False), fold("meadow", True)])
    rows = list(csv.DictReader(as_csv(figures).splitlines()))
    assert len(rows) == 2 * (2 * len(DETECTORS) - 1)
    assert list(dict.fromkeys(row["source"] for row in rows)) == ["meadow", "kitchen"]
    for row, one in zip(rows, figures, strict=True):
        assert (row["photos"], row["against"]) == ("40", "50")
        assert float(row["auroc"]) == pytest.approx(one.figures.auroc, abs=1e-4)
        for name in ("auroc", "aupr", "fpr95", "fpr98"):
            assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
    first = by_source(figures, fused=True).splitlines()[2]
    assert first.count("|") == 3 + len(DETECTORS)
    fpr = next(one for one in figures if one.fused).figures.fpr95
    assert first.startswith(f"| meadow | plant | 40 | {share(round(50 * fpr), 50)} |")


def test_detectors_agree_up_to_a_scale_that_keeps_the_order() -> None:
    score = RNG.normal(0, 1, 100)
    assert apart(3 * score + 2, score) < 1e-12
    assert apart(-score, score) == np.inf
    assert apart(score + 0.1 * (np.arange(100) == 7), score) > 0.05


def test_a_detector_that_differs_is_an_error() -> None:
    ours = fold("meadow", True)
    (same,) = _of(ours, "ViM", 2 * ours.scores["ViM"])
    assert not same.apart.any()
    rough = ours.scores["ViM"] + 1e-3 * (np.arange(90) == 7)
    assert _of(ours, "ViM", rough)  # float32
    for name, theirs in (("ViM", ours.scores["ViM"] ** 2), ("ViM, in float64", rough)):
        with pytest.raises(click.ClickException, match=f"Without meadow, {name} by pytorch-ood"):
            _of(ours, name, theirs)
    worse = replace(same, source="kitchen", difference=0.5)
    table = agreement([same, worse], "pytorch-ood 0").splitlines()
    assert table[0] == "2 sources left out; pytorch-ood 0."
    assert table[-1].endswith("| 5.0e-01 | kitchen |")
