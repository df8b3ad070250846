"""A round on a disk that can only be read: its labels leave it, and none come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import PlantoodError
from plantood.training.adapt.photos import find_photos
from plantood.training.finetune.data import Collection, read_collection
from plantood.training.review.log import LOCK, DecisionLog
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import LABELS, Round
from tests.training.review.rounds import make_round, say
from tests.training.rounds.disk import read_only, small_disk

Number = Callable[[Path], int]


def exported(folder: Path) -> int:
    file = folder.parents[1] / "out.csv"
    ran = CliRunner().invoke(main, ["labels", "export", str(folder), str(file)])
    if ran.exit_code:
        raise PlantoodError(ran.output)
    return sum(bool(line.split(",")[5]) for line in file.read_text().splitlines()[1:])


READERS: dict[str, Number] = {
    "labels export": exported,
    "adapt": lambda folder: len(find_photos(folder).photos),
    "finetune": lambda folder: len(read_collection(Collection("round", folder))),
}
reading = pytest.mark.parametrize("reader", READERS)


@pytest.fixture
def round_(tmp_path: Path) -> Iterator[Round]:
    """Two photos of a round have a label."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        log = DecisionLog(make_round(disk / "round-1", 4))
        say(log, 0, "ann", "plant")
        say(log, 1, "ann", "other")
        yield log.round


@reading
@pytest.mark.parametrize("locked", [True, False])
def test_its_labels_are_read(round_: Round, reader: str, locked: bool) -> None:
    if not locked:  # as in a copy that leaves out what is hidden
        (round_.path / LOCK).unlink()
    read_only(round_.path.parent)
    assert READERS[reader](round_.path) == 2


@reading
@pytest.mark.parametrize("missing", [True, False])
def test_labels_csv_that_is_behind_is_not_believed(
    round_: Round, reader: str, missing: bool
) -> None:
    if missing:
        (round_.path / LABELS).unlink()
    else:
        photo = round_.mined()[2].id
        round_.append_decisions([Decision(reviewer="ann", id=photo, label="plant")])
    read_only(round_.path.parent)
    with pytest.raises(PlantoodError, match=r"labels\.csv is older .* copy the round"):
        READERS[reader](round_.path)


def test_what_would_write_says_so_at_once(round_: Round) -> None:
    read_only(round_.path.parent)
    ran = CliRunner().invoke(main, ["review", str(round_.path), "--no-browser", "--port", "0"])
    assert ran.exit_code == 1
    assert "No labels can be written into" in ran.output
    with pytest.raises(OSError, match="Read-only"):
        DecisionLog(round_)


def test_without_labels_it_has_none(round_: Round) -> None:
    bare = make_round(round_.path.parent / "round-2", 2)
    read_only(bare.path.parent)
    assert exported(bare.path) == 0
    with pytest.raises(PlantoodError, match="Review it first"):
        find_photos(bare.path)
