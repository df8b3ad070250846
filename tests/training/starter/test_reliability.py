from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.model.parts.calibration import sigmoid
from plantood.training.judging.decision.rule import Unseen
from plantood.training.judging.metrics import calibration_error
from plantood.training.starter import train
from plantood.training.starter.leave_out import COSTS
from plantood.training.starter.reliability import draw_reliability, picture_beside


@pytest.fixture
def unseen() -> Unseen:
    """Of ten sources, by a network that is three times too sure of itself."""
    rng = np.random.default_rng(0)
    sources = np.repeat([f"source {n:02}" for n in range(10)], 60)
    plant = np.repeat(np.arange(10) % 2 == 0, 60)
    # Of two normal distributions apart by 2, the true logit is 2 x.
    x = rng.normal(np.where(plant, 1.0, -1.0), 1.0)
    return Unseen(sources, plant, sigmoid(3 * 2 * x)[None])


def test_each_unit_is_calibrated_by_what_was_chosen_without_it(unseen: Unseen) -> None:
    calibrated = unseen.calibrated(COSTS)
    for name in ("source 00", "source 07"):
        rule = unseen.rule(COSTS, without=frozenset({name}))
        mine = unseen.sources == name
        np.testing.assert_array_equal(calibrated[mine], unseen.judged(rule, mine))


def test_the_picture_and_what_is_said_of_it(unseen: Unseen, tmp_path: Path) -> None:
    file = picture_beside(tmp_path / "starter.md")
    assert file.name == "starter-reliability.svg"
    said = draw_reliability(unseen, file)
    before = calibration_error(unseen.plant, unseen.probabilities[0], share_of_others=0.5)
    after = calibration_error(unseen.plant, unseen.calibrated(COSTS), share_of_others=0.5)
    assert before is not None
    assert after is not None
    assert after < before / 2
    assert f"{before:.3f} as the network gives it" in said
    assert f"{after:.3f} calibrated" in said
    assert f"]({file.name})" in said
    assert file.read_text(encoding="utf-8").rstrip().endswith("</svg>")


def test_the_command_puts_it_beside_its_table(
    unseen: Unseen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "train_starter", lambda *_, **__: (["source"], [["farm"]], unseen))
    document, weights = tmp_path / "starter.md", tmp_path / "any.weights.h5"
    weights.touch()
    document.write_text("<!-- starter -->\n<!-- /starter -->\n")
    arguments = ["starter", tmp_path, "--weights", weights, "--table-into", document]
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exit_code == 0, done.output
    assert picture_beside(document).is_file()
    written = document.read_text(encoding="utf-8")
    assert "| farm |" in written
    assert "](starter-reliability.svg)" in written
