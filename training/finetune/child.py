"""The child's entry in the store: what a trained gate model says, and who its parent is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import bentoml

from plantood.model.entry import GateModel
from plantood.model.store import save_gate
from plantood.training.finetune.compare import Judgement
from plantood.training.finetune.data import Gathered
from plantood.training.finetune.report import judgement_markdown
from plantood.training.finetune.settings import FinetuneOptions
from plantood.training.fitting.phases import HeadTrainer, TrainedHead
from plantood.training.report.card import model_card
from plantood.training.train.publish import publish
from plantood.training.train.train import evaluation_of_graph


def publish_child(
    tag: bentoml.Tag,
    trained: TrainedHead,
    judgement: Judgement,
    *,
    parent: GateModel,
    gathered: Gathered,
    trainer: HeadTrainer,
    options: FinetuneOptions,
) -> None:
    """Export, describe and save a fine-tuned gate model under ``tag``.

    Its ``metrics.json`` holds its own figures and the judgement; its manifest names its parent and
    every collection of photos in its lineage with the digest of the labels.

    Raises:
        ExportMismatch: graph and Keras model disagree; then nothing is saved.
    """
    head = parent.manifest.head
    after = judgement.after
    own = replace(after, name=head, details={**after.details, **judgement.as_dict()})
    asked = options.quantize or parent.manifest.quantization
    quantize = None if asked == "none" else asked
    publish(
        trained.model,
        gathered.dataset,
        backbone=parent.manifest.backbone,
        head=head,
        card=partial(
            model_card,
            backbone=parent.manifest.backbone,
            weights=f"those of {parent.tag}",
            head=head,
            counts=gathered.dataset.counts(),
            bad=len(gathered.dataset.bad),
            left_out=sorted({name for record in gathered.data for name in record.left_out}),
            parent=parent.tag,
            notes=_notes(judgement, gathered),
        ),
        cache=None if trained.tuned else trainer.cache,
        evaluate=partial(evaluation_of_graph, own, options.costs, quantize),
        save=partial(save_gate, name=tag.name, version=tag.version),
        quantize=quantize,
        parent=parent.tag,
        data=gathered.data,
    )


def _notes(judgement: Judgement, gathered: Gathered) -> str:
    """The end of the card: beside its parent, and of what it was made."""
    made_of = "\n".join(
        f"- {record.kind} {Path(record.path).name}: {record.photos} photos, labels "
        f"{record.labels_sha256}"
        for record in gathered.data
    )
    parts = [
        f"### Beside its parent\n\n{judgement_markdown(judgement).strip()}",
        f"### Made of\n\n{made_of}\n\n"
        f"{gathered.replayed} of the parent's training photos were replayed.",
    ]
    if judgement.objections:
        objections = "\n".join(f"- {objection}" for objection in judgement.objections)
        parts.append(f"### What speaks against it\n\n{objections}")
    return "\n\n".join(parts)
