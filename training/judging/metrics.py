"""Figures of merit, as pure functions: labels and probabilities in, numbers out.

Labels are ``[N]`` with 1 = plant (the positive class) and 0 = other; probabilities are P(plant),
``[N]``, 0..1. A photo is called a plant if its probability is *at least* the threshold, as the
policy does. A figure that the labels leave undefined (AUROC of one class) is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1 in logarithms; the same as Keras."""


def cross_entropy(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Binary cross-entropy of each photo, in nats, ``[N]``."""
    y = np.asarray(labels, np.float64).ravel()
    p = np.clip(np.asarray(probabilities, np.float64).ravel(), EPSILON, 1 - EPSILON)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def confusion(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> dict[str, int]:
    """Counts by outcome: what was let through and what was sent back, rightly or not."""
    plant = np.asarray(labels).ravel() == 1
    accepted = np.asarray(probabilities).ravel() >= threshold
    return {
        "true_accept": int(np.sum(plant & accepted)),
        "false_retake": int(np.sum(plant & ~accepted)),
        "false_accept": int(np.sum(~plant & accepted)),
        "true_retake": int(np.sum(~plant & ~accepted)),
    }


def roc_curve(
    labels: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """False positive rate, true positive rate and threshold at every distinct probability.

    Starts at (0, 0) with an infinite threshold and ends at (1, 1). A rate whose class is absent
    is NaN.
    """
    y = np.asarray(labels).ravel() == 1
    p = np.asarray(probabilities, np.float64).ravel()
    order = np.argsort(-p, kind="stable")
    y, p = y[order], p[order]
    last_of_each = (
        np.append(np.flatnonzero(np.diff(p)), len(p) - 1) if len(p) else np.array([], int)
    )
    positives, negatives = y.sum(), (~y).sum()
    with np.errstate(invalid="ignore"):
        tpr = np.cumsum(y)[last_of_each] / (positives or np.nan)
        fpr = np.cumsum(~y)[last_of_each] / (negatives or np.nan)
    return np.append(0.0, fpr), np.append(0.0, tpr), np.append(np.inf, p[last_of_each])


def auroc(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Area under the ROC curve: P(a plant scores above an other), ties counted half."""
    fpr, tpr, _ = roc_curve(labels, probabilities)
    area = float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))
    return None if np.isnan(area) or len(fpr) < 2 else area


def fpr_at_tpr(labels: ArrayLike, probabilities: ArrayLike, tpr: float = 0.95) -> float | None:
    """Lowest share of *others* let through by a threshold that keeps at least ``tpr`` of plants.

    The usual figure of out-of-distribution detection (Hendrycks and Gimpel 2017; FPR at 95 % TPR).
    """
    fpr, kept, _ = roc_curve(labels, probabilities)
    if len(fpr) < 2 or np.isnan(fpr[-1]) or np.isnan(kept[-1]):
        return None
    return float(fpr[np.flatnonzero(kept >= tpr)[0]])


def reliability(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> list[dict[str, float | int]]:
    """Filled bins of the reliability diagram: ``count``, mean ``predicted``, share ``observed``.

    Bins of equal width over P(plant); the last one includes 1.
    """
    y = np.asarray(labels, np.float64).ravel()
    p = np.asarray(probabilities, np.float64).ravel()
    index = np.minimum((p * bins).astype(int), bins - 1)
    return [
        {
            "count": int(np.sum(index == b)),
            "predicted": float(p[index == b].mean()),
            "observed": float(y[index == b].mean()),
        }
        for b in np.unique(index)
    ]


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float | None:
    """Expected calibration error: mean |observed - predicted| over bins, weighted by their counts.

    Naeini, Cooper, Hauskrecht 2015, and Guo et al. 2017 (15 bins), for the probability of the
    positive class.
    """
    filled = reliability(labels, probabilities, bins)
    total = sum(b["count"] for b in filled)
    if not total:
        return None
    return float(sum(b["count"] * abs(b["observed"] - b["predicted"]) for b in filled) / total)


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, or None if there is nothing to divide by."""
    return float(part / whole) if whole else None


def summary(labels: ArrayLike, probabilities: ArrayLike, threshold: float = 0.5) -> dict[str, Any]:
    """All figures of one split: counts, loss, accuracy, precision, recall, F1, AUROC and more."""
    y = np.asarray(labels).ravel()
    counts = confusion(y, probabilities, threshold)
    tp, fn = counts["true_accept"], counts["false_retake"]
    fp, tn = counts["false_accept"], counts["true_retake"]
    return {
        "count": len(y),
        "plants": tp + fn,
        "others": fp + tn,
        "threshold": float(threshold),
        "loss": float(cross_entropy(y, probabilities).mean()) if len(y) else None,
        "accuracy": ratio(tp + tn, len(y)),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "auroc": auroc(y, probabilities),
        "fpr_at_95_tpr": fpr_at_tpr(y, probabilities),
        "calibration_error": calibration_error(y, probabilities),
        "confusion": counts,
    }


def by_source(
    labels: ArrayLike, probabilities: ArrayLike, sources: Sequence[str], threshold: float
) -> list[dict[str, Any]]:
    """Errors of each source and class: false retakes of its plants, false accepts of its others.

    Plants first, then others, each by falling error rate.
    """
    y = np.asarray(labels).ravel()
    p = np.asarray(probabilities).ravel()
    names = np.asarray(sources, dtype=object)
    rows = []
    for source, label in sorted({(str(s), int(v)) for s, v in zip(names, y, strict=True)}):
        mine = (names == source) & (y == label)
        wrong = p[mine] < threshold if label == 1 else p[mine] >= threshold
        rows.append(
            {
                "source": source,
                "label": "plant" if label == 1 else "other",
                "error": "false retakes" if label == 1 else "false accepts",
                "count": int(mine.sum()),
                "wrong": int(wrong.sum()),
                "rate": float(wrong.mean()),
            }
        )
    return sorted(rows, key=lambda row: (row["label"] == "other", -row["rate"], row["source"]))
