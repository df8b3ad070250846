from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from plantood.model.store import load_gate
from plantood.training.adapt.run import adapt
from plantood.training.adapt.settings import AdaptOptions
from plantood.training.judging.relabel import TWINS, WRONG_LABELS
from plantood.training.review.log import DecisionLog
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round
from tests.training.adapt.conftest import blue

Make = Callable[..., Path]


@pytest.fixture
def options(tag: str, few: Make, tmp_path: Path) -> AdaptOptions:
    """Twelve blue plants and ten others, and one more plant that is labelled other."""
    folder = few(12, 10)
    Image.fromarray(blue(1500)).save(folder / "other" / "leaf.jpg", quality=95)
    return AdaptOptions(
        tag,
        (folder,),
        runs=tmp_path / "runs",
        cache=tmp_path / "cache",
        gate_name=tmp_path.name.lower(),
    )


def written(options: AdaptOptions) -> Round:
    (folder,) = options.runs.glob(f"adapt-*/{WRONG_LABELS}")
    return Round.open(folder)


def test_a_label_that_the_others_contradict_is_told(
    options: AdaptOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    adapt(options)
    round_ = written(options)
    first = round_.mined()[0]
    assert Path(first.path).name == "leaf.jpg"
    assert first.selected_by == ("labelled other",)
    assert first.plant_probability > 0.5
    assert len(round_.mined()) <= 3
    told = capsys.readouterr().err
    assert f"plantood review {round_.path}" in told
    assert f"plantood adapt {options.tag} {options.photos[0]} {round_.path}" in told


def test_the_new_label_counts_when_all_are_learned_from_anew(options: AdaptOptions) -> None:
    before = adapt(options)
    round_ = written(options)
    leaf = round_.mined()[0].id
    round_.append_decisions([Decision(reviewer="ann", id=leaf, label="plant")])
    DecisionLog(round_)
    after = adapt(replace(options, photos=(*options.photos, round_.path)))
    assert after.tag != before.tag
    assert "1 photos of" in after.told.notes[0]
    memory = load_gate(after.tag).memory()
    assert memory is not None
    assert len(memory) == 120 + 23
    assert int(memory.plant[120:].sum()) == 13
    assert [one.kind for one in load_gate(after.tag).manifest.data[-2:]] == ["photos", "round"]


def test_near_duplicates_labelled_both_come_first(options: AdaptOptions) -> None:
    plant = options.photos[0] / "plant" / "3.jpg"
    content = plant.read_bytes() + b"\0"  # other bytes of the same picture
    (options.photos[0] / "other" / "twin.jpg").write_bytes(content)
    adapt(options)
    names = [(Path(one.path).name, TWINS in one.selected_by) for one in written(options).mined()]
    assert sorted(names[:2]) == [("3.jpg", True), ("twin.jpg", True)]
    assert ("leaf.jpg", False) in names


def test_without_a_contradiction_there_is_no_round(tag: str, few: Make, tmp_path: Path) -> None:
    options = AdaptOptions(
        tag, (few(0, 10),), runs=tmp_path / "runs", cache=tmp_path / "c", gate_name="no-doubt"
    )
    adapt(options)
    assert list(options.runs.iterdir()) == []


def test_a_round_that_is_there_stays(options: AdaptOptions) -> None:
    adapt(options)
    file = written(options).path / "mined.csv"
    before = file.stat().st_mtime_ns
    adapt(options)
    assert file.stat().st_mtime_ns == before
    file.unlink()  # killed before it was written
    shutil.rmtree(file.parent / "photos")
    adapt(options)
    assert written(options).mined()
