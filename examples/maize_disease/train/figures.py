"""What is measured of the detector, and the model card that says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix, log_loss

from detector import Detector
from train.photos import Pixels

CARD = """\
# maize_disease: the detector of the example

Names the disease of a single maize leaf: {diseases}.
It is there to show how a detector is put behind the plantood gate; do not treat fields by it.

## Model

EfficientNet-Lite0 (ImageNet weights by Google, Apache-2.0; the backbone of plantood's starter gate,
frozen, stored in half precision), global average pool, logistic regression. Input: uint8 RGB
[N, 224, 224, 3], the whole photo stretched to a square.

## Data

Maize leaves of the PlantVillage collection (Hughes and Salathé 2015, CC BY 4.0):
{photos}. Besides, {left_out} photos of leaves that also occur in a later split were
left out of train and val; twins were found by the similarity of their embeddings. {copies} altered
copies of each photo (part, turn, light), seed {seed}. Validation chose the regularisation,
C = {strength:g}.

In this collection every leaf with common rust is cut out, on black, and no other leaf is: black
alone would give it away. So every second of its copies was put on another ground, and the test is
also made with the test leaves on other grounds.

## Figures

Measured on the ONNX file, on photos that had no part in training.

| test | photos | right | accuracy | log loss |
| --- | --- | --- | --- | --- |
{totals}

| class, test | photos | precision | recall | F1 |
| --- | --- | --- | --- | --- |
{classes}

| was \\ said | {names} |
| --- | {dashes} |
{confusion}

## Limits

- One collection: single leaves, well lit, most on a grey table or filling the photo. On photos of
  whole plants in a field it was not measured, and will be worse.
- It knows {count} classes and names one of them whatever it sees: another disease, a lack of
  nitrogen, or a bean leaf. The gate keeps away what is no plant; it does not tell maize from beans.
- {size} test photos: one photo more or less is {step:.1%}.
"""


def loss(
    diseases: Sequence[str], probabilities: NDArray[np.floating], classes: Sequence[str]
) -> float:
    """Mean cross-entropy in nats of probabilities ``[N, K]``; classes in their order."""
    exact = probabilities.astype(np.float64)  # in float32 they do not quite add up to 1
    return float(log_loss(diseases, exact / exact.sum(axis=1, keepdims=True), labels=classes))


def measure(
    detector: Detector, photos: Sequence[Pixels], diseases: Sequence[str]
) -> dict[str, Any]:
    """Figures of the detector on labelled photos, as plain data.

    Returns:
        ``photos``, ``right``, ``accuracy``, ``log_loss``; ``classes`` with precision, recall, F1
        and count of each; ``confusion``, one row for each true class, in the detector's order.
    """
    probabilities = detector.probabilities(photos)
    said = np.array(detector.diseases)[probabilities.argmax(axis=1)]
    report = classification_report(
        diseases, said, labels=detector.diseases, output_dict=True, zero_division=0
    )
    right = int((said == np.array(diseases)).sum())
    return {
        "photos": len(diseases),
        "right": right,
        "accuracy": round(right / len(diseases), 4),
        "log_loss": round(loss(diseases, probabilities, detector.diseases), 4),
        "classes": {
            name: {
                "photos": int(report[name]["support"]),
                "precision": round(report[name]["precision"], 4),
                "recall": round(report[name]["recall"], 4),
                "f1": round(report[name]["f1-score"], 4),
            }
            for name in detector.diseases
        },
        "confusion": confusion_matrix(diseases, said, labels=detector.diseases).tolist(),
    }


def summary(measured: Mapping[str, Any]) -> str:
    """One line for the terminal."""
    return (
        f"test accuracy {measured['accuracy']:.1%} ({measured['right']} of {measured['photos']}); "
        + ", ".join(f"{name} F1 {c['f1']:.2f}" for name, c in measured["classes"].items())
    )


def card(
    diseases: Sequence[str], about: Mapping[str, Any], measured: Mapping[str, Mapping[str, Any]]
) -> str:
    """The model card, Markdown."""
    test = measured["test"]
    titles = {"test": "as they are", "test_on_other_ground": "cut-out leaves on other grounds"}
    return CARD.format(
        diseases=", ".join(name.replace("_", " ") for name in diseases),
        photos=", ".join(f"{count} {name}" for name, count in about["photos"].items()),
        left_out=about["left_out_as_twins"],
        seed=about["seed"],
        copies=about["copies"],
        strength=about["strength"],
        totals="\n".join(
            f"| {title} | {m['photos']} | {m['right']} "
            f"| {m['accuracy']:.1%} | {m['log_loss']:.3f} |"
            for name, title in titles.items()
            if (m := measured.get(name))
        ),
        classes="\n".join(
            f"| {name} | {c['photos']} | {c['precision']:.3f} | {c['recall']:.3f} | {c['f1']:.3f} |"
            for name, c in test["classes"].items()
        ),
        names=" | ".join(diseases),
        dashes=" | ".join("---" for _ in diseases),
        confusion="\n".join(
            f"| {name} | {' | '.join(map(str, row))} |"
            for name, row in zip(diseases, test["confusion"], strict=True)
        ),
        count=len(diseases),
        size=test["photos"],
        step=1 / test["photos"],
    )
