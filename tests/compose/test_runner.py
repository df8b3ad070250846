"""The gate model of a legacy runner is that runner's, and nobody else's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import bentoml
import pytest

from plantood import Gate
from plantood.compose import ComposedGate, gate_runner
from plantood.compose.runner import TAG_VARIABLE
from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir

NAME = "runner-gate"


@pytest.fixture
def tag(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(TAG_VARIABLE.format("plant-scorer"), "")  # restored afterwards
    tag = save_gate(starter_dir(), name=NAME, version="1")
    yield str(tag)
    bentoml.models.delete(tag)


def test_it_changes_no_other_gate_of_the_process(tag: str) -> None:
    before = {name: value for name, value in os.environ.items() if name.startswith("PLANTOOD_")}
    gate = ComposedGate(gate_runner(tag))
    assert gate.door.rules.tag == tag
    assert Gate.load().tag == "plantood-gate:starter"
    after = {name: value for name, value in os.environ.items() if name.startswith("PLANTOOD_")}
    assert after == before


@pytest.mark.parametrize("named", ["argument", "variable"])
def test_its_version_is_that_with_which_the_server_started(
    tag: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named == "variable":
        monkeypatch.setenv("PLANTOOD_GATE", NAME)
    asked = NAME if named == "argument" else None
    gate_runner(asked)
    newer = save_gate(starter_dir(), name=NAME, version="2")
    try:
        assert gate_runner(asked).runnable_init_params["tag"] == str(newer)
        gate_runner(tag)
        monkeypatch.setattr(sys, "argv", [*sys.argv, "--worker-id", "1"])
        runner = gate_runner(asked)
        assert runner.runnable_init_params["tag"] == tag
        assert ComposedGate(runner).door.rules.tag == tag
    finally:
        bentoml.models.delete(newer)
