"""How far P(plant) is to be believed on sources never seen, before and after its calibration."""

from __future__ import annotations

from pathlib import Path

from plantood.training.files.atomic import write_atomic
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.metrics import calibration_error
from plantood.training.report.charts import reliability_picture
from plantood.training.starter.leave_out import COSTS

TITLE = "Reliability on sources never seen"


def picture_beside(document: Path) -> Path:
    """Where the picture of a document stands."""
    return document.with_name(f"{document.stem}-reliability.svg")


def draw_reliability(unseen: Unseen, file: Path) -> str:
    """Write the picture, and say it in a paragraph of Markdown that shows it.

    Photos of each unit are calibrated by what was chosen without it, and both classes count alike.

    Args:
        unseen: what gates say of photos whose sources they have not seen.
        file: an SVG.
    """
    share = COSTS.share_of_others
    assert share is not None
    before, after = unseen.probabilities[0], unseen.calibrated(COSTS)
    errors = [
        calibration_error(unseen.plant, p, share_of_others=share) or 0.0 for p in (before, after)
    ]
    labels = [
        f"{when} calibration: error {error:.3f}"
        for when, error in zip(("before", "after"), errors, strict=True)
    ]
    drawn = reliability_picture(
        TITLE, unseen.plant, dict(zip(labels, (before, after), strict=True)), share
    )
    write_atomic(file, lambda out: out.write(drawn))
    return (
        f"On the photos of sources left out, both classes counted alike, P(plant) has a "
        f"calibration error of {errors[0]:.3f} as the network gives it, and of {errors[1]:.3f} "
        f"calibrated.\n\n![{TITLE}: share of plants over mean P(plant), before and after "
        f"calibration]({file.name})"
    )
