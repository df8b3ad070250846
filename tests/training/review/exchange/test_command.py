from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.training.review.log import DecisionLog
from tests.training.review.rounds import numbered_log, say
from tests.training.rounds.disk import fill, small_disk


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    log = numbered_log(tmp_path / "round-1", [0.1, 0.2])
    say(log, 0, "anna", "plant")
    return log


def labels(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["labels", *map(str, arguments)])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("l.csv", []),
        ("l.json", []),
        ("l.txt", ["--format", "csv"]),
        ("l", ["--format", "label-studio"]),
    ],
)
def test_out_and_in_again(log: DecisionLog, tmp_path: Path, name: str, options: list[str]) -> None:
    file = tmp_path / name
    out = labels("export", log.round.path, file, *options)
    assert (out.exit_code, "2 photos, 1 labels" in out.output) == (0, True), out.output
    back = labels("import", log.round.path, file, *options)
    assert back.output == "0 labels added, 1 stood already.\n"
    under_another_name = labels("import", log.round.path, file, *options, "--reviewer", "ben")
    assert under_another_name.output == "1 labels added by ben, 0 stood already.\n"


def test_what_differs_is_said(log: DecisionLog, tmp_path: Path) -> None:
    file = tmp_path / "l.csv"
    file.write_text("id,label,reviewer\n" + "0" * 64 + ",leg,anna\n")
    arguments = ["import", log.round.path, file, "--choice", "leg=other: no plant"]
    assert "1 differ from what the same reviewer said here: left" in labels(*arguments).output
    assert "1 differ" in labels(*arguments, "--replace").output
    log.refresh()
    assert log.standing("0" * 64, "anna").decision.kind == "no_plant"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("l.txt", [], "give --format label-studio|csv"),
        ("l.csv", ["--choice", "leg"], "'leg' is not THEIRS=OURS"),
        ("l.csv", ["--choice", "leg=arm"], "'arm' is none of plant"),
        ("missing.csv", [], "cannot be read"),
        ("folder.json", [], "is a directory"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    log: DecisionLog, tmp_path: Path, name: str, options: list[str], message: str
) -> None:
    (tmp_path / "l.csv").write_text("id,label\n")
    (tmp_path / "folder.json").mkdir()
    result = labels("import", log.round.path, tmp_path / name, *options)
    assert result.exit_code in (1, 2)
    assert message in result.output


def test_a_folder_that_is_no_round(tmp_path: Path) -> None:
    result = labels("export", tmp_path, tmp_path / "l.csv")
    assert (result.exit_code, "is no round" in result.output) == (1, True)


def told_in_one_sentence(result: Result, message: str) -> None:
    assert isinstance(result.exception, SystemExit)
    assert (result.exit_code, message in result.output) == (1, True), result.output
    assert result.output.count("\n") == 1


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        log = numbered_log(disk / "round", [0.1, 0.2])
        rows = "".join(f"{'01'[n % 2] * 64},plant,reviewer {n}\n" for n in range(100))
        (disk / "l.csv").write_text(f"id,label,reviewer\n{rows}")
        fill(disk)
        result = labels("import", log.round.path, disk / "l.csv")
        told_in_one_sentence(result, "cannot be written (No space left on device)")
        assert log.refresh() == 0
        elsewhere = numbered_log(tmp_path / "round", [0.1])
        for name in ("x.csv", "x.json"):
            result = labels("export", elsewhere.round.path, disk / name)
            told_in_one_sentence(result, f"{name} cannot be written (No space left on device)")


def test_a_folder_that_is_not_there(log: DecisionLog, tmp_path: Path) -> None:
    result = labels("export", log.round.path, tmp_path / "missing" / "x.csv")
    told_in_one_sentence(result, "x.csv cannot be written (No such file or directory)")
