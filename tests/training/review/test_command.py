"""What `plantood review` says before and after it has served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.training.review.log import DecisionLog
from plantood.training.review.server import serve
from plantood.training.rounds.layout import Round
from tests.training.review.rounds import make_round, say


def test_both_count_in_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = DecisionLog(make_round(tmp_path / "round", 6))
    for photo, reviewer, label in (
        (0, "anna", "plant"),
        (1, "anna", "other"),
        (2, "anna", "unsure"),
        (3, "anna", "plant"),
        (3, "ben", "other"),
    ):
        say(log, photo, reviewer, label)

    def served(round_: Round, announce: Callable[..., None], **_: Any) -> DecisionLog:
        announce(log, [])
        return log

    monkeypatch.setattr(serve, "serve_review", served)
    said = CliRunner().invoke(main, ["review", str(log.round.path)]).output
    assert said.startswith("6 photos to review: 1 plant, 1 other; 4 undecided.\n")
    assert said.endswith("labels.csv: 1 plant, 1 other; 4 undecided.\n")
