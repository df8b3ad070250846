"""From the photos to the entry that ships in the package, by one command.

1. Draw and embed the pictures once (`recipe.plan`, `recipe.draw`, `recipe.bank`).
2. Fit a linear probe on them (`fitting.probe`), balanced by class and source
   (`recipe.weighting`).
3. Do that again without each source; calibrate P(plant), and choose the threshold, on what these
   probes say of photos whose source they have not seen (`leave_out`).

The probe is the head; the backbone keeps its pretrained weights. Fine-tuning its top under the
probe was no better on sources never seen (docs/starter.md).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.model.runtime import Scorer
from plantood.training.common.settings import PENALTY, DataSettings
from plantood.training.common.tables import Row
from plantood.training.features.extractor import Extractor, extractor_for
from plantood.training.features.scoring import score_photos
from plantood.training.fitting.probe import Probe, fit_probe
from plantood.training.judging.decision.rule import LEFT_OUT, Rule, Unseen
from plantood.training.judging.evaluation import Evaluation, Scored, interval_notes
from plantood.training.judging.seen import Seen
from plantood.training.judging.unseen import unseen_table
from plantood.training.network.backbones import build_backbone
from plantood.training.network.classifier import build_classifier
from plantood.training.network.heads import build_head
from plantood.training.photos.dataset import Dataset, load_dataset
from plantood.training.process.determinism import make_deterministic
from plantood.training.process.progress import say
from plantood.training.recipe import samples
from plantood.training.recipe.bank import Bank, open_bank
from plantood.training.recipe.plan import plan_pictures
from plantood.training.recipe.roles import Cuts
from plantood.training.recipe.weighting import sample_weights
from plantood.training.report.card import model_card
from plantood.training.starter.leave_out import COSTS, ProbeScores, leave_each_out
from plantood.training.starter.photos import starter_rows
from plantood.training.starter.roles import ROLES, TOGETHER
from plantood.training.train.judged import threshold_notes
from plantood.training.train.publish import publish_gate

BACKBONE_NAME, HEAD_NAME = "efficientnet_lite0", "gap_l2"
NOTES = Path(__file__).parent / "card_notes.md"


def train_starter(
    data: Path, weights: Path, out: Path, *, cache: Path, seed: int = 0
) -> tuple[Row, list[Row], Unseen]:
    """Train, measure and write the starter gate into a folder.

    Args:
        data: manifest of the photos.
        weights: ImageNet weights of EfficientNet-Lite0.
        out: receives the entry, whole or not at all; an older one there is replaced.
        cache: folder where scanned photos and the bank are kept.
        seed: of everything random.

    Returns:
        Header and rows of the leave-one-source-out table, and the scores that it is made of.

    Raises:
        TrainingDataError: if the photos cannot be trained on.
        WeightsUnavailable: if the weights cannot be loaded.
        ExportMismatch: if the exported graph and the Keras model disagree.
    """
    make_deterministic(seed)
    rows = starter_rows(data)
    backbone = build_backbone(BACKBONE_NAME, weights)
    dataset = load_dataset(data, DataSettings(), cache)
    extractor = extractor_for(BACKBONE_NAME, backbone, cache, dataset.val)
    learned = trained_on(dataset)
    bank, doubtful = starter_bank(rows, extractor, cache, seed)
    unseen = leave_each_out(bank.samples, partial(fold_says, bank, doubtful), TOGETHER)
    probe, memory = fit_fold(bank, doubtful, frozenset())
    rule = unseen.rule(COSTS).remembering(len(memory))
    header, table_rows = unseen_table({"starter": unseen.accepted(COSTS)}, TOGETHER)
    lines = [list(header), *map(list, table_rows)]
    details = {
        "settings": {
            "recipe": "linear probe",
            "penalty": PENALTY,
            "pictures": len(bank.samples),
            "seed": seed,
        },
        "leave_one_out": lines,
        "chosen_threshold": rule.threshold.as_dict(),
        "chosen_on": LEFT_OUT,
        **Seen.of(learned).as_dict(),
    }
    publish_gate(
        build_classifier(backbone, probe_head(probe, backbone.output_shape[1:])),
        dataset,
        backbone=BACKBONE_NAME,
        head=HEAD_NAME,
        card=partial(
            model_card,
            backbone=BACKBONE_NAME,
            weights="ImageNet, frozen",
            head=HEAD_NAME,
            counts=[
                {name: value for name, value in row.items() if name != "val"}
                for row in learned.counts()
            ],
            bad=len(dataset.bad),
            unseen=lines,
            notes=NOTES.read_text(encoding="utf-8"),
        ),
        evaluate=partial(_evaluate, dataset, rule, memory, details),
        save=partial(_put, out=out),
        quantize="float16",
        half_keras=True,
        memory=memory,
    )
    return header, table_rows, unseen


def trained_on(dataset: Dataset) -> Dataset:
    """The photos as the recipe takes them: all but the test split is trained on."""
    train = tuple(photo for photo in dataset.photos if photo.split != samples.TEST)
    return replace(dataset, train=train, val=(), crossed=())


def starter_bank(
    rows: Sequence[samples.Row], extractor: Extractor, cache: Path, seed: int = 0
) -> tuple[Bank, frozenset[Path]]:
    """The pictures of the recipe, and the photos that nothing is to be learned from.

    Args:
        rows: of :func:`starter_rows`.
        extractor: the backbone that embeds them.
        cache: folder that keeps them.
        seed: of everything random.
    """
    pictures, cuts = plan_pictures(rows, seed, roles=ROLES), Cuts.of(rows, ROLES)
    bank = open_bank(pictures, cuts, extractor, cache, name="starter", of_length_1=True)
    return bank, frozenset(row.path for row in rows if not row.trusted)


def fit_fold(
    bank: Bank, doubtful: frozenset[Path], left_out: frozenset[str]
) -> tuple[Probe, Memory]:
    """Probe and memory of all samples that nothing of the left-out sources is in."""
    weights = starter_weights(bank, doubtful, left_out)
    probe = fit_probe(bank.embeddings, bank.plant, weights)
    return probe, bank.memory(probe.logits(bank.embeddings), weights)


def starter_weights(
    bank: Bank, doubtful: frozenset[Path], left_out: frozenset[str]
) -> NDArray[np.float64]:
    """How much every sample counts, ``[N]``."""
    return sample_weights(bank.samples, left_out, doubtful, counted_less=ROLES.counted_less)


def fold_says(
    bank: Bank, doubtful: frozenset[Path], left_out: frozenset[str], rows: NDArray[np.intp]
) -> ProbeScores:
    """What probe and memory without some sources say of these samples."""
    probe, memory = fit_fold(bank, doubtful, left_out)
    embeddings = bank.embeddings[rows]
    return probe.logits(embeddings), Neighbours(memory).distances(embeddings).margin


def probe_head(probe: Probe, feature_shape: tuple[int, int, int]) -> keras.Model:
    """The probe as the head of a gate model: feature map to P(plant) ``[N, 1]``."""
    head = build_head(HEAD_NAME, feature_shape, dropout=0.0)
    head.set_weights(probe.weights)
    return head


def _evaluate(
    dataset: Dataset, rule: Rule, memory: Memory, details: dict[str, Any], scorer: Scorer
) -> Evaluation:
    """What the graph that ships says of the photos that had no part in it."""
    scores = score_photos(scorer, dataset.test, "Scoring test")
    margins = Neighbours(memory).distances(scores.embedding).margin
    raw = scores.plant_probability
    made = Evaluation(
        "starter",
        {"test": Scored(dataset.test, rule.calibration.apply(raw, margins))},
        threshold=rule.threshold.threshold,
        details=details,
        calibration=rule.calibration,
        uncalibrated={"test": Scored(dataset.test, raw)},
        groups=dataset.groups,
    )
    for note in (*threshold_notes(made), *interval_notes(made.figures())):
        say(note, "yellow")
    return made


def _put(entry: Path, out: Path) -> None:
    """Put an entry in the place of the old one, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".starter-") as staging:
        copy = shutil.copytree(entry, Path(staging, "gate"))
        if out.is_dir():
            shutil.rmtree(out)
        copy.rename(out)
