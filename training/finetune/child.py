"""The child's entry in the store: what a trained gate model says, and who its parent is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import bentoml

from plantood.model.entry import GateModel
from plantood.model.runtime import Scorer
from plantood.model.saving import save_gate
from plantood.training.finetune.compare import Judgement
from plantood.training.finetune.data import Gathered
from plantood.training.finetune.report import judgement_markdown, promise_notes
from plantood.training.finetune.rule import weights_notes
from plantood.training.finetune.settings import FinetuneOptions
from plantood.training.fitting.phases import HeadTrainer, TrainedHead
from plantood.training.judging.evaluation import Evaluation
from plantood.training.report.card import model_card
from plantood.training.train.publish import publish_gate


def publish_child(
    trained: TrainedHead,
    judge_graph: Callable[[Scorer], Judgement],
    tag_of: Callable[[Judgement], bentoml.Tag],
    *,
    parent: GateModel,
    gathered: Gathered,
    trainer: HeadTrainer,
    options: FinetuneOptions,
) -> Judgement:
    """Export, judge, describe and save a fine-tuned gate model; returns the judgement.

    Its ``metrics.json`` holds its own figures and the judgement; its manifest names its parent and
    every collection of photos in its lineage with the digest of the labels.

    Args:
        trained: the child.
        judge_graph: what its graph, as it is saved, comes to beside its parent.
        tag_of: where it is saved, by that judgement.
        parent: what it was made from.
        gathered: the photos.
        trainer: with the features of the parent's backbone.
        options: the choices.

    Raises:
        ExportMismatch: graph and Keras model disagree; then nothing is saved.
    """
    head = parent.manifest.head
    judgements: list[Judgement] = []

    def evaluate(scorer: Scorer) -> Evaluation:
        judgements.append(judgement := judge_graph(scorer))
        after = judgement.after
        details = {**after.details, **judgement.as_dict(), **gathered.known.as_dict()}
        return replace(after, name=head, details=details)

    def card(figures: dict[str, Any]) -> str:
        return model_card(
            figures,
            backbone=parent.manifest.backbone,
            weights=f"those of {parent.tag}",
            head=head,
            counts=gathered.dataset.counts(),
            bad=len(gathered.dataset.bad),
            left_out=sorted({name for record in gathered.data for name in record.left_out}),
            parent=parent.tag,
            notes=_notes(
                judgements[0],
                parent,
                gathered,
                child_notes(trained, judgements[0], parent, options),
            ),
        )

    def save(folder: Path) -> None:
        tag = tag_of(judgements[0])
        save_gate(folder, name=tag.name, version=tag.version)

    publish_gate(
        trained.model,
        gathered.dataset,
        backbone=parent.manifest.backbone,
        head=head,
        card=card,
        evaluate=evaluate,
        save=save,
        quantize=quantization(parent, options),
        parent=parent.tag,
        data=gathered.data,
        margin=_margin(parent),
    )
    return judgements[0]


def _margin(parent: GateModel) -> float:
    """What the parent gives for how much nearer the remembered plants are; so does its child."""
    calibration = parent.manifest.calibration
    return 0.0 if calibration is None else calibration.unscaled.margin


def quantization(parent: GateModel, options: FinetuneOptions) -> Literal["float16", "int8"] | None:
    """How the child's graph keeps its numbers: as asked for, else as its parent's does."""
    asked = options.quantize or parent.manifest.quantization
    return None if asked == "none" else asked


def child_notes(
    trained: TrainedHead, judgement: Judgement, parent: GateModel, options: FinetuneOptions
) -> list[str]:
    """What is promised no more, and what was not taken out of what the child says."""
    notes = promise_notes(parent.metrics, judgement.after)
    if trained.improved:  # else it has its parent's weights, which no loss has moved
        notes += weights_notes(judgement.after, options.fit.loss_weights)
    return notes


def _notes(judgement: Judgement, parent: GateModel, gathered: Gathered, told: Sequence[str]) -> str:
    """The end of the card: what to know of the child, beside its parent, and what it is made of."""
    made_of = "\n".join(
        f"- {record.kind} {Path(record.path).name}: {record.photos} photos, labels "
        f"{record.labels_sha256}"
        for record in gathered.data
    )
    parts = [
        *told,
        f"### Beside its parent\n\n{judgement_markdown(judgement).strip()}",
        f"### Made of\n\n{made_of}\n\n"
        f"{gathered.replayed} of the parent's training photos were replayed.",
    ]
    if judgement.objections:
        objections = "\n".join(f"- {objection}" for objection in judgement.objections)
        parts.append(f"### What speaks against it\n\n{objections}")
    return "\n\n".join(parts)
