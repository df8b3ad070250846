from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plantood.errors import GateModelError
from plantood.training.common.gates import find_gate
from tests.training.conftest import write_photo


def test_no_other_gate_is_found_than_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTOOD_GATE_SHA256", "0" * 64)
    with pytest.raises(GateModelError, match="plantood-gate:starter is not the gate model that"):
        find_gate("plantood-gate:starter")


@pytest.mark.parametrize("command", ["evaluate", "mine", "rounds"])
def test_the_starter_is_within_reach_beside_another_gate(tmp_path: Path, command: str) -> None:
    for label, name in enumerate(("other", "plant")):
        write_photo(tmp_path / "photos" / name / "1.jpg", label, 1)
    own = (
        "from plantood.model.saving import save_gate\n"
        "from plantood.model.starter import starter_dir\n"
        "save_gate(starter_dir(), name='plantood-gate', version='my-own')\n"
    )
    environment = os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml")}
    options = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-c", own], check=True, **options)
    arguments = {
        "evaluate": ["plantood-gate:starter", "photos"],
        "mine": ["photos", "--gate", "plantood-gate:starter", "--out", "round"],
        "rounds": ["plantood-gate:starter"],
    }[command]
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    ran = subprocess.run(
        [sys.executable, "-m", "plantood", command, *arguments], check=False, **options
    )
    assert ran.returncode == 0, ran.stderr
    assert "plantood-gate:starter" in ran.stdout
    latest = "from plantood.model.store import load_gate; print(load_gate().tag)"
    ran = subprocess.run([sys.executable, "-c", latest], check=True, **options)
    assert ran.stdout.strip() == "plantood-gate:my-own"
