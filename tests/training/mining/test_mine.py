from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plantood.errors import GateModelError, RoundError, SettingsError, SourceError
from plantood.judging.gate import Gate
from plantood.model.saving import save_gate
from plantood.model.store import load_gate
from plantood.training.mining import draw
from plantood.training.mining.engines import local
from plantood.training.mining.mine import mine_photos
from plantood.training.process.run import hold
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import SCORES
from tests.service.tiny_gate import build
from tests.training.conftest import csv_rows, write_photo

Make = Callable[..., Any]


def test_a_round(production: Make, options: Make, gate: str) -> None:
    source = production(40)
    round_ = mine_photos(options(source, at_most=0.3, unlike=5, margin=3))
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
        "audit": 0,
        "alike": 0,
        "mined": len(round_.mined()),
        "refused": 0,
    }

    judge = Gate.load(gate)
    scores = {line["id"]: line for line in round_.scores()}
    assert len(scores) == 40
    for line in scores.values():
        verdict = judge.check(line["path"])
        assert line["plant_probability"] == pytest.approx(verdict.plant_probability, abs=1e-5)
        distances = [distance for _, _, distance in line["nearest"]]
        assert len(distances) == 3
        assert distances == sorted(distances)
        assert line["nearest"][0][:2] in (["plant", "field"], ["other", "bricks"])
        assert line["verdict"] == verdict.verdict
        assert line["reasons"] == [reason.code.value for reason in verdict.reasons]
        assert line["quality"] == verdict.quality.model_dump()
        assert line["id"] == hashlib.sha256(Path(line["path"]).read_bytes()).hexdigest()

    low = [s for s in scores.values() if s["plant_probability"] <= 0.3]
    others = [s for s in scores.values() if s["plant_probability"] > 0.3]
    unlike = sorted(others, key=lambda s: (-s["nearest"][0][2], s["id"]))[:5]
    nearest = sorted(others, key=lambda s: (abs(s["plant_probability"] - 0.5), s["id"]))[:3]
    chosen = {"at_most": low, "unlike": unlike, "margin": nearest}
    expected = {reason: {s["id"] for s in photos} for reason, photos in chosen.items()}
    mined = round_.mined()
    assert 0 < len(expected["at_most"]) < 40
    for reason, ids in expected.items():
        assert {photo.id for photo in mined if reason in photo.selected_by} == ids
    assert [p.plant_probability for p in mined] == sorted(p.plant_probability for p in mined)
    for photo in mined:
        assert [list(one) for one in photo.nearest] == scores[photo.id]["nearest"]
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
        round_ = mine_photos(options(source, out, **values))
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
    round_ = mine_photos(options(source, sample=None, labelled=(str(labels),)))
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
    round_ = mine_photos(options(source, sample=20))
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
    round_ = mine_photos(options(source, at_most=1.0))
    (line,) = (line for line in round_.scores() if line["path"].endswith("tiny.jpg"))
    assert line["reasons"] == ["too_small"]
    assert line["verdict"] == "retake"
    assert line["plant_probability"] > 0.5
    assert round_.info.counts["refused"] == 1
    assert len(round_.mined()) == 13

    again = mine_photos(replace(options(source, at_most=1.0), skip_refused=True))
    assert len(again.mined()) == 12
    assert again.info.counts["refused"] == 0


def test_another_selection_scores_nothing_again(
    production: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = production(30)
    first = mine_photos(options(source, at_most=1.0))
    scores = (first.path / "scores.jsonl").read_bytes()
    (first.path / "work.sqlite").unlink()
    monkeypatch.setattr(local, "BatchJudge", None)  # nothing can be scored any more
    second = mine_photos(options(source, at_most=0.2, margin=2))
    assert (first.path / "scores.jsonl").read_bytes() == scores
    assert 0 < second.info.counts["at_most"] < first.info.counts["at_most"]
    kept = {p.file for p in second.mined()}
    assert {str(f.relative_to(first.path)) for f in first.path.glob("photos/*/*")} == kept

    second.append_decisions([Decision(reviewer="ann", id="a" * 64, label="plant")])
    assert mine_photos(options(source, at_most=0.2, margin=2)).info == second.info
    with pytest.raises(RoundError, match=r"reviewed already.*at_most was 0.2, is 0.3"):
        mine_photos(options(source, at_most=0.3, margin=2))


def test_another_round_in_the_same_folder_is_refused(production: Make, options: Make) -> None:
    source = production(4)
    mine_photos(options(source))
    with pytest.raises(RoundError, match=r"seed was 0, is 1.*another --out"):
        mine_photos(options(source, seed=1))


def test_a_first_attempt_that_failed_is_not_in_the_way(
    production: Make, options: Make, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="no folder or list of photos at"):
        mine_photos(options("file:///no/where/photos.csv"))
    round_ = mine_photos(options(production(4), seed=3))
    assert round_.info.counts["scored"] == 4


def test_a_round_goes_on_with_the_gate_that_was_the_latest(
    production: Make, options: Make, tmp_path: Path
) -> None:
    (tmp_path / "gate").mkdir()
    build(tmp_path / "gate")
    first = str(save_gate(tmp_path / "gate", name="moving", version="1"))
    chosen = replace(options(production(4)), gate="moving:latest")
    assert mine_photos(chosen).info.gate == first
    save_gate(tmp_path / "gate", name="moving", version="2")
    assert mine_photos(replace(chosen, at_most=0.1)).info.gate == first
    assert mine_photos(replace(chosen, out=tmp_path / "next")).info.gate == "moving:2"


def test_it_scores_by_the_gate_that_the_environment_names(
    production: Make, options: Make, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(options(production(3)), gate=None)
    monkeypatch.setenv("PLANTOOD_GATE", gate)
    named = load_gate(gate).tag
    assert mine_photos(asked).info.gate == named
    monkeypatch.setenv("PLANTOOD_GATE_SHA256", "0" * 64)
    with pytest.raises(GateModelError, match=f"{named} is not the gate model that"):
        mine_photos(replace(asked, out=asked.out.with_name("pinned")))


def test_two_processes_do_not_mine_into_one_folder(production: Make, options: Make) -> None:
    chosen = options(production(4))
    with hold(chosen.out), pytest.raises(SettingsError, match="Another process"):
        mine_photos(chosen)


def test_a_gate_without_memory_knows_nothing_unlike(
    production: Make, options: Make, tmp_path: Path
) -> None:
    (tmp_path / "plain").mkdir()
    build(tmp_path / "plain")
    tag = str(save_gate(tmp_path / "plain", name="plain"))
    plain = replace(options(production(4)), gate=tag)
    with pytest.raises(GateModelError, match="remembers no picture"):
        mine_photos(replace(plain, unlike=3))
    round_ = mine_photos(plain)
    assert [line["nearest"] for line in round_.scores()] == [[]] * 4
    assert {photo.nearest for photo in round_.mined()} == {()}


def test_a_round_scored_by_an_earlier_plantood_is_chosen_anew_but_not_by_what_it_lacks(
    production: Make, options: Make
) -> None:
    chosen = options(production(6), at_most=1)
    round_ = mine_photos(chosen)
    lines = [line | {"unfamiliarity": 0.5} for line in round_.scores()]
    for line in lines:
        del line["nearest"]
    lines[0]["reasons"] = ["unfamiliar"]
    (round_.path / SCORES).write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = mine_photos(replace(chosen, margin=1))
    assert len(again.mined()) == len(round_.mined()) == 6
    assert {photo.nearest for photo in again.mined()} == {()}
    assert again.info.counts["refused"] == 0
    with pytest.raises(RoundError, match="scored by an earlier plantood"):
        mine_photos(replace(chosen, unlike=3))


def test_an_empty_source(tmp_path: Path, options: Make) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="There is no photo in"):
        mine_photos(options(tmp_path / "empty"))
    write_photo(tmp_path / "empty" / "1.jpg", 1, 1)  # it is filled, and mined again
    assert mine_photos(options(tmp_path / "empty")).info.counts["scored"] == 1


def test_photos_that_are_gone_are_listed(production: Make, options: Make, tmp_path: Path) -> None:
    source = production(6)
    names = sorted(str(p) for p in source.rglob("*.jpg"))
    (tmp_path / "list.txt").write_text("\n".join([*names, "gone.jpg"]))
    round_ = mine_photos(options(tmp_path / "list.txt"))
    gone = [
        line for line in draw.skipped(round_, "unreadable") if line["path"].endswith("gone.jpg")
    ]
    assert gone[0]["reason"] == "the file cannot be read: No such file or directory"
