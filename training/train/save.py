"""Trained heads into the store, and what the graphs that are stored there say of the photos."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from plantood.model.entry import BACKBONE, HEAD
from plantood.model.manifest import TrainingData
from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.model.runtime import Scorer
from plantood.model.saving import save_gate
from plantood.model.store import list_gates, verify_gate
from plantood.training.common.settings import CostSettings, GuaranteeSettings, TrainOptions
from plantood.training.features.scoring import score_splits
from plantood.training.files.atomic import write_json
from plantood.training.files.paths import spelled
from plantood.training.fitting.fit import read_arrays, write_arrays
from plantood.training.fitting.phases import HeadTrainer
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.seen import Seen
from plantood.training.photos.dataset import Dataset, Photos, labels_digest
from plantood.training.process.identity import digest_of
from plantood.training.process.run import read_json
from plantood.training.recipe.trainer import RecipeTrainer
from plantood.training.report.card import model_card
from plantood.training.train.judged import NOTHING, calibrated
from plantood.training.train.publish import publish_gate

GRAPH, MARGINS = "graph-{}.npz", "{} margins"
"""File of a head with what its graph that was saved says, by number format: P(plant) by split
before calibration; and the name of the margins of a split in it."""


def heads_to_save(options: TrainOptions, best: str) -> Sequence[str]:
    """Which heads go into the store, the best last, so that it is ``latest``."""
    if options.save == "none":
        return ()
    if options.save == "best":
        return (best,)
    return (*(head for head in options.heads if head != best), best)


def save_head(
    head: str, options: TrainOptions, trainer: HeadTrainer | RecipeTrainer, evaluation: Evaluation
) -> tuple[str, Evaluation]:
    """Save one head, unless this run has done so; its tag, and the evaluation of its stored graph.

    Args:
        head: its name.
        options: of the run.
        trainer: that trained it.
        evaluation: of the network.

    Raises:
        ExportMismatch: if the graph disagrees with the Keras model; then nothing is saved.
    """
    record = trainer.folder / "published.json"
    published = read_json(record, {})
    key = f"{options.gate_name} {head} {options.quantize} {options.costs.as_dict()}"
    key += f" {options.guarantee.as_dict()}"
    if options.card_notes:
        key += f" {digest_of({'notes': options.card_notes})}"
    if published.get(key) in {gate.tag for gate in list_gates()}:
        return published[key], _of_stored(published[key], head, options, trainer, evaluation)
    published[key], saved = _publish_head(head, options, trainer, evaluation)
    write_json(record, published)
    return published[key], saved


def graph_notes(options: TrainOptions, saved: Collection[str]) -> list[str]:
    """Whose figures are those of a quantized graph, and whose are the network's; one sentence.

    Args:
        options: of the run.
        saved: heads in the store.
    """
    if options.quantize is None:
        return []
    if not saved:
        return [
            f"Nothing was saved, so all figures are the network's, not of {_graph(options)} graph."
        ]
    others = [head for head in options.heads if head not in saved]
    text = f"Figures of {', '.join(saved)} are of {_graph(options)} graph, as saved"
    if others:
        text += f"; those of {', '.join(others)} are of the network, of which nothing was saved"
    return [f"{text}."]


def _graph(options: TrainOptions) -> str:
    return f"{'an' if options.quantize == 'int8' else 'a'} {options.quantize}"


def evaluation_of_graph(
    evaluation: Evaluation,
    costs: CostSettings,
    memory: Memory | None,
    splits: Mapping[str, Scored] | None = None,
) -> Evaluation:
    """The evaluation of what is saved.

    Args:
        evaluation: of the network.
        costs: of the errors.
        memory: that margins are measured to, if they are.
        splits: what the graph says before calibration, if it is quantized and so says something
            else than the network.
    """
    fitted = evaluation.calibration
    assert fitted is not None
    if splits is not None:
        asked = evaluation.guarantee
        promise = GuaranteeSettings(asked.max_false_accept, asked.confidence) if asked else NOTHING
        rescored = replace(evaluation, splits=splits)
        evaluation = calibrated(rescored, costs, fitted.weights, promise)
        assert evaluation.calibration is not None
        fitted = evaluation.calibration
    if memory is None:
        return evaluation
    return replace(evaluation, calibration=fitted.remembering(len(memory)))


def _of_stored(
    tag: str,
    head: str,
    options: TrainOptions,
    trainer: HeadTrainer | RecipeTrainer,
    evaluation: Evaluation,
) -> Evaluation:
    """The evaluation of a graph that an earlier process saved."""
    by_recipe = isinstance(trainer, RecipeTrainer)
    if options.quantize is None and not by_recipe:
        return evaluation
    gate = verify_gate(tag)
    memory = gate.memory() if by_recipe else None
    splits = None
    if options.quantize is not None:
        photos = {name: scored.photos for name, scored in evaluation.splits.items()}
        file = trainer.folder / head / GRAPH.format(options.quantize)
        if not file.exists():
            _keep(file, _said(Scorer(gate.path / BACKBONE, gate.path / HEAD), photos, memory))
        splits = _kept(file, photos)
    return evaluation_of_graph(evaluation, options.costs, memory, splits)


def _publish_head(
    head: str, options: TrainOptions, trainer: HeadTrainer | RecipeTrainer, evaluation: Evaluation
) -> tuple[str, Evaluation]:
    trained = trainer.train(head)  # from its files: the backbone may be another head's now
    memory = trainer.memory(head) if isinstance(trainer, RecipeTrainer) else None
    of_graph: list[Evaluation] = []

    def evaluate(scorer: Scorer) -> Evaluation:
        splits = None
        if options.quantize is not None:
            photos = {name: scored.photos for name, scored in evaluation.splits.items()}
            splits = _said(scorer, photos, memory)
            _keep(trainer.folder / head / GRAPH.format(options.quantize), splits)
        found = evaluation_of_graph(evaluation, options.costs, memory, splits)
        of_graph.append(found)
        promised = found.guarantee is not None and found.guarantee.threshold is not None
        seen = Seen.of(trainer.dataset, bounded=promised)
        return replace(found, details={**found.details, **seen.as_dict()})

    tag = publish_gate(
        trained.model,
        trainer.dataset,
        backbone=options.backbone,
        head=head,
        card=partial(
            model_card,
            backbone=options.backbone,
            weights=spelled(Path(options.weights).name),
            head=head,
            counts=trainer.dataset.counts(),
            bad=len(trainer.dataset.bad),
            left_out=options.dataset.left_out,
            notes=options.card_notes,
        ),
        evaluate=evaluate,
        save=partial(save_gate, name=options.gate_name),
        quantize=options.quantize,
        data=(training_data(options, trainer.dataset),),
        memory=memory,
    )
    return str(tag), of_graph[0]


def _said(scorer: Scorer, photos: Mapping[str, Photos], memory: Memory | None) -> dict[str, Scored]:
    """What a graph says of each split, with margins to a memory if one is given."""
    return score_splits(scorer, photos, None if memory is None else Neighbours(memory))


def _keep(file: Path, splits: Mapping[str, Scored]) -> None:
    margins = {
        MARGINS.format(name): scored.margins
        for name, scored in splits.items()
        if scored.margins is not None
    }
    write_arrays(file, {name: scored.probabilities for name, scored in splits.items()} | margins)


def _kept(file: Path, photos: Mapping[str, Photos]) -> dict[str, Scored]:
    arrays = read_arrays(file)
    return {
        name: Scored(of_split, arrays[name], arrays.get(MARGINS.format(name)))
        for name, of_split in photos.items()
    }


def training_data(options: TrainOptions, dataset: Dataset) -> TrainingData:
    """What a gate model says of the photos that it was trained on; fine-tuning replays them."""
    return TrainingData(
        kind="photos",
        path=spelled(options.data.resolve()),
        photos=len(dataset.photos),
        labels_sha256=labels_digest(dataset.photos),
        left_out=options.dataset.left_out,
        at_most_per_source=options.dataset.at_most_per_source,
    )
