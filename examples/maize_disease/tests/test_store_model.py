"""The model in the Bento model store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from detector import MODEL_FILE, MODEL_TAG, Detector
from tests.conftest import DISEASES, PROJECT
from train.photos import Pixels


def _store(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "store_model.py", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_stored_model_is_the_one_that_ships(
    environment: dict[str, str], leaves: dict[str, Pixels]
) -> None:
    again = _store(environment)  # the fixture has stored it
    assert (again.returncode, again.stdout.strip()) == (0, MODEL_TAG)
    name, version = MODEL_TAG.split(":")
    stored = Path(environment["BENTOML_HOME"], "models", name, version)
    metrics = json.loads((stored / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.9
    diagnoses = Detector(stored).diagnose(list(leaves.values()))
    assert [diagnosis.disease for diagnosis in diagnoses] == list(DISEASES)


def test_another_model_needs_another_version(environment: dict[str, str], tmp_path: Path) -> None:
    other = shutil.copytree(PROJECT / "model", tmp_path / "model")
    with (other / MODEL_FILE).open("ab") as file:
        file.write(b"other")
    refused = _store(environment, str(other))
    assert refused.returncode != 0
    assert "raise the version of MODEL_TAG" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_model_that_is_not_there_says_what_to_do(
    environment: dict[str, str], tmp_path: Path
) -> None:
    missing = _store(environment, str(tmp_path))
    assert missing.returncode != 0
    assert "train first" in missing.stderr
