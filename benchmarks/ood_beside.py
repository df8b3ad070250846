"""The same detectors by pytorch-ood, in an environment of its own: needs nothing of plantood.

    python ood_beside.py IN.npz OUT.npz

``IN`` holds ``x`` and ``points`` (embeddings), ``plant``, ``source``, ``kernel``, ``bias`` and
``k``; ``OUT`` receives a score a point for each detector, and the ``versions``.
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
    vim = ViM(None, min(512, x.shape[1] // 2), weight, offset)
    scores = {
        "Mahalanobis within sources": Mahalanobis(None)
        .fit_features(x[plant], names)
        .predict_features(points),
        "relative Mahalanobis": RMD(None).fit_features(x[plant], names).predict_features(points),
        "nearest neighbours": KNN(None, k=int(arrays["k"]))
        .fit_features(x[plant], names)
        .predict_features(points),
        "ViM": vim.fit_features(x, source).predict_features(points),
        "energy": EnergyBased.score(logits),
    }
    versions = [f"{name} {version(name)}" for name in ("pytorch-ood", "torch", "numpy")]
    np.savez(
        out,
        versions=", ".join(versions),
        **{name: np.asarray(score, np.float64) for name, score in scores.items()},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
