"""A parent whose P(plant) asks its memory, and its child."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.model.entry import BACKBONE, HEAD, write_entry
from plantood.model.parts.calibration import Calibration, logit
from plantood.model.runtime import Scorer
from plantood.model.saving import save_gate
from plantood.model.store import load_gate
from plantood.training.common.settings import FitSettings
from plantood.training.features.scoring import score_photos
from plantood.training.finetune.run import finetune
from plantood.training.finetune.settings import FinetuneOptions
from tests.training.finetune.conftest import Flywheel


@pytest.fixture
def asking(flywheel: Flywheel, tmp_path: Path) -> str:
    """The parent, saved once more with a calibration that asks its memory."""
    plain = load_gate(flywheel.tag)
    folder = Path(shutil.copytree(plain.path, tmp_path / "entry"))
    for name in ("gate.json", "model.yaml"):
        (folder / name).unlink(missing_ok=True)
    memory = plain.memory()
    assert memory is not None
    manifest = plain.manifest
    write_entry(
        folder,
        policy=manifest.policy,
        metrics=plain.metrics,
        card=plain.card,
        memory=memory,
        calibration=Calibration(0.5, 0.1, margin=4.0, pictures=len(memory)),
        data=manifest.data,
        **manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"}),
    )
    return str(save_gate(folder, name="asking"))


def test_the_child_asks_its_own_memory_as_its_parent_does(
    flywheel: Flywheel, asking: str, tmp_path: Path
) -> None:
    options = FinetuneOptions(
        asking,
        (flywheel.round_1,),
        fit=FitSettings(epochs=2, fine_tune_epochs=0),
        gate_name="asking-child",
        runs=tmp_path / "runs",
        cache=flywheel.folder / "cache",
        force=True,
        min_per_class=5,
    )
    result = finetune(options)
    assert result.tag is not None
    child, parent = load_gate(result.tag), load_gate(asking)
    calibration, memory = child.manifest.calibration, child.memory()
    assert calibration is not None
    assert memory is not None
    assert calibration.margin / calibration.slope == pytest.approx(8.0)  # nats, as the parent's
    assert calibration.pictures == len(memory)
    # What is judged is what is served, of either.
    for scored, gate, line in (
        (result.judgement.before, parent, result.judgement.before.calibration),
        (result.judgement.after, child, None),
    ):
        test = scored.splits["test"]
        scorer = gate.scorer(1, calibrated=line is None)
        served = score_photos(scorer, test.photos, "Scoring").plant_probability
        np.testing.assert_allclose(
            served if line is None else line.apply(served), test.probabilities, atol=1e-4
        )
    alone = Scorer(child.path / BACKBONE, child.path / HEAD, threads=1)
    bare = score_photos(alone, test.photos, "Scoring").plant_probability
    unasked = replace(calibration, margin=0.0).apply(bare)
    assert np.abs(logit(unasked) - logit(test.probabilities)).max() > 0.3
