from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest
from bentoml._internal.bento.bento import Bento
from bentoml.exceptions import NotFound

from plantood.gate_reference import GateReference
from plantood.model.entry import MANIFEST, sha256
from plantood.model.store import load_gate, save_gate
from plantood.packing import GATE_LABEL, SHA256_LABEL, record_gate, served_gate
from plantood.settings import DEFAULT_GATE
from plantood.starter import starter_dir

NAME = "packed-gate"


@pytest.fixture
def tag() -> Iterator[str]:
    tag = save_gate(starter_dir(), name=NAME, version="1")
    yield str(tag)
    bentoml.models.delete(tag)


@bentoml.service
class Network:
    gate_model = GateReference(NAME)


@bentoml.service
class Composed:
    network = bentoml.depends(Network)


@bentoml.service
class Elsewhere:
    network = bentoml.depends(url="http://gate.example.org")


def test_the_gate_of_a_service_it_depends_on_is_recorded(tag: str) -> None:
    record_gate(Composed)
    digest = sha256(load_gate(tag).path / MANIFEST)
    assert Composed.labels == {GATE_LABEL: tag, SHA256_LABEL: digest}
    variables = {variable.name: variable.value for variable in Composed.envs}
    assert variables == {"PLANTOOD_GATE": tag, "PLANTOOD_GATE_SHA256": digest}


def test_a_gate_that_runs_elsewhere_is_not_recorded() -> None:
    record_gate(Elsewhere)
    assert (Elsewhere.labels, Elsewhere.envs) == ({}, [])


def test_a_gate_that_the_store_lacks_is_an_error() -> None:
    with pytest.raises(NotFound, match=f"has no gate model {NAME}"):
        record_gate(Composed)


def _build(project: Path) -> Bento:
    """Build a bento of a service with `Network`'s gate, without resolving any package."""
    (project / "packed.py").write_text(
        "import bentoml\n"
        "from plantood.gate_reference import GateReference\n"
        "from plantood.packing import record_gate\n"
        "@bentoml.service(name='PlantScorer')\n"
        "class Scorer:\n"
        f"    gate_model = GateReference({NAME!r})\n"
        "record_gate(Scorer)\n"
    )
    (project / "bentofile.yaml").write_text(
        "service: packed:Scorer\npython: {packages: [bentoml], lock_packages: false}\n"
    )
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", "."]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    return bentoml.get(built.stdout.rsplit("__tag__:", 1)[1].strip())


def test_a_bento_serves_the_gate_that_it_packs(tag: str, tmp_path: Path) -> None:
    bento = _build(tmp_path)
    assert bento.info.labels[GATE_LABEL] == tag
    assert served_gate(DEFAULT_GATE, bento) == tag
    assert served_gate("another:gate", bento) == "another:gate"
    assert served_gate(DEFAULT_GATE, None) == DEFAULT_GATE

    newer = save_gate(starter_dir(), name=NAME, version="2")
    try:  # what is loaded from a bento is what was built, whatever is the newest by now
        assert bentoml.models.get(NAME).tag == newer
        assert served_gate(DEFAULT_GATE, bento) == tag
        assert bentoml.load(bento).labels == {}
    finally:
        bentoml.models.delete(newer)
        bentoml.delete(bento.tag)
