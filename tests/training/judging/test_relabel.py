from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantood.training.finetune.data import Collection, gather
from plantood.training.judging.relabel import TWINS, write_wrong_labels
from plantood.training.photos.data import LabelledPhoto, find_data
from plantood.training.photos.scan import scan_photos
from plantood.training.review.log import DecisionLog
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round
from tests.training.conftest import write_photo

GATE = {"gate": "plantood-gate:1", "gate_sha256": "0" * 64}


@pytest.fixture
def photos(photo_folder: Callable[..., Path], tmp_path: Path) -> list[LabelledPhoto]:
    """56 photos, of which two plants are labelled other, and one has a twin labelled plant."""
    folder = photo_folder(14)
    for number in range(2):
        write_photo(folder / "other" / "room" / f"leaf-{number}.jpg", 1, 500 + number)
    twin = (folder / "plant" / "farm" / "3.jpg").read_bytes() + b"\0"
    (folder / "other" / "room" / "twin.jpg").write_bytes(twin)
    return scan_photos(find_data(folder).photos, tmp_path / "cache")[0]


def features_of(photos: list[LabelledPhoto]) -> np.ndarray:
    """Green minus red, in some noise: what the pictures show, not what they are labelled."""
    from PIL import Image

    rng = np.random.default_rng(0)
    greens = [np.asarray(Image.open(p.path), np.float32).mean((0, 1)) for p in photos]
    return np.c_[[g[1] / g.sum() for g in greens], rng.normal(0, 1, (len(photos), 3))]


def test_a_round_of_what_is_contradicted(photos: list[LabelledPhoto], tmp_path: Path) -> None:
    folder = tmp_path / "wrong-labels"
    (sentence,) = write_wrong_labels(folder, photos, features_of(photos), **GATE)
    assert f"plantood review {folder}" in sentence
    mined = Round.open(folder).mined()
    by_name = {Path(photo.path).name: photo for photo in mined}
    assert {"leaf-0.jpg", "leaf-1.jpg", "twin.jpg", "3.jpg"} <= set(by_name)
    assert {mined[0], mined[1]} == {p for p in mined if TWINS in p.selected_by}
    assert by_name["leaf-0.jpg"].selected_by == ("labelled other",)
    assert by_name["leaf-0.jpg"].plant_probability > 0.5
    assert by_name["leaf-0.jpg"].verdict == "accept"
    assert len(mined) < 12
    for photo in mined:
        copy = (folder / photo.file).read_bytes()
        assert hashlib.sha256(copy).hexdigest() == photo.id
        assert copy == Path(photo.path).read_bytes()


def test_what_a_reviewer_says_of_it_counts_in_fine_tuning(
    photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    folder = tmp_path / "wrong-labels"
    write_wrong_labels(folder, photos, features_of(photos), **GATE)
    leaf = next(photo for photo in photos if photo.path.name == "leaf-0.jpg")
    round_ = Round.open(folder)
    round_.append_decisions([Decision(reviewer="ann", id=leaf.sha256, label="plant")])
    DecisionLog(round_)
    old = Collection("photos", leaf.path.parents[2])
    gathered = gather([old], [Collection("round", folder)], 1.0, 0, tmp_path / "cache")
    (corrected,) = (p for p in gathered.dataset.photos if p.sha256 == leaf.sha256)
    assert (corrected.label, corrected.source) == (1, "room")
    assert "1 photos of" in gathered.notes[0]


def test_one_that_is_there_stays(photos: list[LabelledPhoto], tmp_path: Path) -> None:
    folder = tmp_path / "wrong-labels"
    first = write_wrong_labels(folder, photos, features_of(photos), **GATE)
    before = (folder / "mined.csv").read_bytes()
    assert write_wrong_labels(folder, photos, -features_of(photos), **GATE) == first
    assert (folder / "mined.csv").read_bytes() == before


def test_no_round_where_no_label_is_contradicted(
    photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    right = [p for p in photos if p.path.name not in ("leaf-0.jpg", "leaf-1.jpg", "twin.jpg")]
    certain = np.array([[float(p.label), 0.0] for p in right]) + 1e-3
    assert write_wrong_labels(tmp_path / "none", right, certain, **GATE) == []
    assert not (tmp_path / "none").exists()


def test_windows_of_a_photo_of_plants_are_no_contradiction(
    photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    """They share its `group`, not its look."""
    right = [p for p in photos if p.path.name not in ("leaf-0.jpg", "leaf-1.jpg", "twin.jpg")]
    right = [replace(photo, group=f"scene {number // 4}") for number, photo in enumerate(right)]
    certain = np.array([[float(p.label), 0.0] for p in right]) + 1e-3
    assert write_wrong_labels(tmp_path / "none", right, certain, **GATE) == []


def test_contradictory_twins_are_told_of_few_photos_too(
    photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    """Four plants and their twin labelled other: too few for judges that have not seen a photo."""
    twin = next(p for p in photos if p.path.name == "twin.jpg")
    farm = [p for p in photos if p.label == 1 and p.source == "farm"]
    of_it = next(p for p in farm if p.path.name == "3.jpg")
    few = [twin, of_it, *[p for p in farm if p != of_it][:3]]
    folder = tmp_path / "twins"
    (sentence,) = write_wrong_labels(folder, few, features_of(few), **GATE)
    assert "0 of 5 training photos" in sentence
    assert "2 have a near-duplicate with the other label" in sentence
    mined = Round.open(folder).mined()
    assert {photo.id for photo in mined} == {twin.sha256, of_it.sha256}
    assert [photo.plant_probability for photo in mined] == [0.5, 0.5]
    assert write_wrong_labels(tmp_path / "none", few[1:], features_of(few[1:]), **GATE) == []
    assert not (tmp_path / "none").exists()


def test_a_round_that_a_kill_cut_short_is_written_anew(
    photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    folder = tmp_path / "wrong-labels"
    folder.mkdir()  # before its first file
    assert write_wrong_labels(folder, photos, features_of(photos), **GATE)
    (folder / "mined.csv").unlink()
    assert write_wrong_labels(folder, photos, features_of(photos), **GATE)
    assert Round.open(folder).mined()
