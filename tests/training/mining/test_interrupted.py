"""Mining that is cut off, by a kill or by a source that goes away, and is taken up again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plantood.errors import SourceError
from plantood.training.mining import draw, sources
from plantood.training.mining.mine import mine_photos
from plantood.training.rounds import journal
from plantood.training.rounds.layout import Round
from tests.training.killed import killed_at

Make = Callable[..., Any]
RESULTS = ("round.json", "scores.jsonl", "skipped.jsonl", "unreadable.csv", "mined.csv")


def results(folder: Path) -> dict[str, bytes]:
    """All that a round consists of, by file; the photos among them."""
    files = [folder / name for name in RESULTS] + sorted(folder.glob("photos/*/*"))
    return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.exists()}


def test_a_source_that_goes_away_stops_the_work_and_is_taken_up_again(
    production: Make, options: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "FAILURES_IN_A_ROW", 10)
    source = production(40)
    whole = mine_photos(options(source, "whole", sample=None))
    calls = 0

    def failing(path: str, max_bytes: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise sources.FetchError("the network is down")
        return Path(path).read_bytes()

    with monkeypatch.context() as broken:
        broken.setattr("plantood.training.mining.engines.scoring.read", failing)
        with pytest.raises(SourceError, match=r"in a row .*network is down.*goes on"):
            mine_photos(options(source, sample=None, readers=1))
    round_ = Round.open(tmp_path / "round")
    assert 10 < len(list(round_.scores())) <= 20
    assert "network" not in str(list(draw.skipped(round_, "unreadable")))
    mine_photos(options(source, sample=None))
    same = results(tmp_path / "round")
    assert same == results(whole.path)


def test_a_photo_that_changed_since_it_was_scored_is_not_mined(
    production: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = production(10)
    round_ = mine_photos(options(source, at_most=0.0))
    victim = next(line["path"] for line in round_.scores())
    with Path(victim).open("ab") as file:
        file.write(b"more")
    again = mine_photos(options(source, at_most=1.0))
    assert victim not in {photo.path for photo in again.mined()}
    assert len(again.mined()) == 9
    assert f'{victim},"scored, but changed since"' in (again.path / "unreadable.csv").read_text()


def test_killed_in_any_write_it_goes_on_to_the_same_result(
    production: Make, options: Make, tmp_path: Path
) -> None:
    source = production(24)
    shutil.copy(source / "day-0" / "003.jpg", source / "copy.jpg")
    chosen = options(source, sample=24, at_most=0.02, unlike=2)
    mine_photos(replace(chosen, out=tmp_path / "whole"))
    whole = results(tmp_path / "whole")

    write = 0
    while killed_at(write, chosen.out, mine_photos, chosen):
        before = _scores(chosen.out)
        mine_photos(chosen)
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
    while killed_at(4, chosen.out, mine_photos, chosen):
        kills += 1
        assert kills < 50
    assert kills > 2
    mine_photos(replace(chosen, out=tmp_path / "whole"))
    assert results(chosen.out) == results(tmp_path / "whole")
