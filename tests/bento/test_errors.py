"""What keeps a service from being made is both families' error: `PlantoodError`, and BentoML's."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import bentoml
import pytest
from bentoml.exceptions import BentoMLConfigException, BentoMLException, NotFound

import plantood
from plantood.bento.gate_reference import GateReference
from plantood.compose import GatedService, gate_model, gate_runner, gated, record_gate

NO_TAG, LOST, SOON = "no tag!", "lost-gate:1", {"PLANTOOD_TIMEOUT_S": "soon"}


class WithoutAGate:
    @bentoml.api
    @gated
    def diagnose(self, image: bytes) -> str: ...


class WithText(WithoutAGate):
    gate = "http://localhost:3000"


class WithALostGate:
    gate = GateReference(LOST)


def _made(service: type) -> Any:
    return bentoml.service(service_class=GatedService)(service)


MAKING: dict[str, tuple[Callable[[], Any], dict[str, str], str]] = {
    "gate_model of no tag": (lambda: gate_model(NO_TAG), {}, "'no tag!' is no tag"),
    "gate_model": (gate_model, SOON, "PLANTOOD_TIMEOUT_S='soon'"),
    "gate_runner": (gate_runner, SOON, "PLANTOOD_TIMEOUT_S='soon'"),
    "gate_runner of a lost gate": (lambda: gate_runner(LOST), {}, "has no gate model lost-gate:1"),
    "a service": (lambda: _made(WithALostGate), SOON, "PLANTOOD_TIMEOUT_S='soon'"),
    "no gate": (lambda: _made(WithoutAGate), {}, "There is no WithoutAGate.gate"),
    "text as a gate": (lambda: _made(WithText), {}, "WithText.gate: str is no gate"),
    "the service itself": (
        lambda: runpy.run_module("plantood.service"),
        SOON,
        "PLANTOOD_TIMEOUT_S='soon'",
    ),
}


@pytest.mark.filterwarnings("ignore:'plantood.service' found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("mistake", MAKING)
def test_it_is_an_error_of_both(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, variables, sentence = MAKING[mistake]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(plantood.SetupError, match=sentence) as error:
        make()
    assert isinstance(error.value, plantood.PlantoodError)
    assert isinstance(error.value, BentoMLConfigException)
    assert "\n" not in str(error.value)


def test_a_gate_that_the_store_lacks_is_so_for_both() -> None:
    with pytest.raises(plantood.GateModelNotFound, match="has no gate model lost-gate:1") as error:
        record_gate(_made(WithALostGate))
    assert isinstance(error.value, NotFound)
    assert issubclass(plantood.SetupError, BentoMLException)  # whose sentence its commands print
