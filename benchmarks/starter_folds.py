"""The gate that ships, as it would be without one source and what belongs together with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.calibration import Calibration
from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.training.common.settings import DataSettings
from plantood.training.features.extractor import extractor_for
from plantood.training.fitting.probe import Probe
from plantood.training.judging.decision.rule import Rule
from plantood.training.network.backbones import build_backbone
from plantood.training.photos.dataset import load_dataset
from plantood.training.photos.division.units import units_of
from plantood.training.starter.command import WEIGHTS
from plantood.training.starter.leave_out import COSTS, leave_each_out
from plantood.training.starter.photos import starter_rows
from plantood.training.starter.roles import TOGETHER
from plantood.training.starter.train import BACKBONE_NAME, fit_fold, fold_says, starter_bank
from plantood.training.train.publish import as_served


@dataclass(frozen=True)
class FoldGate:
    """A gate with the starter's backbone, recipe and rule that saw nothing of some sources."""

    probe: Probe
    neighbours: Neighbours
    memory: Memory
    """With what the gate says of its pictures, as an entry has it."""
    calibration: Calibration
    rule: Rule
    """Chosen without the sources, too."""

    def logits(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of P(plant) as it is served, of embeddings ``[N, C]`` of length 1: ``[N]``."""
        margin = self.neighbours.distances(embedding).margin
        return self.calibration.logits(self.probe.probabilities(embedding), margin)


def gates_by_fold(
    shared: Path, cache: Path, always: frozenset[str] = frozenset()
) -> Iterator[tuple[frozenset[str], FoldGate]]:
    """Each unit of sources, and the gate without it.

    Args:
        shared: folder of photos and weights.
        cache: folder that keeps the pictures of the recipe; minutes are saved if ``plantood
            starter`` had the same.
        always: sources that none of the gates has seen.
    """
    manifest = shared / "data" / "manifest.csv"
    backbone = build_backbone(BACKBONE_NAME, shared / WEIGHTS)
    dataset = load_dataset(manifest, DataSettings(), cache)
    extractor = extractor_for(BACKBONE_NAME, backbone, cache, dataset.val)
    bank, doubtful = starter_bank(starter_rows(manifest), extractor, cache)
    unseen = leave_each_out(bank.samples, partial(fold_says, bank, doubtful), TOGETHER)
    for unit in units_of(unseen.sources.tolist(), TOGETHER):
        probe, memory = fit_fold(bank, doubtful, unit | always)
        rule = unseen.rule(COSTS, without=unit | always).remembering(len(memory))
        calibration = rule.calibration.served or Calibration()
        yield (
            unit,
            FoldGate(probe, Neighbours(memory), as_served(memory, calibration), calibration, rule),
        )
