from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from plantood.cli import main
from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir
from tests.cli.commands import (
    BROKEN,
    EXIT_ERROR,
    EXIT_NOT_JUDGED,
    EXIT_OK,
    EXIT_USAGE,
    MAIZE,
    plantood,
    run,
)
from tests.service.server import start


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["check", "none.jpg"], "none.jpg: no such file or folder", EXIT_NOT_JUDGED),
        (["check", "x" * 300], "x: File name too long", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--gate", "nothing:here"], "no gate model nothing:", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--gate", "./my.bentomodel"], "'./my.bentomodel' is no", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--gate", ""], "'' is no tag", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--language", "xx"], "--language: there are no", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--language", ""], "--language: there are no", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--messages", "none.json"], "none.json cannot be", EXIT_NOT_JUDGED),
        (["check", MAIZE, "--policy", "plants=1"], "no threshold plants", EXIT_NOT_JUDGED),
        (
            ["check", MAIZE, "--policy", "plant_threshold"],
            "--policy: 'plant_threshold' is not of the form name=number",
            EXIT_NOT_JUDGED,
        ),
        (["serve", "--gate", "nothing:here"], "no gate model nothing:here", EXIT_ERROR),
        (["serve", "--gate", "plantood-gate:"], "'plantood-gate:' is no tag", EXIT_ERROR),
        (["serve", "--gate", ""], "'' is no tag", EXIT_ERROR),
        (["serve", "--host", "localhost"], "--host takes an IP address", EXIT_ERROR),
    ],
)
def test_errors_are_one_line(arguments: list[str], said: str, status: int) -> None:
    result = run(*arguments)
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["check", MAIZE], ["models"], ["serve", "--host", "127.0.0.1"]]
)
def test_a_store_that_cannot_be_used_is_one_sentence(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "models").mkdir(parents=True)
    (tmp_path / "models" / "plantood-gate").write_text("in the way")  # as root may write anywhere
    nowhere = plantood(*arguments, BENTOML_HOME="/proc/nobody")
    assert nowhere.returncode != EXIT_OK
    assert nowhere.stderr.startswith("Error: The Bento model store cannot be used (/proc/nobody")
    assert nowhere.stderr.count("\n") == 1
    file = tmp_path / "m.json"
    file.write_text("{}")
    no_folder = plantood(*arguments, BENTOML_HOME=str(file))
    assert no_folder.stderr == (
        f"Error: The Bento model store cannot be used ({file} is not a directory); set "
        "BENTOML_HOME to a folder that you may read and write.\n"
    )
    if arguments != ["models"]:
        full = plantood(*arguments, BENTOML_HOME=str(tmp_path))
        assert full.returncode != EXIT_OK
        assert full.stderr.startswith("Error: ")
        assert "Traceback" not in full.stderr
        assert full.stderr.count("\n") == 1


IN_PYTHON = {
    "Gate.load": "from plantood import Gate; Gate.load()",
    "gate_runner": "from plantood.compose import gate_runner; gate_runner()",
    "gate_model": "from plantood.compose import gate_model; gate_model().resolve()",
    "find_gate": "from plantood.training.common.gates import find_gate; find_gate('a:b')",
    "list_gates": "from plantood.model.store import list_gates; list_gates()",
}


@pytest.mark.parametrize("way", IN_PYTHON)
def test_a_store_that_cannot_be_used_is_an_error_of_ours(way: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code = (
        f"import plantood\ntry:\n    {IN_PYTHON[way]}\n"
        "except plantood.PlantoodError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"BENTOML_HOME": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == (
        f"The Bento model store cannot be used ({file} is not a directory); set BENTOML_HOME to a "
        "folder that you may read and write.\n"
    ), done.stderr


def test_a_store_that_cannot_be_used_ends_bentoml_s_serve_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "plantood-gate").write_text("in the way")
    with start(tmp_path) as server:
        assert server.supervisor.wait(60) == 1
    assert "The Bento model store cannot be used" in server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize("named", [["--gate", "plantood-gate"], []], ids=["option", "variable"])
def test_a_name_alone_is_the_latest_which_a_fresh_machine_has(
    named: list[str], tmp_path: Path
) -> None:
    variables = {"BENTOML_HOME": str(tmp_path)} | (
        {} if named else {"PLANTOOD_GATE": "plantood-gate"}
    )
    done = plantood("check", MAIZE, *named, **variables)
    assert done.returncode == EXIT_OK, done.stderr
    assert "1 of 1 accepted by plantood-gate:starter" in done.stdout


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_tag_stands_in_one_line(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    tag = str(save_gate(starter_dir(), name="plantood-gate-of-a-field-that-is-far-away"))
    assert len(tag) > int(columns)
    assert tag in run("models").output.split()
    assert run("check", BROKEN, "--gate", tag).output.endswith(f"0 of 1 accepted by {tag}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_complete_commands_options_and_files(shell: str) -> None:
    source = f"_PLANTOOD_COMPLETE={shell}_source"
    assert source in run("--help").output
    command = [sys.executable, "-c", "from plantood.cli import main; main(prog_name='plantood')"]
    script = subprocess.run(
        command,
        env=os.environ | {"_PLANTOOD_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_PLANTOOD_COMPLETE" in script.stdout
    asked = {"COMP_WORDS": "plantood check pho", "COMP_CWORD": "2"}
    completed = subprocess.run(
        command,
        env=os.environ | asked | {"_PLANTOOD_COMPLETE": f"{shell}_complete"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "file" in completed.stdout  # the shell completes the photos


def test_help_is_instant_and_names_every_command() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run(
        [sys.executable, "-m", "plantood", "--help"], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    for name, command in main.commands.items():
        assert name in shown.stdout
        assert command.get_short_help_str()[:20] in shown.stdout


def test_unknown_options_are_a_usage_error() -> None:
    assert run("check", "--nonsense").exit_code == EXIT_USAGE
