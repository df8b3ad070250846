from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bentoml
import numpy as np
import pytest
from bentoml.exceptions import NotFound

from plantood.errors import GateModelCorrupt
from plantood.model import starter
from plantood.model.entry import open_gate
from plantood.model.saving import save_gate
from plantood.model.starter import install_starter, starter_backbone, starter_dir
from plantood.model.store import list_gates, load_gate

NAME = "starter-under-test"
LIMIT = 19 * 10**6


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    yield
    try:
        for model in bentoml.models.list(NAME):
            bentoml.models.delete(model.tag)
    except NotFound:
        pass


def test_it_is_complete_small_and_says_what_it_is() -> None:
    gate = open_gate(starter_dir())
    assert sum(file.stat().st_size for file in starter_dir().iterdir()) <= LIMIT
    assert gate.manifest.backbone == starter_backbone()
    assert gate.card.startswith("# ")


def test_it_is_installed_once() -> None:
    tag = install_starter(NAME)
    assert str(tag) == f"{NAME}:{starter.STARTER_VERSION}"
    assert install_starter(NAME) == tag
    assert [gate.tag for gate in list_gates(NAME)] == [str(tag)]
    assert load_gate(f"{NAME}:latest").manifest == open_gate(starter_dir()).manifest


def test_it_is_installed_whatever_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be loaded is asked where it is loaded, and at once."""
    tag = install_starter(NAME)
    monkeypatch.setenv("PLANTOOD_GATE_SHA256", "0" * 64)
    monkeypatch.setattr(starter, "COPY_SECONDS", 0.0)
    assert install_starter(NAME) == tag


def test_a_gate_of_that_name_is_left_alone() -> None:
    own = save_gate(starter_dir(), name=NAME, version="my-own")
    assert install_starter(NAME) == own
    assert [gate.tag for gate in list_gates(NAME)] == [str(own)]


def test_several_processes_may_install_it_at_once(tmp_path: Path) -> None:
    code = (
        "from plantood.model.starter import install_starter\n"
        "from plantood.model.store import load_gate\n"
        "print(load_gate(install_starter()).tag)"
    )
    environment = os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml")}
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers == ["plantood-gate:starter"] * 4


def test_a_damaged_starter_in_the_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "COPY_SECONDS", 0.0)
    tag = install_starter(NAME)
    (Path(bentoml.models.get(tag).path) / "head.onnx").write_bytes(b"")
    with pytest.raises(GateModelCorrupt, match=r"head\.onnx"):
        install_starter(NAME)


def test_it_judges_the_sample_photos(sample_inputs: dict[str, np.ndarray]) -> None:
    gate = open_gate(starter_dir())
    names = ["maize_leaf.jpg", "bean_plant.jpg", "bare_soil.jpg", "tiled_floor.jpg"]
    scores = gate.scorer().score(np.stack([sample_inputs[name] for name in names]))
    is_plant = scores.plant_probability >= gate.manifest.policy.plant_threshold
    assert dict(zip(names, is_plant.tolist(), strict=True)) == {
        "maize_leaf.jpg": True,
        "bean_plant.jpg": True,
        "bare_soil.jpg": False,
        "tiled_floor.jpg": False,
    }
