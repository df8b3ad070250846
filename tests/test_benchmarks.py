"""`make bench` on a clean clone: what cannot be measured there is left out, the rest follows."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from benchmarks import quality_cues, review_page


@pytest.mark.parametrize(
    ("command", "missing"),
    [(quality_cues.main, "PLANTOOD_SHARED"), (review_page.main, "chromium")],
    ids=["without the photos", "without a browser"],
)
def test_what_cannot_be_measured_is_left_out_in_one_sentence(
    command: click.Command, missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLANTOOD_SHARED", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    before = quality_cues.DOCUMENT.read_bytes()
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0, done.output
    (sentence,) = done.output.splitlines()
    assert sentence.startswith("Left out, since")
    assert missing in sentence
    assert quality_cues.DOCUMENT.read_bytes() == before
