from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from plantood.cli import COMMANDS, main
from plantood.training.common import settings
from plantood.training.common.parameters import HeadList
from plantood.training.common.settings import HEAD_NAMES, FitSettings, TrainOptions
from plantood.training.train.command import train_options
from tests.photos import encode, scene


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "--help" in result.output


def test_help_does_not_wait_for_tensorflow() -> None:
    code = (
        "import sys; from plantood.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'bentoml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("missing", ["tensorflow", "keras"])
def test_without_its_packages_training_says_what_to_install(missing: str, tmp_path: Path) -> None:
    for label in ("plant", "other"):
        (tmp_path / label).mkdir()
        for number in range(60):
            photo = encode(scene(96, 96, seed=number + 100 * (label == "other")))
            (tmp_path / label / f"{number}.jpg").write_bytes(photo)
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from plantood.cli import main\n"
        f"main(['train', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert 'pip install "./plantood[training]"' in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_names_are_those_of_the_tables() -> None:
    from plantood.training.common.settings import BACKBONE_NAMES, LEARNING_RATES, LINEAR_HEADS
    from plantood.training.network.backbones import BACKBONES
    from plantood.training.network.heads import HEADS

    assert tuple(BACKBONES) == BACKBONE_NAMES
    assert HEAD_NAMES == tuple(HEADS) == (*LEARNING_RATES, *LINEAR_HEADS)
    assert {head.name: head.summary for head in HEADS.values()} == settings.HEADS


def test_help_says_what_each_head_is_and_what_columns_a_manifest_has() -> None:
    for command in ("train", "leave-one-out"):
        told = " ".join(CliRunner().invoke(main, [command, "--help"]).output.split())
        assert "0.0001 for v1, v2, v3]" in told
        assert "Of large weights in linear heads (gap, gap_l2)" in told
        for name, what in settings.HEADS.items():
            assert f"{name}: {what}." in told
    told = " ".join(CliRunner().invoke(main, ["train", "--help"]).output.split())
    assert "path,label[,split][,source][,group]" in told
    assert "as group any name that photos of one scene share" in told


def test_defaults_on_the_command_line_are_those_in_the_code() -> None:
    from plantood.training.train.command import train

    context = train.make_context("train", ["data"])
    options = train_options(dict(context.params) | {"save": "best", "quantize": None})
    assert options == TrainOptions(Path("data"))


def test_no_fine_tune() -> None:
    options = train_options({"data": Path("d"), "no_fine_tune": True, "fine_tune_epochs": 2})
    assert options.fit == FitSettings(fine_tune_epochs=0)


@pytest.mark.parametrize("command", [["train", "data"], ["finetune", "no-such-gate:1", "new"]])
@pytest.mark.parametrize("idle", ["--fine-tune-epochs", "--fine-tune-learning-rate"])
def test_a_phase_that_is_both_described_and_left_out_is_refused(
    command: list[str], idle: str
) -> None:
    result = CliRunner().invoke(main, [*command, idle, "5", "--no-fine-tune"])
    assert result.exit_code == 1
    assert f"{idle}: no part with --no-fine-tune" in result.output


def test_heads_are_checked() -> None:
    assert HeadList().convert("GAP, v1,gap", None, None) == ("gap", "v1")
    result = CliRunner().invoke(main, ["train", "data", "--heads", "v1,v9"])
    assert result.exit_code == 2
    assert "v9: heads are v1, v2, v3, gap" in result.output


def test_an_error_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label\na.jpg,weed\n")
    ran = subprocess.run(
        [sys.executable, "-m", "plantood", "train", str(tmp_path / "m.csv"), "--weights", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: Line 2 of")
