"""Train the detector on labelled photos of maize leaves, and measure it.

    python -m train --data photos.csv

The CSV file has the columns ``path,disease,split``; paths are relative to it, and the split is
``train``, ``val`` or ``test``. The network is the backbone of plantood's starter gate with frozen
weights, and a logistic regression on its embedding. Takes two minutes on two cores.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnxruntime as ort
from numpy.random import Generator
from numpy.typing import NDArray
from plantood import UnreadablePhoto, load_image, starter_dir, to_model_input, usable_cpus
from sklearn.linear_model import LogisticRegression

from detector import MODEL_FILE, Detector
from train import figures, graph
from train.photos import TWINS, Pixels, altered_copy, is_cut_out, on_other_ground, twins_of

SPLITS = ("train", "val", "test")
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Inverse regularisation (scikit-learn's ``C``); validation chooses."""
HEALTHY = "healthy"
"""Grounds for cut-out leaves come from photos of this class: they show no disease."""
GROUNDS_PER_LEAF = 3
"""On how many grounds each cut-out leaf is measured."""


@dataclass(frozen=True)
class Leaves:
    """Photos of one split."""

    photos: list[Pixels]
    """Each uint8 RGB ``[S, S, 3]``."""
    diseases: list[str]

    def grounds(self) -> list[Pixels]:
        """Photos to take grounds from."""
        named = zip(self.photos, self.diseases, strict=True)
        return [photo for photo, disease in named if disease == HEALTHY]

    def moved(self, rng: Generator) -> Leaves:
        """The cut-out leaves alone, each on several other grounds."""
        cut_out = [i for i, photo in enumerate(self.photos) if is_cut_out(photo)]
        chosen, grounds = cut_out * GROUNDS_PER_LEAF, self.grounds()
        moved = [on_other_ground(self.photos[i], grounds, rng) for i in chosen]
        return Leaves(moved, [self.diseases[i] for i in chosen])

    def with_copies(self, copies: int, rng: Generator) -> Leaves:
        """Each photo as it is, and altered copies; every second of a cut-out leaf is moved."""
        photos, grounds = list(self.photos), self.grounds()
        for copy in range(copies):
            for photo in self.photos:
                move = copy % 2 == 0 and is_cut_out(photo)
                source = on_other_ground(photo, grounds, rng) if move else photo
                photos.append(altered_copy(source, rng))
        return Leaves(photos, self.diseases * (copies + 1))


class Backbone:
    """The backbone of plantood's starter gate."""

    def __init__(self) -> None:
        self.path = starter_dir() / "backbone.onnx"
        options = ort.SessionOptions()
        options.intra_op_num_threads = usable_cpus()
        self._session = ort.InferenceSession(self.path, options, ["CPUExecutionProvider"])
        self.input_size: int = self._session.get_inputs()[0].shape[1]

    def embed(self, photos: Sequence[Pixels], what: str) -> NDArray[np.float32]:
        """Embedding of each photo, ``[N, C]``: the mean of the feature map."""
        found = []
        with click.progressbar(range(0, len(photos), 16), label=f"Embedding {what}") as starts:
            for start in starts:
                batch = {"image": np.stack(photos[start : start + 16])}
                (feature_map,) = self._session.run(["feature_map"], batch)
                found.append(feature_map.mean((1, 2)))
        return np.concatenate(found)


def read(data: Path, size: int) -> tuple[Leaves, NDArray[np.str_]]:
    """All photos of a CSV file as the network is served them, and the split of each, ``[N]``.

    Raises:
        click.ClickException: The file is not as it should be.
    """
    with data.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"path", "disease", "split"} <= rows[0].keys():
        raise click.ClickException(f"{data} must have the columns path,disease,split, and rows.")
    diseases = [row["disease"] for row in rows]
    if HEALTHY not in diseases or len(set(diseases)) < 2:
        raise click.ClickException(
            f"{data} must have photos of {HEALTHY} leaves, and of a disease."
        )
    if unknown := {row["split"] for row in rows} - set(SPLITS):
        raise click.ClickException(f"{data} has the splits {unknown}; allowed are {SPLITS}.")
    try:
        photos = [to_model_input(load_image(data.parent / row["path"]), size) for row in rows]
    except UnreadablePhoto as error:
        raise click.ClickException(f"{error}; take it out of {data}.") from error
    return Leaves(photos, diseases), np.array([row["split"] for row in rows])


def divide(
    leaves: Leaves,
    splits: NDArray[np.str_],
    embeddings: NDArray[np.float32],
    similarity: float = TWINS,
) -> dict[str, Leaves]:
    """Photos by split; of train and val those left out that show a leaf which a later one has.

    Raises:
        click.ClickException: Too few are left.
    """
    divided: dict[str, Leaves] = {}
    later = np.zeros(len(splits), bool)
    for name in reversed(SPLITS):
        here = (splits == name) & ~twins_of(embeddings, later, similarity)
        later |= here
        chosen = np.flatnonzero(here)
        divided[name] = Leaves(
            [leaves.photos[i] for i in chosen], [leaves.diseases[i] for i in chosen]
        )
        if missing := set(leaves.diseases) - set(divided[name].diseases):
            raise click.ClickException(
                f"No photos of {', '.join(sorted(missing))} in the split {name}, apart from those "
                "of leaves that a later split shows too; add photos of other leaves."
            )
    return divided


def fit(
    train: tuple[NDArray[np.float32], list[str]], val: tuple[NDArray[np.float32], list[str]]
) -> tuple[graph.Head, float]:
    """The head of the least validation loss, and its inverse regularisation.

    Args:
        train: Embeddings ``[N, C]`` and the disease of each.
        val: The same.
    """
    mean, scale = train[0].mean(axis=0), train[0].std(axis=0) + 1e-6
    models = [LogisticRegression(C=strength, max_iter=1000) for strength in STRENGTHS]
    for model in models:
        model.fit((train[0] - mean) / scale, train[1])

    def loss(model: LogisticRegression) -> float:
        probabilities = model.predict_proba((val[0] - mean) / scale)
        return figures.loss(val[1], probabilities, model.classes_)

    model = min(models, key=loss)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn has one row then: the logit of the second class
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.append(0, intercepts)
    kernel = (coefficients / scale).T
    bias = intercepts - mean @ kernel
    return graph.Head(list(model.classes_), kernel, bias), float(model.C)


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file; by default maize_disease.csv of the folder that PLANTOOD_SHARED names.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("model"),
    show_default=True,
    help="Folder that receives the model.",
)
@click.option("--copies", default=5, show_default=True, help="Altered copies of each photo.")
@click.option(
    "--twins",
    default=TWINS,
    show_default=True,
    help="Similarity of two embeddings, -1 to 1, from which on two photos count as of one leaf.",
)
@click.option("--seed", default=0, show_default=True, help="Of the copies.")
def main(data: Path | None, into: Path, copies: int, twins: float, seed: int) -> None:
    """Train the maize-disease detector, and write it with its figures and card."""
    if data is None:
        shared = os.environ.get("PLANTOOD_SHARED")
        data = Path(shared, "data", "maize_disease.csv") if shared else None
    if data is None or not data.is_file():
        raise click.ClickException("Name the photos with --data FILE.csv, or set PLANTOOD_SHARED.")
    rng = np.random.default_rng(seed)
    backbone = Backbone()
    leaves, splits = read(data, backbone.input_size)
    divided = divide(leaves, splits, backbone.embed(leaves.photos, "photos"), twins)
    train = divided["train"].with_copies(copies, rng)
    moved = {name: divided[name].moved(rng) for name in ("val", "test")}
    head, strength = fit(
        (backbone.embed(train.photos, "copies"), train.diseases),
        (
            backbone.embed(divided["val"].photos + moved["val"].photos, "val"),
            divided["val"].diseases + moved["val"].diseases,
        ),
    )
    into.mkdir(parents=True, exist_ok=True)
    graph.write(backbone.path, head, into / MODEL_FILE)

    detector = Detector(into)  # what is measured is the file that is served
    measured = {
        name: figures.measure(detector, part.photos, part.diseases)
        for name, part in {**divided, "test_on_other_ground": moved["test"]}.items()
        if name != "train" and part.photos
    }
    about = {
        "seed": seed,
        "copies": copies,
        "strength": strength,
        "photos": {name: len(divided[name].photos) for name in SPLITS},
        "left_out_as_twins": len(splits) - sum(len(part.photos) for part in divided.values()),
    }
    (into / "metrics.json").write_text(json.dumps({**about, **measured}, indent=2) + "\n")
    (into / "card.md").write_text(figures.card(detector.diseases, about, measured))
    click.echo(figures.summary(measured["test"]))


if __name__ == "__main__":
    main()
