from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.cli.check import SAMPLES
from plantood.cli.serve import LONGEST_TMPDIR
from plantood.judging.gate import Gate
from plantood.model.starter import starter_dir
from plantood.model.store import list_gates, save_gate
from plantood.verdict import Verdict
from tests.remembering import remembering
from tests.service.server import environment, free_ports, launch
from tests.service.tiny_gate import build

MAIZE = str(SAMPLES / "maize_leaf.jpg")
BROKEN = str(SAMPLES / "broken_upload.jpg")
SOIL = str(SAMPLES / "bare_soil.jpg")
EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2
EXIT_RETAKE, EXIT_NOT_JUDGED = 1, 2


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)


def lines(result: Result, exit_code: int = EXIT_OK) -> list[dict]:
    assert result.exit_code == exit_code
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


def test_a_standard_input_without_an_end_is_not_waited_for() -> None:
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [sys.executable, "-m", "plantood", "check", "-", "--json"],
            stdin=endless,
            capture_output=True,
            timeout=60,
            check=True,
        )
    assert json.loads(done.stdout)["reasons"][0]["code"] == "too_large"


def test_the_table_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    pdf, empty = tmp_path / "a.pdf", tmp_path / "b.jpg"
    pdf.write_bytes(b"%PDF-1.4 and so on")
    empty.write_bytes(b"")
    table = " ".join(run("check", str(pdf), str(empty), BROKEN).output.split())
    assert "(this is a PDF, not a photo in a supported format" in table
    assert "(the file is empty)" in table
    assert "(the JPEG broke off: its last rows are missing" in table
    assert table.count(str(pdf)) == 1  # beside it


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_tag_stands_in_one_line(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    tag = str(save_gate(starter_dir(), name="plantood-gate-of-a-field-that-is-far-away"))
    assert len(tag) > int(columns)
    assert tag in run("models").output.split()
    assert run("check", BROKEN, "--gate", tag).output.endswith(f"0 of 1 accepted by {tag}\n")


def test_operators_messages(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text('{"en": {"unreadable": "Send it again, please."}}')
    assert "Send it again, please." in run("check", BROKEN, "--messages", str(file)).output


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
    ("setting", "said"),
    [
        ({"PLANTOOD_POLICY": "plants"}, "PLANTOOD_POLICY='plants' cannot be used"),
        ({"PLANTOOD_POLICY": "plants=1"}, "no threshold plants"),
        ({"PLANTOOD_CAPTURE": "/proc/captured"}, "cannot be written to"),
        ({"PLANTOOD_GATE": "nothing:here"}, "no gate model nothing:here"),
        ({"PLANTOOD_GATE": "/models/gate"}, "PLANTOOD_GATE='/models/gate' cannot be used"),
        ({"PLANTOOD_MESSAGES_FILE": "/none"}, "/none cannot be read"),
        ({"PLANTOOD_LANGUAGE": "xx"}, "PLANTOOD_LANGUAGE: there are no messages in 'xx'"),
        ({"TMPDIR": "{long}"}, "61 characters, too many for the sockets"),
        ({"BENTOML_HOME": "/proc/nobody"}, "set BENTOML_HOME to a folder that you may"),
    ],
)
def test_serve_says_that_it_starts_only_if_nothing_is_known_to_stop_it(
    setting: dict[str, str], said: str
) -> None:
    with folder_of_length(LONGEST_TMPDIR + 1) as long:
        variables = {name: value.format(long=long) for name, value in setting.items()}
        address = ("--host", "127.0.0.1", "--port", str(free_ports(1)[0]))
        result = plantood("serve", *address, **variables)
    assert result.returncode == EXIT_ERROR
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


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


def plantood(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process and an environment of its own."""
    return subprocess.run(
        [sys.executable, "-m", "plantood", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def folder_of_length(characters: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short) / "".ljust(characters - len(short) - 1, "x")
        folder.mkdir()
        yield folder


def test_what_is_missing_keeps_nothing_else_from_being_judged(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    result = run("check", "none.jpg", MAIZE, empty, SOIL, "gone/", "--json", "--fail-on-retake")
    answers = lines(result, EXIT_NOT_JUDGED)
    assert [(answer["photo"], answer["verdict"]) for answer in answers] == [
        (MAIZE, "accept"),
        (SOIL, "retake"),
    ]
    assert result.stderr.splitlines() == [
        "Error: none.jpg: no such file or folder",
        f"Error: no photos in {empty}",
        "Error: gone/: no such file or folder",
    ]


def test_a_folder_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    shutil.copy(MAIZE, tmp_path / "a.jpg")
    scandir = os.scandir

    def deny(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    result = run("check", str(tmp_path), "--json")
    assert len(lines(result, EXIT_NOT_JUDGED)) == 1
    assert result.stderr == f"Error: {tmp_path / 'locked'}: Permission denied\n"


@pytest.mark.parametrize(
    ("photos", "status"), [([MAIZE], EXIT_OK), ([MAIZE, SOIL], EXIT_RETAKE), ([], EXIT_RETAKE)]
)
def test_a_script_learns_of_retakes_by_the_exit_status(photos: list[str], status: int) -> None:
    assert run("check", *photos).exit_code == EXIT_OK
    assert run("check", *photos, "--fail-on-retake").exit_code == status
    assert run("check", *photos, "--json", "--fail-on-retake").exit_code == status


def test_thresholds_as_the_service_takes_them() -> None:
    lenient = ["--policy", "plant_threshold=0, min_sharpness=0", "--policy", "min_brightness=0"]
    answers = lines(run("check", SOIL, MAIZE, "--json", *lenient))
    assert [answer["verdict"] for answer in answers] == ["accept", "accept"]
    assert [answer["threshold"] for answer in answers] == [0, 0]
    (strict,) = lines(run("check", MAIZE, "--json", "--policy", "min_shorter_side=9999"))
    assert strict["reasons"][0]["code"] == "too_small"


@pytest.fixture(scope="module")
def mindful(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tag of a gate in the store that remembers two pictures."""
    folder = tmp_path_factory.mktemp("mindful") / "gate"
    remembering(folder, [(MAIZE, True, "maize field"), (SOIL, False, "soil")])
    return str(save_gate(folder, name="mindful"))


def test_why_a_gate_says_so(mindful: str) -> None:
    table = run("check", SOIL, BROKEN, MAIZE, "--gate", mindful, "--explain").output
    likenesses = re.findall(r"like (plant maize field|other soil) ([\d.]+)", table)
    assert [what for what, _ in likenesses] == [
        "other soil",
        "plant maize field",
        "plant maize field",
        "other soil",
    ]
    assert [float(distance) < 0.1 for _, distance in likenesses] == [True, False, True, False]
    assert table.count("refused before the network, so compared with nothing") == 1
    assert table.index("not_a_plant") < table.index("like other soil")
    assert "like" not in run("check", SOIL, "--gate", mindful).output


def test_why_a_gate_says_so_as_json(mindful: str) -> None:
    photo = Path(SOIL).read_bytes()
    result = run("check", "-", BROKEN, "--gate", mindful, "--explain", "--json", stdin=photo)
    soil, broken = lines(result)
    assert [(one["label"], one["source"]) for one in soil["nearest"]] == [
        ("other", "soil"),
        ("plant", "maize field"),
    ]
    assert 0 <= soil["nearest"][0]["distance"] < 0.1 < soil["nearest"][1]["distance"] < 2
    assert broken["nearest"] is None
    (plain,) = lines(run("check", SOIL, "--gate", mindful, "--json"))
    assert "nearest" not in plain


def test_a_gate_without_a_memory_does_not_say_why(tmp_path: Path) -> None:
    build(tmp_path)
    tag = str(save_gate(tmp_path, name="forgetful"))
    result = run("check", SOIL, "--gate", tag, "--explain")
    assert result.exit_code == EXIT_NOT_JUDGED
    (sentence,) = result.output.splitlines()
    assert sentence.startswith(f"Error: {tag} was stored without a memory")


def test_numbers_are_rounded_but_never_to_another_verdict() -> None:
    (answer,) = lines(run("check", SOIL, "--json"))
    numbers = [answer["plant_probability"], *answer["quality"].values()]
    assert all(number == round(number, 4) for number in numbers)
    exact = Gate.load().check(SOIL).plant_probability
    for beyond in (1e-6, -1e-6):  # refused, accepted
        threshold = exact + beyond
        strict = run("check", SOIL, "--json", "--policy", f"plant_threshold={threshold!r}")
        (answer,) = lines(strict)
        assert (answer["plant_probability"] >= answer["threshold"]) == (beyond < 0)
        assert answer["verdict"] == ("accept" if beyond < 0 else "retake")
        table = run("check", SOIL, "--policy", f"plant_threshold={threshold!r}").output
        (shown,) = re.findall(r"(?:accept|retake) +(0\.\d+)", table)
        assert (float(shown) >= threshold) == (beyond < 0)


def test_metrics_of_the_models_are_rounded() -> None:
    run("check", MAIZE)
    for gate in json.loads(run("models", "--json").stdout):
        assert all(value == round(value, 4) for value in gate["metrics"].values())


@pytest.mark.parametrize("gate", [[], ["--gate", "plantood-gate:starter"]])
def test_serve_finds_nothing_wrong_on_a_fresh_machine(gate: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # all else was looked at before
        port = taken.getsockname()[1]
        arguments = ["--host", "127.0.0.1", "--port", str(port), *gate]
        result = plantood("serve", *arguments, BENTOML_HOME=str(tmp_path))
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


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


def test_models_lists_what_the_store_holds() -> None:
    run("check", MAIZE)
    listed = json.loads(run("models", "--json").stdout)
    gate = next(gate for gate in listed if gate["tag"].startswith("plantood-gate:"))
    assert gate["metrics"]["accuracy"] > 0.5
    table = run("models").output
    assert gate["tag"] in table
    (stored,) = (one for one in list_gates() if one.tag == gate["tag"])
    assert f"{stored.metrics['f1']:.3f}" in table


def test_models_of_an_empty_store(tmp_path: Path) -> None:
    assert "no gate" in plantood("models", BENTOML_HOME=str(tmp_path)).stdout


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


@pytest.mark.parametrize(
    ("host", "family", "shown"),
    [("127.0.0.1", socket.AF_INET, "127.0.0.1"), ("::1", socket.AF_INET6, "[::1]")],
)
def test_serve_says_that_the_port_is_taken(
    host: str, family: socket.AddressFamily, shown: str
) -> None:
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--host", host, "--port", str(port))
    assert result.exit_code == EXIT_ERROR
    assert f"cannot listen on {shown}:{port} (Address already in use)" in result.stderr
    assert "--port" in result.stderr


def test_serve_wants_another_port_for_metrics() -> None:
    port = str(free_ports(1)[0])
    result = plantood("serve", "--port", port, PLANTOOD_METRICS_PORT=port)
    assert result.returncode == EXIT_ERROR
    assert result.stderr.startswith(f"Error: PLANTOOD_METRICS_PORT={port} is the port on which")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "localhost")]
)
def test_serve_serves_from_any_directory(host: str, shown: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "plantood", "serve"]
    with folder_of_length(LONGEST_TMPDIR) as longest:
        variables = environment(tmp_path, TMPDIR=str(longest))
        log = tmp_path / "log"
        with launch(command, folder=tmp_path, environment=variables, log=log, host=host) as server:
            server.wait_until_ready()
            url = f"http://{shown}:{server.address[1]}"
            assert f"Starting the gate at {url};" in server.output
            answer = httpx.post(
                f"{url}/check",
                content=Path(MAIZE).read_bytes(),
                headers={"Content-Type": "image/jpeg"},
                timeout=60,
            )
    assert Verdict.model_validate(answer.json()).accepted
    assert (tmp_path / "models" / "plantood-gate" / "starter" / "gate.json").is_file()


def test_models_says_which_gate_is_damaged(tmp_path: Path) -> None:
    home = {"BENTOML_HOME": str(tmp_path)}
    plantood("check", MAIZE, **home)
    listed = json.loads(plantood("models", "--json", **home).stdout)
    assert [(gate["tag"], gate["damage"]) for gate in listed] == [("plantood-gate:starter", None)]
    head = tmp_path / "models" / "plantood-gate" / "starter" / "head.onnx"
    head.write_bytes(head.read_bytes()[:-1] + b"x")
    told = plantood("models", **home)
    assert told.returncode == 0
    assert "plantood-gate:starter cannot be used:" in told.stderr
    assert "head.onnx differs from the digest" in " ".join(told.stderr.split())
