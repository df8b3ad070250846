"""Figures of merit, as pure functions: labels and probabilities in, numbers out.

Labels are ``[N]`` with 1 = plant (the positive class) and 0 = other; probabilities are P(plant),
``[N]``, 0..1. A photo is called a plant if its probability is *at least* the threshold, as the
policy does. A figure that the labels leave undefined (AUROC of one class) is None.

What needs scikit-learn imports it itself: a serving installation has only NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantood.training.common.intervals import CONFIDENCE, RESAMPLES, wilson
from plantood.training.judging.outcomes import accepted, confusion

EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1 in logarithms; the same as Keras."""


def cross_entropy(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Binary cross-entropy of each photo, in nats, ``[N]``."""
    y = np.asarray(labels, np.float64).ravel()
    p = np.clip(np.asarray(probabilities, np.float64).ravel(), EPSILON, 1 - EPSILON)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def prevalence_weights(labels: ArrayLike, share_of_others: float | None) -> NDArray[np.float64]:
    """Weights ``[N]`` of mean 1 under which others have this share; all 1 by default.

    With one class only they are 1 as well: nothing can be made of the other one.
    """
    y = np.asarray(labels).ravel() == 1
    if share_of_others is None or y.all() or not y.any():
        return np.ones(len(y))
    return np.asarray(np.where(y, (1 - share_of_others) / y.mean(), share_of_others / (~y).mean()))


def roc_curve(
    labels: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """False positive rate, true positive rate and threshold at every distinct probability.

    Starts at (0, 0) with an infinite threshold and ends at (1, 1). A rate whose class is absent
    is NaN.

    Raises:
        ValueError: Without photos.
    """
    from sklearn import metrics as sk

    fpr, tpr, thresholds = sk.roc_curve(
        np.ravel(labels), np.ravel(probabilities), pos_label=1, drop_intermediate=False
    )
    return fpr, tpr, thresholds


def auroc(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Area under the ROC curve: P(a plant scores above an other), ties counted half."""
    from sklearn import metrics as sk

    if not _has_both_classes(labels):
        return None
    return float(sk.roc_auc_score(np.ravel(labels), np.ravel(probabilities)))


def fpr_at_tpr(labels: ArrayLike, probabilities: ArrayLike, tpr: float = 0.95) -> float | None:
    """Lowest share of *others* let through by a threshold that keeps at least ``tpr`` of plants.

    The usual figure of out-of-distribution detection, FPR at 95 % TPR (Liang, Li and Srikant 2018,
    *Enhancing the reliability of out-of-distribution image detection in neural networks*,
    arXiv:1706.02690).
    """
    if not _has_both_classes(labels):
        return None
    fpr, kept, _ = roc_curve(labels, probabilities)
    return float(fpr[np.flatnonzero(kept >= tpr)[0]])


def _has_both_classes(labels: ArrayLike) -> bool:
    return len(np.unique(np.asarray(labels))) == 2


def reliability(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 15,
    share_of_others: float | None = None,
) -> list[dict[str, float | int]]:
    """Filled bins of the reliability diagram: ``count``, mean ``predicted``, share ``observed``.

    Bins of equal width over P(plant); the last one includes 1. ``weight`` is the share of photos in
    the bin, which with ``share_of_others`` are weighted as :func:`prevalence_weights` says, as is
    what is observed of them.
    """
    y = np.asarray(labels, np.float64).ravel()
    p = np.asarray(probabilities, np.float64).ravel()
    weights = prevalence_weights(labels, share_of_others)
    index = np.minimum((p * bins).astype(int), bins - 1)
    return [
        {
            "count": int(np.sum(index == b)),
            "weight": float(weights[index == b].sum() / len(y)),
            "predicted": float(np.average(p[index == b], weights=weights[index == b])),
            "observed": float(np.average(y[index == b], weights=weights[index == b])),
        }
        for b in np.unique(index)
    ]


def calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 15,
    share_of_others: float | None = None,
) -> float | None:
    """Expected calibration error: mean |observed - predicted| over bins, by their weights.

    Naeini, Cooper, Hauskrecht 2015, and Guo et al. 2017 (15 bins), for the probability of the
    positive class.
    """
    filled = reliability(labels, probabilities, bins, share_of_others)
    if not filled:
        return None
    return float(sum(b["weight"] * abs(b["observed"] - b["predicted"]) for b in filled))


def summary(
    labels: ArrayLike,
    probabilities: ArrayLike,
    threshold: float = 0.5,
    share_of_others: float | None = None,
) -> dict[str, Any]:
    """All figures of one split: counts, loss, accuracy, precision, recall, F1, AUROC and more.

    Args:
        labels: ``[N]``, 1 = plant, 0 = other.
        probabilities: P(plant), ``[N]``, 0..1.
        threshold: from which on a photo is accepted.
        share_of_others: what loss, accuracy, precision, F1 and calibration error are to be of, by
            weighting the photos, as are their intervals; by default their own share. Counts are of
            the photos as they are.

    Raises:
        ValueError: Without photos.
    """
    from sklearn import metrics as sk

    y = np.ravel(labels)
    p = np.ravel(probabilities)
    plant, through = y == 1, accepted(p, threshold)
    counts = confusion(y, p, threshold)
    weights = prevalence_weights(y, share_of_others)
    fpr = fpr_at_tpr(y, p)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        plant, through, average="binary", zero_division=np.nan, sample_weight=weights
    )
    return {
        "count": len(y),
        "plants": counts["true_accept"] + counts["false_retake"],
        "others": counts["false_accept"] + counts["true_retake"],
        "threshold": float(threshold),
        "loss": float(np.average(cross_entropy(y, p), weights=weights)),
        "accuracy": float(sk.accuracy_score(plant, through, sample_weight=weights)),
        "precision": _defined(precision),
        "recall": _defined(recall),
        "f1": _defined(f1),
        "auroc": auroc(y, p),
        "fpr_at_95_tpr": fpr,
        "calibration_error": calibration_error(y, p, share_of_others=share_of_others),
        "confusion": counts,
        "intervals": _intervals(counts, fpr, share_of_others),
    }


def _intervals(
    counts: dict[str, int], fpr: float | None, share_of_others: float | None
) -> dict[str, list[float]]:
    """Of each share of :func:`summary`, 95 %: Wilson's, or by both classes if it is weighted."""
    kept, lost = counts["true_accept"], counts["false_retake"]
    let, caught = counts["false_accept"], counts["true_retake"]
    plants, others = kept + lost, let + caught
    shares = {
        "false_accepts": (let, others),
        "false_retakes": (lost, plants),
        "recall": (kept, plants),
    }
    if fpr is not None:
        shares["fpr_at_95_tpr"] = round(fpr * others), others
    weighted = share_of_others is not None and plants and others
    if not weighted:
        shares["accuracy"] = kept + caught, plants + others
        shares["precision"] = kept, kept + let
    found = {name: list(wilson(*of)) for name, of in shares.items() if of[1]}
    if share_of_others is not None and weighted:
        found |= _weighted_intervals((kept, plants), (let, others), share_of_others)
    return found


def _weighted_intervals(
    kept: tuple[int, int], let: tuple[int, int], share_of_others: float
) -> dict[str, list[float]]:
    """Of accuracy and precision where others have this share, 95 %; it holds the figure itself.

    Both are made of two rates, that of plants kept and that of others let through. What the photos
    tell of a rate is the posterior of Jeffreys' prior (Brown, Cai and DasGupta 2001, *Interval
    estimation for a binomial proportion*); draws from both give draws of what is
    made of them (Gelman et al. 2013, *Bayesian Data Analysis*, section 1.9), and their quantiles
    the interval.

    Args:
        kept: plants accepted, and plants; at least one.
        let: others accepted, and others; at least one.
        share_of_others: 0..1.
    """
    rng = np.random.default_rng(0)
    # The draws, and the rate itself behind them.
    of_plants, of_others = (
        np.append(rng.beta(hits + 0.5, count - hits + 0.5, RESAMPLES), hits / count)
        for hits, count in (kept, let)
    )
    right, wrong = (1 - share_of_others) * of_plants, share_of_others * of_others
    figures = {"accuracy": right + share_of_others - wrong}
    if kept[0] or let[0]:
        figures["precision"] = right / (right + wrong)
    tail = (1 - CONFIDENCE) / 2
    return {
        name: [
            float(min(np.quantile(drawn[:-1], tail), drawn[-1])),
            float(max(np.quantile(drawn[:-1], 1 - tail), drawn[-1])),
        ]
        for name, drawn in figures.items()
    }


def _defined(figure: float) -> float | None:
    return None if np.isnan(figure) else float(figure)


def by_source(
    labels: ArrayLike, probabilities: ArrayLike, sources: Sequence[str], threshold: float
) -> list[dict[str, Any]]:
    """Errors of each source and class: false retakes of its plants, false accepts of its others.

    Plants first, then others, each by falling error rate; with Wilson's interval of it.
    """
    y = np.asarray(labels).ravel()
    wrongly = accepted(probabilities, threshold) != (y == 1)
    names = np.asarray(sources, dtype=object)
    rows = []
    for source, label in sorted({(str(s), int(v)) for s, v in zip(names, y, strict=True)}):
        mine = (names == source) & (y == label)
        wrong = wrongly[mine]
        rows.append(
            {
                "source": source,
                "label": "plant" if label == 1 else "other",
                "error": "false retakes" if label == 1 else "false accepts",
                "count": int(mine.sum()),
                "wrong": int(wrong.sum()),
                "rate": float(wrong.mean()),
                "interval": list(wilson(int(wrong.sum()), int(mine.sum()))),
            }
        )
    return sorted(rows, key=lambda row: (row["label"] == "other", -row["rate"], row["source"]))
