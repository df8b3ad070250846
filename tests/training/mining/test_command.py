from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import RoundError, SourceError
from plantood.training.mining.command import funnel
from plantood.training.mining.mine import mine_photos
from plantood.training.rounds.layout import Round

Make = Callable[..., Any]


def test_the_command(production: Make, gate: str, tmp_path: Path) -> None:
    source, out = production(40), tmp_path / "round"
    command = ["mine", str(source), "--gate", gate, "--sample", "30", "--out", str(out)]
    result = CliRunner().invoke(main, [*command, "--margin", "4"])
    assert result.exit_code == 0, result.output
    round_ = Round.open(out)
    for step, count in funnel(round_):
        assert step in result.output
        assert count in result.output
    counts = round_.info.counts
    said = f"{counts['scored']} sampled and scored by {gate}, {counts['at_most']} with P(plant)"
    assert said in result.output
    assert f"plantood review {out}" in result.output


def test_a_failure_of_the_command_is_one_line(tmp_path: Path, gate: str) -> None:
    command = ["mine", str(tmp_path / "nowhere"), "--gate", gate, "--out", str(tmp_path / "round")]
    ran = subprocess.run(
        [sys.executable, "-m", "plantood", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "Error: There is no folder or list of photos at" in ran.stderr


def test_a_sample_is_a_number_or_all(tmp_path: Path) -> None:
    for given in ("x", "0"):
        ran = CliRunner().invoke(main, ["mine", "photos", "--out", "round", "--sample", given])
        assert ran.exit_code == 2
        assert f"'{given}' is neither a number of photos, from 1, nor all" in ran.output


def test_a_round_is_not_put_among_the_photos_of_somebody(
    production: Make, options: Make, tmp_path: Path
) -> None:
    source = production(4)
    for place in (source, source.parent):
        before = sorted(place.iterdir())
        with pytest.raises(RoundError, match=rf"{place} is not empty and no round: it has .*--out"):
            mine_photos(options(source, str(place)))
        assert sorted(place.iterdir()) == before
    (tmp_path / "round").mkdir()
    (tmp_path / "round" / ".lock").touch()  # of an attempt that was killed
    assert mine_photos(options(source)).is_mined


def test_what_the_source_holds_is_told_before_it_is_scored(
    production: Make, options: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    source = production(4)
    (source / "self.jpg").symlink_to("self.jpg")
    (source / "raw.dng").touch()
    (source / "IMG_0001").touch()
    (source / ".Trash-1000").mkdir()
    (source / "phone").symlink_to(source / "day-0")
    os.mkfifo(source / "day-2" / "pipe.jpg")
    mined = mine_photos(options(source))
    told = " ".join(capsys.readouterr().err.split())
    assert mined.info.counts["listed"] == 6
    assert f"{source}: 12 found, 6 used, 6 left out" in told
    for reason in (
        f"a link that leads nowhere; for example {source}/self.jpg",
        f"it ends in .dng, as no photo here does; for example {source}/raw.dng",
        f"its name has no ending; for example {source}/IMG_0001",
        f"a hidden folder; for example {source}/.Trash-1000",
        f"a link to a folder, which is not followed here; for example {source}/phone",
        f"a pipe, socket or device; for example {source}/day-2/pipe.jpg",
    ):
        assert f"1 left out: {reason}" in told


def test_the_account_names_sources_and_the_labelled(
    production: Make, options: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = production(6)
    rows = [f"day-{i % 3}/{i:03}.jpg,camera {i % 2}" for i in range(6)]
    (source / "list.csv").write_text("\n".join(["path,source", *rows]))
    (tmp_path / "done.csv").write_text(f"path,label\n{source}/day-0/000.jpg,plant\n")
    mine_photos(options(source / "list.csv", labelled=(str(tmp_path / "done.csv"),)))
    told = " ".join(capsys.readouterr().err.split())
    assert "6 found, 5 used, 1 left out" in told
    assert "camera 1 3 3 0" in told
    assert "camera 0 2 2 0" in told
    assert f"1 left out: labelled already; for example {source}/day-0/000.jpg" in told


def test_a_source_without_photos_says_what_is_there(options: Make, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "1.dng").touch()
    with pytest.raises(SourceError, match=r"no photo in .*/raw \(1 left out: .*1\.dng\)"):
        mine_photos(options(tmp_path / "raw"))


def test_why_photos_could_not_be_read_is_told(production: Make, gate: str, tmp_path: Path) -> None:
    source = production(3)
    (source / "list.csv").write_text("path\nday-0\\000.jpg\nday-0/gone.jpg\nday-1/text.JPG\n")
    command = ["mine", str(source / "list.csv"), "--gate", gate, "--out", str(tmp_path / "r")]
    ran = CliRunner().invoke(main, command)
    assert ran.exit_code == 0, ran.output
    assert "1 sampled and scored" in ran.output  # the one with a backslash
    gone = f"No such file or directory; for example {source}/day-0/gone.jpg"
    assert f"1 left out: the file cannot be read: {gone}" in ran.output
    assert f"for example {source}/day-1/text.JPG" in ran.output


def test_a_source_that_is_gone_names_a_photo(production: Make, options: Make) -> None:
    source = production(2)
    rows = [f"{number}.jpg" for number in range(60)]
    (source / "list.csv").write_text("\n".join(["path", *rows]))
    with pytest.raises(SourceError, match=r"50 photos in a row .*; for example .*/\d+\.jpg\)"):
        mine_photos(options(source / "list.csv"))
