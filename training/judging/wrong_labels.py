"""Photos whose label is probably wrong, told by those who know the photo but not its label.

Confident learning (Northcutt, Jiang and Chuang 2021, *Confident Learning: Estimating Uncertainty in
Dataset Labels*, JAIR 70, https://doi.org/10.1613/jair.1.12125): each photo is judged by a model
that was fitted without it. A class has as its own threshold the mean probability that the photos
labelled so get for it. A photo is suspected if its probability of the other class, less the
threshold of that, is higher than that of its own class, less its threshold. The paper's confident
joint counts only those of them that reach the threshold of the other class; here somebody looks at
each.

Where features are at hand, the model is ridge regression of the label on the frozen features: least
squares of a 0/1 target estimates its mean at each point, so P(plant), and is solved at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantood.training.common.settings import PENALTY

FOLDS = 5


@dataclass(frozen=True)
class LabelErrors:
    """What the left-out judges say of every photo's label.

    Attributes:
        probabilities: P(plant) of each photo by the model that was fitted without it, ``[N]``,
            0..1.
        ranked: Indices of all photos, those first whose label is least probable, ``[N]``.
        suspects: The beginning of ``ranked`` that is suspected, ``[M]``.
    """

    probabilities: NDArray[np.float64]
    ranked: NDArray[np.int64]
    suspects: NDArray[np.int64]


def find_label_errors(
    features: NDArray[np.floating],
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> LabelErrors:
    """Rank photos by how much speaks against their label.

    Args:
        features: of a frozen backbone, ``[N, C]``.
        labels: as given, ``[N]``, 1 = plant, 0 = other.
        groups: photos with the same number are alike and are judged together, ``[N]``: a copy with
            the same wrong label would confirm it.
        folds: models, each fitted without its part of the groups.
        seed: of the parts.

    Raises:
        ValueError: a class has fewer groups than there are folds.
    """
    # Not here where a serving installation, which has other left-out scores, only asks who differs.
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import StandardScaler

    y = np.asarray(labels).ravel() == 1
    group = np.asarray(groups).ravel()
    fewest = min(len(np.unique(group[y])), len(np.unique(group[~y])))
    if fewest < folds:
        raise ValueError(f"{fewest} groups of a class are too few for {folds} folds")
    x = StandardScaler().fit_transform(np.asarray(features, np.float64))
    p = np.empty(len(y))
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for known, unseen in parts.split(x, y, group):
        model = Ridge(alpha=PENALTY * len(known)).fit(x[known], y[known].astype(np.float64))
        p[unseen] = model.predict(x[unseen])
    return label_errors(np.clip(p, 0.0, 1.0), y)


def label_errors(probabilities: ArrayLike, labels: ArrayLike) -> LabelErrors:
    """Rank photos by what left-out judges say of them, whoever these are.

    A class that no photo is labelled as has a threshold of 1: what is of it is told for certain.

    Args:
        probabilities: P(plant) of each photo by a model that was fitted without it and what looks
            like it, ``[N]``, 0..1.
        labels: as given, ``[N]``, 1 = plant, 0 = other.
    """
    p = np.asarray(probabilities, np.float64).ravel()
    y = np.asarray(labels).ravel() == 1
    own = np.where(y, p, 1 - p)
    usual_plant, usual_other = (own[mine].mean() if mine.any() else 1.0 for mine in (y, ~y))
    seems_plant = p - usual_plant > (1 - p) - usual_other
    suspected = seems_plant != y
    ranked = np.argsort(np.where(suspected, own - 2, own), kind="stable")
    return LabelErrors(p, ranked, ranked[: int(suspected.sum())])
