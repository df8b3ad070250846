from __future__ import annotations

import os
from pathlib import Path

import pytest

from plantood.defaults import BATCH
from plantood.errors import SettingsError
from plantood.photo.images import Limits
from plantood.settings import Settings, documentation, documentation_table, variable


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PLANTOOD_")]:
        monkeypatch.delenv(name)


DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"


def test_nothing_set_gives_the_defaults() -> None:
    settings = Settings.from_environment()
    assert settings.gate == "plantood-gate:latest"
    assert settings.limits == Limits()
    assert settings.max_upload_bytes == 20 * 1024 * 1024
    assert settings.max_pixels == 110_000_000


def test_every_field_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "PLANTOOD_GATE": "plantood-gate:v2",
        "PLANTOOD_GATE_SHA256": "0f" * 32,
        "PLANTOOD_POLICY": "plant_threshold=0.7, min_sharpness=0.2",
        "PLANTOOD_LANGUAGE": "fr",
        "PLANTOOD_MESSAGES_FILE": "messages.json",
        "PLANTOOD_MAX_UPLOAD_MB": "5",
        "PLANTOOD_MAX_MEGAPIXELS": "12",
        "PLANTOOD_UPLOADS_MB": "64",
        "PLANTOOD_DECODE_MEMORY_MB": "128",
        "PLANTOOD_MAX_PHOTOS": "3",
        "PLANTOOD_WORKERS": "2",
        "PLANTOOD_DECODE_THREADS": "4",
        "PLANTOOD_SCORER_THREADS": "6",
        "PLANTOOD_MAX_BATCH_SIZE": "16",
        "PLANTOOD_MAX_LATENCY_MS": "2500",
        "PLANTOOD_METRICS_PORT": "9100",
        "PLANTOOD_TIMEOUT_S": "60",
        "PLANTOOD_ON_GATE_ERROR": "retake",
        "PLANTOOD_GATE_TIMEOUT_S": "7",
        "PLANTOOD_CAPTURE": "s3://bucket/captured",
        "PLANTOOD_CAPTURE_MARGIN": "0.05",
        "PLANTOOD_CAPTURE_PER_DAY": "200",
    }
    assert set(environment) == {variable(field) for field in Settings.model_fields}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment().model_dump() == {
        "gate": "plantood-gate:v2",
        "gate_sha256": "0f" * 32,
        "policy": {"plant_threshold": 0.7, "min_sharpness": 0.2},
        "language": "fr",
        "messages_file": Path("messages.json"),
        "max_upload_mb": 5,
        "max_megapixels": 12,
        "uploads_mb": 64,
        "decode_memory_mb": 128,
        "max_photos": 3,
        "workers": 2,
        "decode_threads": 4,
        "scorer_threads": 6,
        "max_batch_size": 16,
        "max_latency_ms": 2500,
        "metrics_port": 9100,
        "timeout_s": 60,
        "on_gate_error": "retake",
        "gate_timeout_s": 7,
        "capture": "s3://bucket/captured",
        "capture_margin": 0.05,
        "capture_per_day": 200,
    }


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_counts_as_not_set(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = Settings.from_environment()
    monkeypatch.setenv("PLANTOOD_WORKERS", empty)
    assert Settings.from_environment() == default


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PLANTOOD_MAX_PHOTOS", "many", "from 1 to 256"),
        ("PLANTOOD_MAX_UPLOAD_MB", "0", "from 1 to 1000"),
        ("PLANTOOD_MAX_BATCH_SIZE", "1", "from 2 to 256"),
        ("PLANTOOD_ON_GATE_ERROR", "reject", "accept or retake or raise"),
        ("PLANTOOD_WORKERS", "1.5", "from 1 to 64"),
        ("PLANTOOD_POLICY", "plant_threshold", "name=number"),
        ("PLANTOOD_POLICY", "plant_threshold=high", "name=number"),
        ("PLANTOOD_LANGUAGE", "e", "at least 2 characters"),
        ("PLANTOOD_GATE", "/models/gate", "name:version, name:latest or name"),
        ("PLANTOOD_GATE", "plantood-gate:", "name:version, name:latest or name"),
        ("PLANTOOD_GATE", "a:b:c", "name:version, name:latest or name"),
        ("PLANTOOD_CAPTURE", "captured", "an absolute path, or a URL"),
        ("PLANTOOD_CAPTURE_MARGIN", "1.5", "a number from 0 to 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    sentence = str(caught.value)
    assert sentence.startswith(f"{name}={value!r}")
    assert allowed in sentence
    assert "\n" not in sentence


def test_every_field_is_documented() -> None:
    assert [name for name, _, _ in documentation()] == [
        f"`{variable(field)}`" for field in Settings.model_fields
    ]
    assert all(meaning.endswith(".") for _, _, meaning in documentation())


def test_the_document_holds_the_table() -> None:
    """If this fails: python -m plantood.settings, and put it between the markers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.split("<!-- settings -->\n")[1].split("<!-- /settings -->")[0]
    assert table == documentation_table()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PLANTOOD_POLCY", "PLANTOOD_POLICY"),
        ("PLANTOOD_GATES", "PLANTOOD_GATE"),
        ("PLANTOOD_MAX_UPLOADS_MB", "PLANTOOD_MAX_UPLOAD_MB"),
    ],
)
def test_a_slip_in_a_name_is_noticed(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"{name} is no setting; is {meant} meant"):
        Settings.from_environment()


def test_other_variables_are_nobody_s_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTOOD_SHARED", "/photos")
    monkeypatch.setenv("PLANTOOD_PORT", "tcp://10.0.0.1")
    Settings.from_environment()


def test_what_is_told_of_programs_is_so() -> None:
    told = Settings.model_fields["max_batch_size"].description or ""
    assert f"they have {BATCH}," in told  # not put in there: the reference reads the source
