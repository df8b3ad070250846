"""Rounds that the tests make themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from plantood.model.parts.neighbours import Neighbour
from plantood.training.review.log import DecisionLog
from plantood.training.review.tally import Entry
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round, RoundInfo
from plantood.training.rounds.mined import MinedPhoto
from tests.photos import encode, scene

NEAR = (Neighbour("other", "bricks", 0.314), Neighbour("plant", "field", 0.5))
INFO = RoundInfo(gate="plantood-gate:tiny", gate_sha256="0" * 64, source="pool/")


def make_round(
    path: Path, count: int = 6, probabilities: Sequence[float] | None = None, pictures: int = 12
) -> Round:
    """A round of `count` different files, of which `pictures` look different, P(plant) 0 to 0.6."""
    round_ = Round.create(path, INFO)
    looks = [encode(scene(200, 150, seed)) for seed in range(min(count, pictures))]
    mined = []
    for number in range(count):
        content = looks[number % len(looks)] + f"{number}".encode()  # behind the end of the picture
        digest = hashlib.sha256(content).hexdigest()
        file = Path("photos", digest[:2], f"{digest}.jpg")
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(content)
        probability = 0.6 * number / count if probabilities is None else probabilities[number]
        mined.append(mined_photo(digest, str(file), probability, f"pool/{number}.jpg"))
    round_.write_mined(mined)
    return round_


def mined_photo(digest: str, file: str, probability: float, path: str) -> MinedPhoto:
    refused = probability < 0.5
    return MinedPhoto(
        id=digest,
        path=path,
        file=file,
        plant_probability=round(probability, 4),
        selected_by=("at_most",) if refused else ("at_most", "margin"),
        verdict="retake" if refused else "accept",
        reasons=("not_a_plant",) if refused else (),
        sharpness=0.75,
        brightness=0.5,
        source="farm" if int(digest[0], 16) % 2 else "garden",
        nearest=() if probability < 0.01 else NEAR,
    )


def photos_only(path: Path, photos: Sequence[MinedPhoto]) -> DecisionLog:
    """The log of a round that has no files of photos."""
    round_ = Round.create(path, INFO)
    round_.write_mined(photos)
    return DecisionLog(round_)


def numbered_log(path: Path, probabilities: Sequence[float]) -> DecisionLog:
    """The log of a round whose photos have the ids 0000..., 1111..., ..."""
    base = mined_photo("0" * 64, "", 0.3, "")
    return photos_only(
        path,
        [
            replace(base, id=f"{number:x}" * 64, path=f"{number}.jpg", plant_probability=value)
            for number, value in enumerate(probabilities)
        ],
    )


def say(log: DecisionLog, photo: int, reviewer: str, label: str, **more: Any) -> Entry:
    """A label on photo 0, 1, ... of the round."""
    decision = {"id": list(log.photos)[photo], "reviewer": reviewer, "label": label, **more}
    seen = decision.pop("seen", None)
    return log.decide(Decision(**decision), seen)
