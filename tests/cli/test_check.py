from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plantood.cli.check import SAMPLES
from plantood.judging.gate import Gate
from plantood.model.saving import save_gate
from plantood.verdict import Verdict
from tests.cli.commands import (
    BROKEN,
    EXIT_NOT_JUDGED,
    EXIT_OK,
    EXIT_RETAKE,
    MAIZE,
    SOIL,
    lines,
    run,
)
from tests.remembering import remembering
from tests.service.tiny_gate import build


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


def test_operators_messages(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text('{"en": {"unreadable": "Send it again, please."}}')
    assert "Send it again, please." in run("check", BROKEN, "--messages", str(file)).output


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
