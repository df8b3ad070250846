from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bentoml
import pytest

from plantood.errors import GateModelCorrupt, GateModelError, GateModelNotFound, SettingsError
from plantood.model import store
from plantood.model.entry import HEAD, KERAS, MANIFEST, sha256
from plantood.model.saving import finish_save, save_gate
from plantood.model.starter import starter_dir
from plantood.model.store import (
    SHA256_VARIABLE,
    STARTER_VERSION,
    damage,
    list_gates,
    load_gate,
    newest_gate,
)
from plantood.settings import Settings
from tests.model.entries import NAME


def _bentoml(*arguments: str | Path, home: Path | None = None) -> str:
    """Run BentoML's own command line."""
    environment = os.environ | ({"BENTOML_HOME": str(home)} if home else {})
    command = [sys.executable, "-m", "bentoml", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_version_says_what_it_is(tag: bentoml.Tag) -> None:
    manifest = load_gate(tag).manifest
    assert tag.version.startswith(f"{manifest.backbone}-{manifest.head}-")


def test_of_many_gates_the_newest_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, said in (
        (0, "none"),
        (5, "g:0, g:1, g:2, g:3, g:4"),
        (12, "g:0, g:1, g:2, g:3, g:4 and 7 more"),
    ):
        gates = [SimpleNamespace(tag=f"g:{number}") for number in range(count)]
        monkeypatch.setattr(store, "list_gates", lambda name=None, gates=gates: gates)
        assert f"(gates there: {said})" in store.not_stored("g:x")


@pytest.mark.parametrize("name", sorted(path.name for path in starter_dir().iterdir()))
def test_a_file_changed_in_the_store_is_named(tag: bentoml.Tag, name: str) -> None:
    with (Path(bentoml.models.get(tag).path) / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(GateModelCorrupt, match=f"{name} differs from the digest"):
        load_gate(tag)


def test_the_pinned_gate_is_loaded_and_no_other(tag: bentoml.Tag) -> None:
    digest = sha256(starter_dir() / MANIFEST)
    for pin in (digest, digest.upper(), f"sha256:{digest}", None):
        assert load_gate(tag, pin=pin).tag == str(tag)
    pin = "0" * 64
    with pytest.raises(GateModelError, match=f"{tag} is not the gate .* {digest}, not {pin};"):
        load_gate(tag, pin=pin)


def test_the_variable_is_read_by_the_settings_only(
    tag: bentoml.Tag, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sha256(starter_dir() / MANIFEST)
    for value, pin in (
        (f" sha256:{digest}\n", f"sha256:{digest}"),
        ("", None),
        ("0" * 64, "0" * 64),
    ):
        monkeypatch.setenv(SHA256_VARIABLE, value)
        assert Settings.from_environment().gate_sha256 == pin
        assert finish_save(tag)
        assert load_gate(tag).tag == str(tag)
    for value in ("latest", digest[:-1]):
        monkeypatch.setenv(SHA256_VARIABLE, value)
        with pytest.raises(SettingsError, match=f"{SHA256_VARIABLE}='{value}' cannot be used"):
            Settings.from_environment()


def test_a_gate_that_was_tampered_with_is_known_without_loading_it(tag: bentoml.Tag) -> None:
    assert damage(tag) is None
    assert "no gate model" in damage("no-such-gate:latest")
    with (Path(bentoml.models.get(tag).path) / HEAD).open("ab") as file:
        file.write(b"\n")
    assert f"{HEAD} differs from the digest" in damage(tag)
    assert [gate.tag for gate in list_gates(NAME)] == [str(tag)]  # the listing stays a quick one


@pytest.mark.parametrize("extra", ["evil.so", "model.yaml.orig", "folder"])
def test_what_the_manifest_does_not_name_is_refused_in_the_store(
    tag: bentoml.Tag, extra: str
) -> None:
    path = Path(bentoml.models.get(tag).path) / extra
    path.mkdir() if extra == "folder" else path.write_bytes(b"1")
    with pytest.raises(GateModelCorrupt, match=rf"{extra} is not named in gate\.json"):
        load_gate(tag)


def test_an_unknown_tag_is_answered_with_the_known_ones(tag: bentoml.Tag) -> None:
    for unknown in ("no-such-gate:latest", f"{NAME}:v0"):
        with pytest.raises(GateModelNotFound, match=f"no gate model {unknown} .*{tag}"):
            load_gate(unknown)


def test_a_model_of_another_kind_is_no_gate() -> None:
    with bentoml.models.create("something-else") as model:
        Path(model.path_of("weights.bin")).write_bytes(b"1")
    try:
        with pytest.raises(GateModelNotFound, match="another kind, not a gate") as told:
            load_gate("something-else")
        assert "delete" not in str(told.value)  # it may be somebody's detector
        assert "something-else" not in [gate.tag.partition(":")[0] for gate in list_gates()]
    finally:
        bentoml.models.delete(model.tag)


def test_the_newest_comes_first_and_is_the_latest() -> None:
    tags = [str(save_gate(starter_dir(), name=NAME, version=v)) for v in ("zulu", "alpha")]
    try:
        assert [gate.tag for gate in list_gates(NAME)] == tags[::-1]
        assert load_gate(f"{NAME}:latest").tag == tags[1]
    finally:
        for tag in tags:
            bentoml.models.delete(tag)


def test_list_gates(tag: bentoml.Tag) -> None:
    (gate,) = list_gates(NAME)
    manifest = load_gate(tag).manifest
    assert (gate.tag, gate.backbone, gate.head) == (str(tag), manifest.backbone, manifest.head)
    assert gate.metrics == manifest.metrics_summary
    assert gate.bytes > 1_000_000
    assert gate.quantization == manifest.quantization
    assert list_gates("no-such-gate") == []


def test_an_entry_cut_short_does_not_hide_the_others(tag: bentoml.Tag) -> None:
    """As a process leaves it that was killed while BentoML copied."""
    partial = Path(bentoml.models.get(tag).path).with_name("partial")
    partial.mkdir()
    (partial / KERAS).write_bytes(b"half")
    try:
        assert [gate.tag for gate in list_gates(NAME)] == [str(tag)]
        assert load_gate(f"{NAME}:latest").tag == str(tag)
        with pytest.raises(GateModelError, match=f"{NAME}:partial"):
            load_gate(f"{NAME}:partial")
    finally:
        shutil.rmtree(partial)


def test_bentoml_lists_and_describes_it(tag: bentoml.Tag) -> None:
    listed = json.loads(_bentoml("models", "list", NAME, "--output", "json"))
    assert [(model["tag"], model["module"]) for model in listed] == [(str(tag), "plantood")]
    described = json.loads(_bentoml("models", "get", str(tag), "--output", "json"))
    manifest = load_gate(tag).manifest
    assert described["labels"] == {
        "kind": "plantood-gate",
        "backbone": manifest.backbone,
        "head": manifest.head,
    }
    assert described["metadata"]["metrics"] == manifest.metrics_summary
    assert described["metadata"]["plant_threshold"] == manifest.policy.plant_threshold


def test_export_and_import_elsewhere_with_bentomls_own_commands(
    tag: bentoml.Tag, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    file = tmp_path / "gate.tar"  # uncompressed, which is faster
    _bentoml("models", "export", str(tag), file)
    _bentoml("models", "import", file, home=elsewhere)
    code = (
        "from plantood.model.store import load_gate, list_gates\n"
        f"gate = load_gate({str(tag)!r})\n"
        "print(gate.tag, gate.scorer(1).input_size, len(list_gates()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"BENTOML_HOME": str(elsewhere)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(tag), "224", "1"]


def test_the_store_needs_no_tensorflow() -> None:
    code = (
        "import sys, plantood.model.store, plantood.model.starter\n"
        "print([m for m in ('tensorflow', 'keras', 'onnx', 'h5py') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_starter_is_never_the_latest_beside_another_gate(tag: bentoml.Tag) -> None:
    """Whichever came first: a gate that is imported keeps the day on which it was made."""
    assert newest_gate("nobody-has-this") is None
    save_gate(starter_dir(), name="field-gates", version=STARTER_VERSION)
    assert load_gate("field-gates:latest").tag == "field-gates:starter"
    save_gate(starter_dir(), name="field-gates", version="ours")
    record = Path(bentoml.models.get("field-gates:ours").path, "model.yaml")
    text = re.sub(
        r"creation_time: .*", "creation_time: '2020-01-01T00:00:00+00:00'", record.read_text()
    )
    record.write_text(text)
    assert load_gate("field-gates:latest").tag == load_gate("field-gates").tag == "field-gates:ours"
    assert load_gate("field-gates:starter").tag == "field-gates:starter"
