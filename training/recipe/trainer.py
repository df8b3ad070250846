"""Heads by the recipe: fitted to photos, their copies and composites, the backbone frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.training.common.settings import (
    RECIPE_PENALTY,
    FitSettings,
    RecipeSettings,
    TrainOptions,
)
from plantood.training.features.cache import FeatureCache
from plantood.training.features.extractor import Extractor
from plantood.training.fitting.fit import read_arrays, write_arrays
from plantood.training.fitting.linear import embeddings_of, judging_weights, weights_of_classes
from plantood.training.fitting.losses import loss_of, mean_loss
from plantood.training.fitting.phases import SCORES, TrainedHead
from plantood.training.fitting.probe import Probe, fit_probe
from plantood.training.fitting.unseen import UNSEEN, Said, judge_unseen
from plantood.training.judging.decision.rule import FEWEST_SOURCES
from plantood.training.network.classifier import build_classifier
from plantood.training.network.heads import build_head
from plantood.training.photos.dataset import Dataset, Photos, labels_of
from plantood.training.process.identity import digest_of
from plantood.training.process.progress import say
from plantood.training.recipe.bank import Bank, open_bank
from plantood.training.recipe.named import Named, ensure_enough, ensure_linear, named_roles
from plantood.training.recipe.plan import plan_pictures
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.samples import Row
from plantood.training.recipe.weighting import sample_weights

PROBE = "probe.npz"
"""File of each head with what was fitted."""


@dataclass(frozen=True)
class Recipe:
    """What is to be drawn of some photos."""

    kind: str
    roles: Named
    made: float
    """Pictures to draw for each training photo."""

    @classmethod
    def of(cls, settings: RecipeSettings, photos: Photos, heads: Sequence[str]) -> Recipe | None:
        """The recipe that is asked for, if one is.

        Raises:
            SettingsError: a role, source or head that does not fit.
            TrainingDataError: roles that the photos cannot play.
        """
        if settings.kind is None:
            return None
        ensure_linear(settings.kind, heads)
        return cls(settings.kind, named_roles(settings.roles, photos), settings.made)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, by which runs are told apart."""
        return {"kind": self.kind, "roles": self.roles, "made": self.made}

    def in_words(self) -> str:
        """In a line of a report."""
        roles = [f"{role} {', '.join(names)}" for role, names in self.roles.items() if names]
        return f"{self.kind}, {self.made:g} pictures for each photo; {'; '.join(roles)}"

    def bank(self, dataset: Dataset, extractor: Extractor, options: TrainOptions) -> Bank:
        """The training photos, and nothing of any other split, with all that is drawn of them.

        Raises:
            TrainingDataError: the training photos cannot play the roles.
            SettingsError: the disk has too little room.
        """
        roles = ensure_enough(self.roles, dataset.train)
        rows = [Row(photo.path, photo.label == 1, photo.source, "train") for photo in dataset.train]
        samples = plan_pictures(rows, options.fit.seed, roles=roles, made=self.made)
        photos = digest_of({"photos": [photo.sha256 for photo in dataset.train], **self.as_dict()})
        cuts = Cuts.of(rows, roles)
        return open_bank(samples, cuts, extractor, options.cache, name=self.kind, photos=photos)


@dataclass
class RecipeTrainer:
    """Everything that the heads of a run by the recipe have in common."""

    backbone: keras.Model
    cache: FeatureCache
    dataset: Dataset
    settings: FitSettings
    folder: Path
    bank: Bank

    def __post_init__(self) -> None:
        """Nothing is made of the bank yet."""
        self._of_bank: dict[str, NDArray[np.float32]] = {}

    def train(self, name: str) -> TrainedHead:
        """Fit one head; what an earlier process has fitted is read.

        Raises:
            TrainingDataError: an embedding is not a number.
        """
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        probe = self._probe(name)
        head = build_head(name, self.cache.shape, self.settings.dropout)
        head.set_weights(probe.weights)
        unseen = judge_unseen(
            self.dataset,
            partial(self.says, name),
            self.folder / name / UNSEEN,
            f"{name}, without sources",
            FEWEST_SOURCES,
        )
        neighbours = None if unseen is None else Neighbours(self.memory(name))
        scores, margins = {}, {}
        for split, photos in self.dataset.splits().items():
            if split != "train":
                embeddings = self._embeddings(name, photos)
                scores[split] = probe.probabilities(embeddings)
                if neighbours is not None and photos:
                    margins[split] = neighbours.distances(embeddings).margin
        write_arrays(self.folder / name / SCORES, scores)
        val = self.dataset.val
        weights = judging_weights(val, self.settings)
        return TrainedHead(
            model=build_classifier(self.backbone, head),
            val_loss=mean_loss(loss_of(self.settings), labels_of(val), scores["val"], weights),
            probabilities=scores,
            history={},
            tuned=False,
            settings={"penalty": self._penalty, "pictures": len(self.bank.samples)},
            unseen=unseen,
            margins=margins,
        )

    def says(self, name: str, rest: Dataset, photos: Photos) -> Said:
        """P(plant) ``[1, n]`` and margins ``[n]`` of photos, fitted to what can be made of a rest.

        Args:
            name: of the head.
            rest: the photos without some sources: nothing is learned from these, in whatever part,
                nor from photos that are set aside.
            photos: to judge.
        """
        weights = self._weights(rest)
        probe, embeddings = self._fit(name, weights), self._embeddings(name, photos)
        memory = self.bank.memory(self._logits(name, probe), weights)
        margins = Neighbours(memory).distances(embeddings).margin
        return Said(probe.probabilities(embeddings)[None], margins)

    def memory(self, name: str) -> Memory:
        """What a gate with this head remembers: all that it was fitted to."""
        return self.bank.memory(self._logits(name, self._probe(name)), self._weights(self.dataset))

    @property
    def _penalty(self) -> float:
        return self.settings.penalty or RECIPE_PENALTY

    def _probe(self, name: str) -> Probe:
        file = self.folder / name / PROBE
        if not file.exists():
            say(f"Fitting {name} to {len(self.bank.samples):,} pictures")
            probe = self._fit(name, self._weights(self.dataset))
            write_arrays(file, {"kernel": probe.kernel, "bias": np.array(probe.bias)})
        arrays = read_arrays(file)
        return Probe(arrays["kernel"], float(arrays["bias"]))

    def _fit(self, name: str, weights: NDArray[np.float64]) -> Probe:
        plant = self.bank.plant
        weights = weights * weights_of_classes(plant, loss_of(self.settings))
        return fit_probe(self._bank_embeddings(name), plant, weights, self._penalty)

    def _logits(self, name: str, probe: Probe) -> NDArray[np.float32]:
        return probe.logits(self._bank_embeddings(name))

    def _bank_embeddings(self, name: str) -> NDArray[np.float32]:
        if name not in self._of_bank:
            self._of_bank = {name: embeddings_of(name, self.bank.embeddings)}
        return self._of_bank[name]

    def _weights(self, rest: Dataset) -> NDArray[np.float64]:
        left_out = frozenset(photo.source for photo in rest.left_out)
        learned = {photo.path for photo in rest.train}
        used = {path for sample in self.bank.samples for path in sample.paths}
        return sample_weights(self.bank.samples, left_out, frozenset(used - learned))

    def _embeddings(self, name: str, photos: Photos) -> NDArray[np.float32]:
        """What the cached features of photos are for the last layer of a head, ``[N, C]``."""
        return embeddings_of(name, self.cache.rows(photos).pooled())
