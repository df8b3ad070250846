"""One unit of sources by models that saw no photo of it, with the rule that it is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plantood.training.common.settings import FitSettings, TrainOptions
from plantood.training.fitting.fit import read_arrays
from plantood.training.fitting.linear import judging_weights
from plantood.training.fitting.losses import loss_of, mean_loss
from plantood.training.fitting.phases import SCORES, HeadTrainer
from plantood.training.fitting.unseen import Said, read_said, unseen_of, write_said
from plantood.training.judging.decision.rule import Rule, Unseen
from plantood.training.judging.evaluation import Evaluation, Scored, scored_splits
from plantood.training.judging.unseen import Accepted, accepted_shares
from plantood.training.photos.dataset import Dataset, Photos
from plantood.training.photos.division.folds import COMPARED
from plantood.training.photos.division.units import Together
from plantood.training.process.progress import track
from plantood.training.recipe.trainer import RecipeTrainer
from plantood.training.train.judged import calibrated, rule_of_validation

LEFT_OUT = "left out"
SAID = "said.npz"
"""File of a linear head with what it says, for each penalty, of the sources left out and of the
validation photos."""


@dataclass(frozen=True)
class Fold:
    """One source, or what belongs together, by a model that saw no photo of it."""

    calibrated: Scored
    raw: Scored
    """The same photos as the network gives them."""
    threshold: float

    def accepted(self, threshold: float) -> list[Accepted]:
        """Shares by source and class."""
        one = self.calibrated
        return accepted_shares(one.labels, one.probabilities, one.sources, threshold)


def by_validation(trainer: HeadTrainer, head: str, options: TrainOptions) -> Fold:
    """A head with hidden layers; its scores are read if they are on disk, its weights not kept."""
    folder = trainer.folder / head
    if not (folder / SCORES).exists():
        trainer.train(head)
    (folder / "phase1.npz").unlink(missing_ok=True)
    splits = scored_splits(trainer.dataset, read_arrays(folder / SCORES))
    raw = Evaluation(head, splits, threshold=0.5, groups=trainer.dataset.groups)
    made = calibrated(raw, options.costs, options.fit.loss_weights)
    return Fold(made.splits[LEFT_OUT], raw.splits[LEFT_OUT], made.threshold)


def said_by(trainer: HeadTrainer | RecipeTrainer, head: str) -> Said:
    """What a linear head says of the sources left out, then of the validation photos."""
    file = trainer.folder / head / SAID
    if not file.exists():
        rest = trainer.dataset
        file.parent.mkdir(parents=True, exist_ok=True)
        write_said(file, [trainer.says(head, rest, rest.left_out + rest.val)])
    return read_said(file)


def by_the_others(
    rests: Mapping[frozenset[str], Dataset], parts: Sequence[Said], options: TrainOptions
) -> list[Fold]:
    """Every unit by what `train` would choose without it, with the other units left out.

    Args:
        rests: the photos without each unit.
        parts: of :func:`said_by`, in their order.
        options: of the run.
    """
    pairs = list(zip(rests.values(), parts, strict=True))
    photos = [photo for rest in rests.values() for photo in rest.left_out]
    digests = np.array([photo.sha256 for photo in photos])
    of_left_out = [_part(said, slice(len(rest.left_out))) for rest, said in pairs]
    unseen = unseen_of(photos, of_left_out, options.dataset.together)
    folds = []
    for unit, (rest, said) in track(zip(rests, pairs, strict=True), len(rests), "Choosing"):
        mine = np.isin(unseen.sources, sorted(unit))
        # Nor has what shows the same, whatever its source, a say.
        akin = np.isin(digests, [photo.sha256 for photo in rest.aside])
        of_val = _part(said, slice(len(rest.left_out), None)).probabilities
        rule = _rule(replace(unseen, told_only=mine | akin), rest, of_val, options)
        raw = Scored(
            rest.left_out,
            unseen.probabilities[rule.candidate][mine],
            None if unseen.margins is None else unseen.margins[mine],
        )
        calibrated = replace(raw, probabilities=unseen.judged(rule, mine))
        folds.append(Fold(calibrated, raw, rule.threshold.threshold))
    return folds


def _rule(
    unseen: Unseen, rest: Dataset, of_val: NDArray[np.float32], options: TrainOptions
) -> Rule:
    """As `train` chooses: by sources left out what can be, by validation photos the rest."""
    costs, weights = options.costs, options.fit.loss_weights
    if unseen.margins is not None and unseen.enough:
        return unseen.rule(costs, weights)
    losses = (
        unseen.losses(costs, weights)
        if unseen.fewest >= COMPARED
        else _losses(rest.val, of_val, options.fit)
    )
    candidate = int(np.argmin(losses))
    rule = rule_of_validation(Scored(rest.val, of_val[candidate]), costs, weights, rest.groups)
    return replace(rule, candidate=candidate)


def _losses(val: Photos, of_val: NDArray[np.float32], fit: FitSettings) -> list[float]:
    """Of each candidate on validation photos."""
    loss, weights = loss_of(fit), judging_weights(val, fit)
    labels = [photo.label for photo in val]
    return [mean_loss(loss, labels, p, weights) for p in of_val]


def _part(said: Said, photos: slice) -> Said:
    margins = None if said.margins is None else said.margins[photos]
    return Said(said.probabilities[:, photos], margins)


def unseen_by(folds: Sequence[Fold], together: Together) -> Unseen:
    """What a head says of all photos, each by the fold without its unit."""
    said = [Said(fold.raw.probabilities[None], fold.raw.margins) for fold in folds]
    return unseen_of([photo for fold in folds for photo in fold.raw.photos], said, together)
