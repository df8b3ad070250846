"""From the photos to the entry that ships in the package, by one command.

1. Draw and embed the pictures once (`plan`, `draw`, `bank`).
2. Fit the linear probe on them (`probe`), balanced by class and source (`weighting`).
3. Fine-tune the top under the probe and average it with the pretrained weights (`finetune`).
4. Do 2 and 3 again without each source, choose the threshold on what these say of photos whose
   source they have not seen (`leave_out`), and shift the bias so that 0.5 *is* that threshold.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from plantood import reference as reference_statistics
from plantood.errors import TrainingDataError
from plantood.model.backbones import BACKBONES, build_backbone
from plantood.model.classifier import build_classifier
from plantood.model.entry import BACKBONE, HEAD, KERAS, write_entry
from plantood.model.export import export_gate
from plantood.model.half import halve_keras
from plantood.policy import Policy
from plantood.runtime import Scorer
from training.atomic import write_atomic
from training.card import model_card
from training.dataset import Dataset, load_dataset
from training.determinism import make_deterministic
from training.evaluation import Evaluation, Scored
from training.publish import SUMMARY
from training.scoring import CHECK_PHOTOS, score_photos, some_photos
from training.settings import DataSettings
from training.starter import finetune
from training.starter.bank import Bank, open_bank
from training.starter.leave_out import Scores, best_threshold, leave_out_scores, transfer
from training.starter.plan import NEEDED_SOURCES, plan, read_rows
from training.starter.probe import PENALTY, Probe, fit_probe
from training.starter.weighting import sample_weights
from training.tables import Row

BACKBONE_NAME = "efficientnet_lite0"
DOUBTFUL = Path(__file__).parent / "doubtful.csv"
NOTES = Path(__file__).parent / "card_notes.md"


def train_starter(
    data: Path, weights: Path, out: Path, *, cache: Path, seed: int = 0
) -> tuple[Row, list[Row]]:
    """Train, measure and write the starter gate into a folder.

    Args:
        data: manifest of the photos.
        weights: ImageNet weights of EfficientNet-Lite0.
        out: receives the entry, whole or not at all; an older one there is replaced.
        cache: folder where scanned photos and the bank are kept.
        seed: of everything random.

    Returns:
        Header and rows of the leave-one-source-out table.

    Raises:
        TrainingDataError: if the photos cannot be trained on.
        WeightsUnavailable: if the weights cannot be loaded.
        ExportMismatch: if the exported graph and the Keras model disagree.
    """
    make_deterministic(seed)
    rows = read_rows(data, _doubtful())
    if missing := NEEDED_SOURCES - {row.source for row in rows}:
        raise TrainingDataError(
            f"The starter's recipe cuts its pictures out of sources that {data} lacks: "
            f"{', '.join(sorted(missing))}. For your own photos use: python -m training train"
        )
    backbone = build_backbone(BACKBONE_NAME, weights)
    bank = open_bank(plan(rows, seed), backbone, cache)
    recipe = Recipe(bank, backbone, seed)

    plants = frozenset(row.source for row in rows if row.plant)
    scores = leave_out_scores(bank.samples, recipe.score, sorted({row.source for row in rows}))
    threshold = best_threshold(scores, plants)
    probe = recipe.fit(frozenset())
    shifted = replace(probe, bias=probe.bias - float(np.log(threshold / (1 - threshold))))
    head = finetune.probe_head(shifted, backbone.output_shape[1:])
    table = _transfer_table(scores, plants, threshold)
    _write(
        build_classifier(backbone, head),
        load_dataset(data, DataSettings(), cache),
        out,
        table,
        {"seed": seed, "pictures": len(bank.samples), "threshold_before_shift": threshold},
    )
    return table


class Recipe:
    """Steps 2 and 3 on the bank, with some sources left out or none."""

    def __init__(self, bank: Bank, backbone: keras.Model, seed: int) -> None:
        """Remember the pretrained weights of the top, from which every fit starts."""
        self.bank, self.seed = bank, seed
        self.top = finetune.top_of(backbone)
        self._pretrained = self.top.get_weights()

    def fit(self, left_out: frozenset[str]) -> Probe:
        """Fit the probe and tune the backbone's top, in place."""
        self.top.set_weights(self._pretrained)
        weights = sample_weights(self.bank.samples, left_out)
        probe = fit_probe(self.bank.embeddings, self.bank.plant, weights)
        finetune.finetune(self.top, probe, self.bank.maps, self.bank.plant, weights, seed=self.seed)
        return probe

    def score(self, left_out: frozenset[str], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Logits of these samples by a fit without some sources; from disk if it was done."""
        about = repr((sorted(left_out), self.seed, finetune.SETTINGS, PENALTY)).encode()
        weights = sample_weights(self.bank.samples, left_out)
        file = self.bank.folder / f"fold-{sha256(about + weights.tobytes()).hexdigest()[:16]}.npy"
        if not file.exists():
            logits = self._score(left_out, rows)
            write_atomic(file, lambda out: np.save(out, logits))
        return np.load(file)

    def _score(self, left_out: frozenset[str], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        probe = self.fit(left_out)
        maps = (
            self.top.predict_on_batch(self.bank.maps[part].astype(np.float32))
            for part in np.array_split(rows, max(1, len(rows) // 128))
        )
        pooled = np.concatenate([np.asarray(batch).mean(axis=(1, 2)) for batch in maps])
        return probe.logits(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))


def _doubtful() -> list[str]:
    """Prefixes of the SHA-256 sums of photos whose label a look at them contradicts."""
    with DOUBTFUL.open(newline="", encoding="utf-8") as file:
        return [row["sha256_prefix"] for row in csv.DictReader(file)]


def _transfer_table(
    scores: Scores, plants: frozenset[str], threshold: float
) -> tuple[Row, list[Row]]:
    """Every source as judged by a fit that left it out, at the shipped threshold."""
    figures = transfer(scores, plants, threshold)
    rows: list[list[str]] = []
    for name, shares, mean in (
        ("plants kept", figures.kept, figures.mean_kept),
        ("false accepts", figures.false_accepts, figures.mean_false_accepts),
    ):
        rows += [
            [source, name, str(len(scores[source])), f"{share:.1%}"]
            for source, share in sorted(shares.items())
        ]
        rows.append([f"mean of {len(shares)} sources", name, "", f"{mean:.1%}"])
    return ["source left out", "figure", "photos", "starter"], rows


def _write(
    model: keras.Model,
    dataset: Dataset,
    out: Path,
    table: tuple[Sequence[str], list[Row]],
    training: dict[str, Any],
) -> None:
    """Export and measure the model, and put the finished entry in the place of the old one."""
    spec = BACKBONES[BACKBONE_NAME]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".starter-") as staging:
        folder = Path(staging, "gate")
        report = export_gate(
            model,
            folder,
            some_photos(dataset.val, CHECK_PHOTOS, spec.input_size),
            quantize="float16",
        )
        model.save(folder / KERAS)
        halve_keras(folder / KERAS)
        scorer = Scorer(folder / BACKBONE, folder / HEAD)
        scored, embeddings = {}, {}
        for split in ("train", "val", "test"):
            photos = dataset.splits()[split]
            scores = score_photos(scorer, photos, f"Scoring {split}")
            scored[split] = Scored(photos, scores.plant_probability)
            embeddings[split] = scores.embedding[scored[split].labels == 1]
        evaluation = Evaluation(
            "starter",
            {split: scored[split] for split in ("val", "test")},
            threshold=0.5,
            details={"training": training, "export": report.as_dict()},
        )
        figures = evaluation.figures()
        write_entry(
            folder,
            backbone=BACKBONE_NAME,
            head=finetune.HEAD,
            input_size=spec.input_size,
            preprocessing=spec.preprocessing.as_dict(),
            policy=Policy(plant_threshold=0.5),
            metrics=figures | {"leave_one_out": [list(table[0]), *map(list, table[1])]},
            card=model_card(
                figures,
                backbone=BACKBONE_NAME,
                weights="ImageNet, top averaged with a fine-tuned one",
                head=finetune.HEAD,
                counts=dataset.counts(),
                bad=len(dataset.bad),
                unseen=[table[0], *table[1]],
                notes=NOTES.read_text(encoding="utf-8"),
            ),
            metrics_summary={
                key: round(figures["splits"]["test"]["at_half"][key], 6) for key in SUMMARY
            },
            reference=reference_statistics.fit(embeddings["train"], calibration=embeddings["val"]),
            quantization="float16",
        )
        if out.is_dir():
            shutil.rmtree(out)
        folder.rename(out)
