from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import GateModelError, RoundError, SettingsError, SourceError
from plantood.judging.gate import Gate
from plantood.model.store import save_gate
from plantood.training.files.run import hold
from plantood.training.mining import draw, local, sources
from plantood.training.mining.command import funnel
from plantood.training.mining.mine import mine
from plantood.training.rounds import journal
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round
from tests.service.tiny_gate import build
from tests.training.conftest import csv_rows, write_photo
from tests.training.killed import killed_at

Make = Callable[..., Any]
RESULTS = ("round.json", "scores.jsonl", "skipped.jsonl", "unreadable.csv", "mined.csv")


def results(folder: Path) -> dict[str, bytes]:
    """All that a round consists of, by file; the photos among them."""
    files = [folder / name for name in RESULTS] + sorted(folder.glob("photos/*/*"))
    return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.exists()}


def test_a_round(production: Make, options: Make, gate: str) -> None:
    source = production(40)
    round_ = mine(options(source, at_most=0.3, unlike=5, margin=3))
    assert round_.info.counts == {
        "listed": 42,
        "already_labelled": 0,
        "copies": 0,
        "sampled": 42,
        "unreadable": 2,
        "scored": 40,
        "at_most": round_.info.counts["at_most"],
        "unlike": 5,
        "margin": 3,
        "mined": len(round_.mined()),
        "refused": 0,
    }

    judge = Gate.load(gate)
    scores = {line["id"]: line for line in round_.scores()}
    assert len(scores) == 40
    for line in scores.values():
        verdict = judge.check(line["path"])
        assert line["plant_probability"] == pytest.approx(verdict.plant_probability, abs=1e-5)
        assert line["unfamiliarity"] == pytest.approx(verdict.unfamiliarity, abs=1e-4)
        assert line["verdict"] == verdict.verdict
        assert line["reasons"] == [reason.code.value for reason in verdict.reasons]
        assert line["quality"] == verdict.quality.model_dump()
        assert line["id"] == hashlib.sha256(Path(line["path"]).read_bytes()).hexdigest()

    low = [s for s in scores.values() if s["plant_probability"] <= 0.3]
    others = [s for s in scores.values() if s["plant_probability"] > 0.3]
    unlike = sorted(others, key=lambda s: (-s["unfamiliarity"], s["id"]))[:5]
    nearest = sorted(others, key=lambda s: (abs(s["plant_probability"] - 0.5), s["id"]))[:3]
    chosen = {"at_most": low, "unlike": unlike, "margin": nearest}
    expected = {reason: {s["id"] for s in photos} for reason, photos in chosen.items()}
    mined = round_.mined()
    assert 0 < len(expected["at_most"]) < 40
    for reason, ids in expected.items():
        assert {photo.id for photo in mined if reason in photo.selected_by} == ids
    assert [p.plant_probability for p in mined] == sorted(p.plant_probability for p in mined)
    for photo in mined:
        copy = round_.path / photo.file
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == photo.id
        assert copy == round_.photo_path(photo.id)

    rows = csv_rows(round_.path / "unreadable.csv")
    unreadable = {Path(row["path"]).name: row["reason"] for row in rows}
    assert set(unreadable) == {"cut.jpg", "text.JPG"}
    assert "broke off" in unreadable["cut.jpg"]
    assert "not a photo" in unreadable["text.JPG"]


def test_the_sample_is_seeded_and_nested(production: Make, options: Make) -> None:
    source = production(40)

    def drawn(out: str, **values: int) -> set[str]:
        round_ = mine(options(source, out, **values))
        assert round_.info.counts["sampled"] == values["sample"]
        return {line["path"] for line in round_.scores()} | {
            line["path"] for line in draw.skipped(round_, "unreadable")
        }

    ten = drawn("a", sample=10)
    assert drawn("b", sample=10) == ten
    assert drawn("c", sample=20) > ten
    assert drawn("d", sample=10, seed=1) != ten


def test_labelled_photos_are_left_out_by_path_and_by_bytes(
    production: Make, options: Make, tmp_path: Path
) -> None:
    source = production(30)
    elsewhere = tmp_path / "elsewhere" / "copy.jpg"
    elsewhere.parent.mkdir()
    shutil.copy(source / "day-1" / "004.jpg", elsewhere)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        f"path,label\n{source}/day-0/003.jpg,plant\nelsewhere/copy.jpg,other\n"
        f"{source}/day-2/005.jpg,\n"
    )
    round_ = mine(options(source, sample=None, labelled=(str(labels),)))
    names = {Path(line["path"]).name for line in round_.scores()}
    assert len(names) == 28
    assert not names & {"003.jpg", "004.jpg"}
    assert "005.jpg" in names
    assert round_.info.counts["already_labelled"] == 2
    assert round_.info.counts["listed"] == 32


def test_copies_are_scored_once_and_replaced(production: Make, options: Make) -> None:
    source = production(20)
    for i in range(15):
        shutil.copy(source / "day-0" / "003.jpg", source / f"copy-{i}.jpg")
    round_ = mine(options(source, sample=20))
    ids = [line["id"] for line in round_.scores()]
    assert len(ids) == len(set(ids))
    assert round_.info.counts["sampled"] == 20  # of the 22 different files
    assert round_.info.counts["copies"] > 0


def test_photos_that_quality_refuses_are_scored_all_the_same(
    production: Make, options: Make
) -> None:
    source = production(12)
    write_photo(source / "tiny.jpg", 1, 7)
    from PIL import Image

    with Image.open(source / "tiny.jpg") as image:
        image.resize((24, 24)).save(source / "tiny.jpg")
    round_ = mine(options(source, at_most=1.0))
    (line,) = (line for line in round_.scores() if line["path"].endswith("tiny.jpg"))
    assert line["reasons"] == ["too_small"]
    assert line["verdict"] == "retake"
    assert line["plant_probability"] > 0.5
    assert round_.info.counts["refused"] == 1
    assert len(round_.mined()) == 13

    again = mine(replace(options(source, at_most=1.0), skip_refused=True))
    assert len(again.mined()) == 12
    assert again.info.counts["refused"] == 0


def test_another_selection_scores_nothing_again(
    production: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = production(30)
    first = mine(options(source, at_most=1.0))
    scores = (first.path / "scores.jsonl").read_bytes()
    (first.path / "work.sqlite").unlink()
    monkeypatch.setattr(local, "Judge", None)  # nothing can be scored any more
    second = mine(options(source, at_most=0.2, margin=2))
    assert (first.path / "scores.jsonl").read_bytes() == scores
    assert 0 < second.info.counts["at_most"] < first.info.counts["at_most"]
    kept = {p.file for p in second.mined()}
    assert {str(f.relative_to(first.path)) for f in first.path.glob("photos/*/*")} == kept

    second.append_decisions([Decision(reviewer="ann", id="a" * 64, label="plant")])
    assert mine(options(source, at_most=0.2, margin=2)).info == second.info
    with pytest.raises(RoundError, match=r"reviewed already.*at_most was 0.2, is 0.3"):
        mine(options(source, at_most=0.3, margin=2))


def test_another_round_in_the_same_folder_is_refused(production: Make, options: Make) -> None:
    source = production(4)
    mine(options(source))
    with pytest.raises(RoundError, match=r"seed was 0, is 1.*another --out"):
        mine(options(source, seed=1))


def test_a_first_attempt_that_failed_is_not_in_the_way(
    production: Make, options: Make, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="no folder or list of photos at"):
        mine(options("file:///no/where/photos.csv"))
    round_ = mine(options(production(4), seed=3))
    assert round_.info.counts["scored"] == 4


def test_a_round_goes_on_with_the_gate_that_was_the_latest(
    production: Make, options: Make, tmp_path: Path
) -> None:
    (tmp_path / "gate").mkdir()
    build(tmp_path / "gate")
    first = str(save_gate(tmp_path / "gate", name="moving", version="1"))
    chosen = replace(options(production(4)), gate="moving:latest")
    assert mine(chosen).info.gate == first
    save_gate(tmp_path / "gate", name="moving", version="2")
    assert mine(replace(chosen, at_most=0.1)).info.gate == first
    assert mine(replace(chosen, out=tmp_path / "next")).info.gate == "moving:2"


def test_two_processes_do_not_mine_into_one_folder(production: Make, options: Make) -> None:
    chosen = options(production(4))
    with hold(chosen.out), pytest.raises(SettingsError, match="Another process"):
        mine(chosen)


def test_a_gate_without_reference_knows_nothing_unlike(
    production: Make, options: Make, tmp_path: Path
) -> None:
    (tmp_path / "plain").mkdir()
    build(tmp_path / "plain")
    tag = str(save_gate(tmp_path / "plain", name="plain"))
    plain = replace(options(production(4)), gate=tag)
    with pytest.raises(GateModelError, match="without reference statistics"):
        mine(replace(plain, unlike=3))
    assert [line["unfamiliarity"] for line in mine(plain).scores()] == [None] * 4


def test_an_empty_source(tmp_path: Path, options: Make) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="There is no photo in"):
        mine(options(tmp_path / "empty"))
    write_photo(tmp_path / "empty" / "1.jpg", 1, 1)  # it is filled, and mined again
    assert mine(options(tmp_path / "empty")).info.counts["scored"] == 1


def test_photos_that_are_gone_are_listed(production: Make, options: Make, tmp_path: Path) -> None:
    source = production(6)
    names = sorted(str(p) for p in source.rglob("*.jpg"))
    (tmp_path / "list.txt").write_text("\n".join([*names, "gone.jpg"]))
    round_ = mine(options(tmp_path / "list.txt"))
    gone = [
        line for line in draw.skipped(round_, "unreadable") if line["path"].endswith("gone.jpg")
    ]
    assert gone[0]["reason"] == "the file cannot be read: No such file or directory"


def test_a_source_that_goes_away_stops_the_work_and_is_taken_up_again(
    production: Make, options: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "FAILURES_IN_A_ROW", 10)
    source = production(40)
    whole = mine(options(source, "whole", sample=None))
    calls = 0

    def failing(path: str) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise sources.FetchError("the network is down")
        return Path(path).read_bytes()

    with monkeypatch.context() as broken:
        broken.setattr("plantood.training.mining.scoring.read", failing)
        with pytest.raises(SourceError, match=r"in a row .*network is down.*goes on"):
            mine(options(source, sample=None, readers=1))
    round_ = Round.open(tmp_path / "round")
    assert 10 < len(list(round_.scores())) <= 20
    assert "network" not in str(list(draw.skipped(round_, "unreadable")))
    mine(options(source, sample=None))
    same = results(tmp_path / "round")
    assert same == results(whole.path)


def test_a_photo_that_changed_since_it_was_scored_is_not_mined(
    production: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = production(10)
    round_ = mine(options(source, at_most=0.0))
    victim = next(line["path"] for line in round_.scores())
    with Path(victim).open("ab") as file:
        file.write(b"more")
    again = mine(options(source, at_most=1.0))
    assert victim not in {photo.path for photo in again.mined()}
    assert len(again.mined()) == 9
    assert f'{victim},"scored, but changed since"' in (again.path / "unreadable.csv").read_text()


def test_killed_in_any_write_it_goes_on_to_the_same_result(
    production: Make, options: Make, tmp_path: Path
) -> None:
    source = production(24)
    shutil.copy(source / "day-0" / "003.jpg", source / "copy.jpg")
    chosen = options(source, sample=24, at_most=0.02, unlike=2)
    mine(replace(chosen, out=tmp_path / "whole"))
    whole = results(tmp_path / "whole")

    write = 0
    while killed_at(write, chosen.out, mine, chosen):
        before = _scores(chosen.out)
        mine(chosen)
        assert _scores(chosen.out)[: len(before)] == before  # nothing is lost, or scored again
        assert results(chosen.out) == whole, f"killed in write {write}"
        assert not list(chosen.out.rglob("*.tmp"))
        shutil.rmtree(chosen.out)
        write += 1
    assert write > 10
    assert results(chosen.out) == whole


def _scores(folder: Path) -> list[dict[str, Any]]:
    return list(journal.read(folder / "scores.jsonl"))


def test_killed_again_and_again_it_gets_there(
    production: Make, options: Make, tmp_path: Path
) -> None:
    chosen = options(production(40), at_most=0.3)
    kills = 0
    while killed_at(4, chosen.out, mine, chosen):
        kills += 1
        assert kills < 50
    assert kills > 2
    mine(replace(chosen, out=tmp_path / "whole"))
    assert results(chosen.out) == results(tmp_path / "whole")


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
    mined = mine(options(source))
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
    mine(options(source / "list.csv", labelled=(str(tmp_path / "done.csv"),)))
    told = " ".join(capsys.readouterr().err.split())
    assert "6 found, 5 used, 1 left out" in told
    assert "camera 1 3 3 0" in told
    assert "camera 0 2 2 0" in told
    assert f"1 left out: labelled already; for example {source}/day-0/000.jpg" in told


def test_a_source_without_photos_says_what_is_there(options: Make, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "1.dng").touch()
    with pytest.raises(SourceError, match=r"no photo in .*/raw \(1 left out: .*1\.dng\)"):
        mine(options(tmp_path / "raw"))


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
        mine(options(source / "list.csv"))
