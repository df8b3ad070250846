"""What the documents show as printed is what is printed today, by the gate that ships."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plantood import Gate
from plantood.cli import main
from plantood.cli.check import SAMPLES
from plantood.judging.messages import Messages
from plantood.model.starter import install_starter
from plantood.verdict import ReasonCode
from tests.docs.documents import README, ROOT, blocks

QUICKSTART = ROOT / "docs" / "quickstart.md"


@pytest.fixture(scope="module")
def starter() -> str:
    return str(install_starter(always=True))


def test_the_table_of_the_quickstart_is_that_of_the_command(
    starter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SAMPLES, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "240")  # as wide as it wants to be
    printed = CliRunner().invoke(main, ["check", "photos/", "--gate", starter]).output
    (shown,) = [
        block.text for block in blocks("text", files=[QUICKSTART]) if "P(plant)" in block.text
    ]
    assert pattern_of(shown).fullmatch(squeezed(printed))


def squeezed(text: str) -> str:
    """A table's lines without its rules, and with one space between words."""
    lines = (" ".join(line.split()) for line in text.splitlines() if "──" not in line)
    return "\n".join(line for line in lines if line)


def pattern_of(shown: str) -> re.Pattern[str]:
    """Matches what is shown, with anything at the place of three dots."""
    return re.compile(r"[^\n]*".join(map(re.escape, squeezed(shown).split("..."))))


@pytest.mark.parametrize("file", [README, QUICKSTART], ids=lambda file: file.name)
def test_the_verdict_that_is_shown_is_that_on_the_soil(file: Path, starter: str) -> None:
    (shown,) = [json.loads(one.text) for one in blocks("json", files=[file])]
    given: dict[str, Any] = Gate.load(starter).check(SAMPLES / "bare_soil.jpg").model_dump()
    for verdict in (shown, given):
        assert len(verdict.pop("timings_ms")) == 3
    assert shown == rounded(given)


def test_the_messages_that_are_shown_are_a_file_that_is_taken(tmp_path: Path) -> None:
    (shown,) = blocks("json", files=[ROOT / "docs" / "configuration.md"])
    file = tmp_path / "messages.json"
    file.write_text(shown.text, encoding="utf-8")
    messages = Messages.load(file)
    for language, sentences in json.loads(shown.text).items():
        for code, sentence in sentences.items():
            assert messages.text(ReasonCode(code), language) == sentence
    assert messages.text(ReasonCode.TOO_SMALL, "lg") == messages.text(ReasonCode.TOO_SMALL, "en")


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 2) if isinstance(value, float) else value
