from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from plantood.model.store import list_gates
from plantood.training.common.intervals import wilson
from tests.cli.commands import MAIZE, plantood, run


def test_metrics_of_the_models_are_rounded() -> None:
    run("check", MAIZE)
    for gate in json.loads(run("models", "--json").stdout):
        assert all(value == round(value, 4) for value in gate["metrics"].values())


def test_models_lists_what_the_store_holds() -> None:
    run("check", MAIZE)
    listed = json.loads(run("models", "--json").stdout)
    gate = next(gate for gate in listed if gate["tag"].startswith("plantood-gate:"))
    assert gate["metrics"]["accuracy"] > 0.5
    table = run("models").output
    assert gate["tag"] in table
    (stored,) = (one for one in list_gates() if one.tag == gate["tag"])
    assert f"{stored.metrics['f1']:.3f}" in table
    low, high = wilson(930, 944)  # counts of the starter on its test split, in its metrics.json
    assert f"({low:.3f} to {high:.3f})" in table


def test_models_says_which_gate_is_the_latest(tmp_path: Path) -> None:
    """The starter is not, though it came last."""
    home = {"BENTOML_HOME": str(tmp_path)}

    def marked() -> dict[str, bool]:
        listed = json.loads(plantood("models", "--json", **home).stdout)
        return {gate["tag"]: gate["latest"] for gate in listed}

    plantood("check", MAIZE, **home)
    assert marked() == {"plantood-gate:starter": True}
    save = "from plantood.model.saving import save_gate; from plantood.model.starter import *;"
    save += "save_gate(starter_dir(), name='plantood-gate', version='own')"
    subprocess.run([sys.executable, "-c", save], env=os.environ | home, check=True)
    shutil.rmtree(tmp_path / "models" / "plantood-gate" / "starter")
    plantood("check", MAIZE, "--gate", "plantood-gate:starter", **home)
    assert marked() == {"plantood-gate:starter": False, "plantood-gate:own": True}
    assert plantood("models", **home).stdout.count("latest: ") == 1


def test_models_of_an_empty_store(tmp_path: Path) -> None:
    assert "no gate" in plantood("models", BENTOML_HOME=str(tmp_path)).stdout


def test_models_says_which_gate_is_damaged(tmp_path: Path) -> None:
    home = {"BENTOML_HOME": str(tmp_path)}
    plantood("check", MAIZE, **home)
    listed = json.loads(plantood("models", "--json", **home).stdout)
    assert [(gate["tag"], gate["damage"]) for gate in listed] == [("plantood-gate:starter", None)]
    head = tmp_path / "models" / "plantood-gate" / "starter" / "head.onnx"
    head.write_bytes(head.read_bytes()[:-1] + b"x")
    told = plantood("models", **home)
    assert told.returncode == 0
    assert "plantood-gate:starter cannot be used:" in told.stderr
    assert "head.onnx differs from the digest" in " ".join(told.stderr.split())
