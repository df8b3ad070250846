from __future__ import annotations

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.training.common.settings import FitSettings
from plantood.training.finetune.settings import held_like_parent


@pytest.mark.parametrize(
    ("asked", "parent", "held"),
    [
        (None, {"settings": {"penalty": 0.3}}, 0.3),
        (0.01, {"settings": {"penalty": 0.3}}, 0.01),
        (None, {"settings": {"penalty": None}}, None),
        (None, {}, None),
    ],
    ids=["as the parent", "as asked for", "a head with hidden layers", "figures of another tool"],
)
def test_what_holds_a_child(asked: float | None, parent: dict, held: float | None) -> None:
    settings = held_like_parent(FitSettings(loss="weighted", penalty=asked), parent)
    assert settings == FitSettings(loss="weighted", penalty=held)


@pytest.mark.parametrize("idle", [["--replay", "photos"], ["--replay-share", "1"]])
def test_what_would_be_replayed_of_nothing_is_refused(idle: list[str]) -> None:
    ran = CliRunner().invoke(main, ["finetune", "no-such-gate:1", "new", "--no-replay", *idle])
    assert ran.exit_code == 1
    assert f"{idle[0]}: no part with --no-replay" in ran.output
