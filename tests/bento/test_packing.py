from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest
from bentoml._internal.bento.bento import Bento

from plantood.bento.errors import SetupError
from plantood.bento.gate_reference import GateReference, gate_model, gate_of
from plantood.bento.packing import (
    GATE_LABEL,
    SHA256_LABEL,
    SHA256_VARIABLE,
    record_gate,
    served_gate,
)
from plantood.defaults import DEFAULT_GATE
from plantood.errors import GateModelError, GateModelNotFound
from plantood.model.entry import HEAD, MANIFEST, sha256
from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir
from plantood.model.store import load_gate, verify_gate
from plantood.settings import Settings

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
    with pytest.raises(GateModelNotFound, match=f"has no gate model {NAME}"):
        record_gate(Composed)


def _run_build(project: Path) -> subprocess.CompletedProcess[str]:
    """Build a bento of a service with `Network`'s gate, without resolving any package."""
    (project / "packed.py").write_text(
        "import bentoml\n"
        "from plantood.bento.gate_reference import GateReference\n"
        "from plantood.bento.packing import record_gate\n"
        "@bentoml.service(name='PlantScorer')\n"
        "class Scorer:\n"
        f"    gate_model = GateReference({NAME!r})\n"
        "record_gate(Scorer)\n"
    )
    (project / "bentofile.yaml").write_text(
        "service: packed:Scorer\npython: {packages: [bentoml], lock_packages: false}\n"
    )
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", "."]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def _build(project: Path) -> Bento:
    built = _run_build(project)
    assert built.returncode == 0, built.stderr
    return bentoml.get(built.stdout.rsplit("__tag__:", 1)[1].strip())


def test_a_gate_that_was_tampered_with_is_not_packed(tag: str, tmp_path: Path) -> None:
    assert GateReference(tag).to_info().tag == bentoml.Tag.from_str(tag)
    with (Path(bentoml.models.get(tag).path) / HEAD).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(SetupError, match=rf"{HEAD} differs from the digest"):
        GateReference(tag).to_info()
    before = {bento.tag for bento in bentoml.list()}
    built = _run_build(tmp_path)
    assert built.returncode != 0
    assert f"{HEAD} differs from the digest" in built.stderr
    assert "Traceback" not in built.stderr
    assert {bento.tag for bento in bentoml.list()} == before


def test_another_gate_than_the_pinned_one_is_not_packed(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHA256_VARIABLE, "0" * 64)
    for reference in (gate_model(tag), GateReference(tag, "0" * 64)):
        with pytest.raises(SetupError, match=f"{tag} is not the gate model that .* pins"):
            reference.to_info()
    assert GateReference(tag).to_info().tag == bentoml.Tag.from_str(tag)


def test_what_is_no_tag_is_a_sentence_of_bentoml_s_commands() -> None:
    with pytest.raises(SetupError, match="'bad tag!' is no tag of a gate model"):
        gate_model("bad tag!")


def test_a_bento_pins_the_gate_that_it_packs(
    tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sha256(starter_dir() / MANIFEST)
    monkeypatch.setenv(SHA256_VARIABLE, "")  # restored afterwards, whatever is set below
    monkeypatch.delenv(SHA256_VARIABLE)
    bento = _build(tmp_path)
    try:
        bentoml.load(bento)
        assert os.environ[SHA256_VARIABLE] == digest
        assert gate_of(Settings.from_environment(), tag).tag == tag
        # a manifest of one's own, with BentoML's record of it forged to match
        entry = Path(bentoml.models.get(tag).path)
        record = (entry / "model.yaml").read_text()
        (entry / MANIFEST).write_bytes((entry / MANIFEST).read_bytes() + b"\n")
        (entry / "model.yaml").write_text(record.replace(digest, sha256(entry / MANIFEST)))
        assert verify_gate(tag).tag == tag
        with pytest.raises(GateModelError, match="a bento pins the gate that it packs"):
            gate_of(Settings.from_environment(), tag)
        for chosen in ("", sha256(entry / MANIFEST)):  # the operator's word goes before
            monkeypatch.setenv(SHA256_VARIABLE, chosen)
            bentoml.load(bento)
            assert os.environ[SHA256_VARIABLE] == chosen
            assert gate_of(Settings.from_environment(), tag).tag == tag
    finally:
        bentoml.delete(bento.tag)


def test_a_bento_serves_the_gate_that_it_packs(
    tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHA256_VARIABLE, "")
    bento = _build(tmp_path)
    assert bento.info.labels[GATE_LABEL] == tag
    assert served_gate(DEFAULT_GATE, bento) == tag
    monkeypatch.setenv("PLANTOOD_GATE", "plantood-gate")  # no other than the latest
    assert served_gate(Settings.from_environment().gate, bento) == tag
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
