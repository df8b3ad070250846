"""Photos of a round that need not be there."""

from __future__ import annotations

from plantood.training.rounds.mined import MinedPhoto


def photo(digit: str, **values: object) -> MinedPhoto:
    identity = digit * 64
    given = {
        "id": identity,
        "path": f"/farm/{digit}, ß.jpg",
        "file": f"photos/{digit * 2}/{identity}.jpg",
        "plant_probability": 0.25,
        "selected_by": ("at_most", "margin"),
        "verdict": "retake",
        "reasons": ("too_dark", "not_a_plant"),
        "sharpness": 0.5,
        "brightness": 0.125,
    }
    return MinedPhoto(**(given | values))
