"""The same detectors by pytorch-ood, in an environment of its own: needs nothing of plantood.

    python ood_beside.py IN.npz OUT.npz

``IN`` holds ``x`` and ``points`` (embeddings), ``plant``, ``source``, ``kernel``, ``bias`` and
``k``; ``OUT`` receives a score a point for each detector, and the ``versions``. Two detectors, for
which the library has no name, are each the difference of two that it has. ViM is scored as it is,
in float32, and in float64.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import numpy as np
import torch
from pytorch_ood.detector import KNN, RMD, EnergyBased, Mahalanobis, ViM


def main(given: str, out: str) -> None:
    """Fit and score in float64, as far as the library lets."""
    torch.set_default_dtype(torch.float64)
    with np.load(given, allow_pickle=False) as file:
        arrays = dict(file)
    x, points = (torch.from_numpy(arrays[name]) for name in ("x", "points"))
    plant = torch.from_numpy(arrays["plant"])
    source = torch.from_numpy(np.unique(arrays["source"], return_inverse=True)[1])
    names = torch.unique(source[plant], return_inverse=True)[1]  # from 0 without gaps
    kernel, bias = torch.from_numpy(arrays["kernel"]), float(arrays["bias"])
    weight, offset = torch.stack([0 * kernel, kernel]), torch.tensor([0.0, bias])
    logits = points @ weight.T + offset

    def squared(known: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        # The library leaves out what does not change the order: 2, and the number of photos.
        fitted = Mahalanobis(None).fit_features(known, classes)
        return 2 * len(known) * fitted.predict_features(points)

    def nearest(known: torch.Tensor) -> torch.Tensor:
        one = torch.zeros(len(known), dtype=torch.int64)
        return KNN(None, k=int(arrays["k"])).fit_features(known, one).predict_features(points)

    def vim() -> torch.Tensor:
        fitted = ViM(None, min(512, x.shape[1] // 2), weight, offset).fit_features(x, source)
        return fitted.predict_features(points)

    within, plants = squared(x[plant], names), nearest(x[plant])
    scores = {
        "Mahalanobis within sources": within,
        "relative Mahalanobis": RMD(None).fit_features(x[plant], names).predict_features(points),
        "relative Mahalanobis, all as background": within - squared(x, torch.zeros_like(source)),
        "nearest neighbours": plants,
        "plants against others": plants - nearest(x[~plant]),
        "ViM": vim(),
        "energy": EnergyBased.score(logits),
    }
    torch.Tensor.float = torch.Tensor.double  # ViM casts to it, where its subspace is but rough
    scores["ViM, in float64"] = vim()
    versions = [f"{name} {version(name)}" for name in ("pytorch-ood", "torch", "numpy")]
    np.savez(
        out,
        versions=", ".join(versions),
        **{name: np.asarray(score, np.float64) for name, score in scores.items()},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
