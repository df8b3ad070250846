from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bentoml
import httpx
import pytest
from click.testing import CliRunner, Result

from plantood.cli import SAMPLES, main
from plantood.verdict import Verdict

MAIZE = str(SAMPLES / "maize_leaf.jpg")
BROKEN = str(SAMPLES / "broken_upload.jpg")
EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)


def lines(result: Result) -> list[dict]:
    assert result.exit_code == EXIT_OK
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_without_photos_the_samples_are_judged_by_the_starter() -> None:
    result = run("check")
    assert result.exit_code == EXIT_OK
    for photo in SAMPLES.glob("*.jpg"):
        assert photo.name in result.output
    assert "accept" in result.output
    assert "unreadable: This photo could not be opened." in result.output
    assert "accepted by plantood-gate:" in result.output


def test_json_lines_are_verdicts_in_order() -> None:
    answers = lines(run("check", MAIZE, BROKEN, MAIZE, "--json", "--language", "fr"))
    assert [answer.pop("photo") for answer in answers] == [MAIZE, BROKEN, MAIZE]
    verdicts = [Verdict.model_validate(answer) for answer in answers]
    assert [verdict.verdict for verdict in verdicts] == ["accept", "retake", "accept"]
    assert verdicts[1].reasons[0].message.startswith("Cette photo")


def test_folders_are_searched_and_other_files_left_out(tmp_path: Path) -> None:
    (tmp_path / "field" / "a").mkdir(parents=True)
    for name in ("field/b.JPG", "field/a/c.jpeg", "a.jpg"):
        shutil.copy(MAIZE, tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    answers = lines(run("check", str(tmp_path), "--json"))
    found = [os.path.relpath(answer["photo"], tmp_path) for answer in answers]
    assert found == ["a.jpg", "field/a/c.jpeg", "field/b.JPG"]
    (named,) = lines(run("check", str(tmp_path / "notes.txt"), "--json"))
    assert named["reasons"][0]["code"] == "unreadable"


def test_standard_input() -> None:
    (answer,) = lines(run("check", "-", "--json", stdin=Path(MAIZE).read_bytes()))
    assert answer["photo"] == "-"
    assert answer["verdict"] == "accept"


def test_operators_messages(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text('{"en": {"unreadable": "Send it again, please."}}')
    assert "Send it again, please." in run("check", BROKEN, "--messages", str(file)).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "none.jpg"], "none.jpg: no such file or folder"),
        (["check", MAIZE, "--gate", "nothing:here"], "no gate model nothing:here"),
        (["check", MAIZE, "--messages", "none.json"], "none.json cannot be read"),
        (["serve", "--gate", "nothing:here"], "no gate model nothing:here"),
    ],
)
def test_errors_are_one_line(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == EXIT_ERROR
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_empty_folder(tmp_path: Path) -> None:
    result = run("check", str(tmp_path))
    assert result.exit_code == EXIT_ERROR
    assert f"no photos in {tmp_path}" in result.stderr


def test_models_lists_what_the_store_holds() -> None:
    run("check", MAIZE)
    listed = json.loads(run("models", "--json").stdout)
    gate = next(gate for gate in listed if gate["tag"].startswith("plantood-gate:"))
    assert gate["metrics"]["accuracy"] > 0.5
    table = run("models").output
    assert gate["tag"] in table
    assert f"{gate['metrics']['f1']:.3f}" in table


def test_models_of_an_empty_store(tmp_path: Path) -> None:
    environment = os.environ | {"BENTOML_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "plantood.cli", "models"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "no gate" in shown.stdout


def test_help_is_instant_and_names_every_command() -> None:
    started = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, "-m", "plantood.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < 2
    for name, command in main.commands.items():
        assert name in shown.stdout
        assert command.get_short_help_str()[:20] in shown.stdout


def test_unknown_options_are_a_usage_error() -> None:
    assert run("check", "--nonsense").exit_code == EXIT_USAGE


def test_serve_says_that_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--host", "127.0.0.1", "--port", str(port))
    assert result.exit_code == EXIT_ERROR
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "plantood.cli", "serve", "--host", "127.0.0.1"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], cwd=tmp_path, stdout=log, stderr=log
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, server, tmp_path / "log")
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait_until_ready(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the service did not start:\n{log.read_text()[-3000:]}")


def test_serve_serves_from_any_directory(served: str) -> None:
    answer = httpx.post(
        f"{served}/check",
        content=Path(MAIZE).read_bytes(),
        headers={"Content-Type": "image/jpeg"},
        timeout=60,
    )
    verdict = Verdict.model_validate(answer.json())
    assert verdict.accepted
    assert bentoml.models.get(verdict.model).info.labels["kind"] == "plantood-gate"
