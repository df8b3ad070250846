from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plantood.errors import RoundError, TrainingDataError
from plantood.model.store import load_gate
from plantood.training.adapt.photos import find_photos, read_photos, without_known
from plantood.training.judging.seen import DIGITS, Seen
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.division.splits import joined_groups
from plantood.training.photos.hashes import look_of
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import LABELS, Round
from tests.training.conftest import draw, write_photo
from tests.training.review.rounds import make_round


def photo(seed: int, group: str = "") -> LabelledPhoto:
    return LabelledPhoto(
        Path(f"{seed}.jpg"), 1, "s", sha256=f"{seed}", look=look_of(draw(1, seed)), group=group
    )


def test_a_scene_is_what_looks_alike_or_is_said_to_be_one() -> None:
    first = photo(1)
    again = replace(first, sha256="again")
    photos = (first, photo(2, "row"), again, photo(3), photo(4, "row"), photo(5, "3"))
    found = joined_groups(photos).tolist()
    assert found[0] == found[2]
    assert found[1] == found[4]
    assert found[3] == found[5]  # cut from the photo with this digest
    assert len({found[0], found[1], found[3]}) == 3


def test_scenes_are_joined_by_what_is_in_both() -> None:
    photos = (photo(1, "a"), photo(2, "a"), replace(photo(2, "b"), sha256="again"), photo(3, "b"))
    assert len(set(joined_groups(photos).tolist())) == 1


def test_what_the_gate_was_fitted_to_is_left_out_with_its_scene(gate: str) -> None:
    parent = load_gate(gate)
    first, strange, chosen = (replace(photo(n), sha256=str(n) * 64) for n in (1, 2, 3))
    again = replace(first, sha256="a" * 64)
    seen = Seen(train=frozenset({"1" * DIGITS}), val=frozenset({"3" * DIGITS}))
    knows = replace(parent, metrics=seen.as_dict())
    photos, notes = without_known(knows, (first, again, strange, chosen))
    assert photos == (strange,)
    assert notes[0].startswith(f"3 of 4 photos are left out: {gate} or an ancestor")
    assert without_known(knows, (strange,)) == ((strange,), [])
    with pytest.raises(TrainingDataError, match="has learned from all of these photos already"):
        without_known(knows, (first, again))
    silent = replace(parent, metrics={})
    photos, notes = without_known(silent, (first, strange))
    assert photos == (first, strange)
    assert "does not say which photos it has seen" in notes[0]


def test_of_a_photo_in_several_collections_the_last_label_counts(gate: str, tmp_path: Path) -> None:
    folders = tmp_path / "first", tmp_path / "then"
    for folder in folders:
        for label in ("plant", "other"):
            (folder / label).mkdir(parents=True)
    for number, label in enumerate(("plant", "plant", "other")):
        write_photo(folders[0] / label / f"{number}.jpg", int(label == "plant"), number)
    shutil.copy(folders[0] / "plant" / "1.jpg", folders[1] / "other" / "one.jpg")
    given = read_photos(load_gate(gate), folders, tmp_path / "cache")
    assert sorted(photo.label for photo in given.photos) == [0, 0, 1]
    assert given.scored.plant.tolist() == [photo.label == 1 for photo in given.photos]
    assert [(one.photos, one.path) for one in given.data] == [
        (3, str(folders[0].resolve())),
        (1, str(folders[1].resolve())),
    ]
    assert any(note.startswith("1 photos of") for note in given.notes)
    alone = read_photos(load_gate(gate), folders[:1], tmp_path / "cache")
    assert not any(note.startswith("1 photos of") for note in alone.notes)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest of photos of plants: seed, split and group of each."""

    def make(*rows: tuple[int, str, str], name: str = "table.csv") -> Path:
        file = tmp_path / name
        for seed, _, _ in rows:
            write_photo(tmp_path / f"{seed}.jpg", 1, seed)
        lines = [f"{seed}.jpg,plant,{split},{group}" for seed, split, group in rows]
        file.write_text("\n".join(["path,label,split,group", *lines]) + "\n")
        return file

    return make


def test_test_photos_are_not_learned_from(
    gate: str, table: Callable[..., Path], tmp_path: Path
) -> None:
    """Nor what shows the same, unless a manifest says that it is for training."""
    rows = [(1, "test", "row"), (2, "", "row"), (3, "train", "row"), (4, "val", ""), (5, "", "")]
    manifest = table(*rows)
    folder = tmp_path / "folder"
    (folder / "other").mkdir(parents=True)
    (folder / "plant").mkdir()
    shutil.copy(tmp_path / "1.jpg", folder / "plant")  # there nobody says that it is for testing
    given = read_photos(load_gate(gate), (manifest, folder), tmp_path / "cache")
    assert sorted(photo.path.stem for photo in given.photos) == ["3", "4", "5"]
    assert [one.photos for one in given.data] == [5, 1]  # what is in the collections
    (note,) = [note for note in given.notes if "test" in note]
    assert note.startswith("2 of 5 photos are left out: they are of split test")
    known = Seen(train=frozenset(photo.sha256[:DIGITS] for photo in given.photos))
    knows = replace(load_gate(gate), metrics=known.as_dict())
    with pytest.raises(TrainingDataError, match=r"all of these photos .* but for 2 of split test"):
        read_photos(knows, (manifest,), tmp_path / "cache")


def test_a_photo_is_in_the_groups_of_all_collections(
    gate: str, table: Callable[..., Path], tmp_path: Path
) -> None:
    first = table((1, "", "a"), (2, "", "a"))
    then = table((1, "", "b"), (3, "", "b"), name="then.csv")
    given = read_photos(load_gate(gate), (first, then), tmp_path / "cache")
    assert len(given.photos) == 3
    assert len({*given.scored.scene.tolist()}) == 1


def test_of_test_photos_alone_nothing_is_learned(
    gate: str, table: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(TrainingDataError, match=r"All photos of .*table\.csv are of split test"):
        read_photos(load_gate(gate), (table((1, "test", "")),), tmp_path / "cache")


@pytest.fixture
def reviewed(tmp_path: Path) -> Round:
    """A round of four photos, of which two have a label."""
    round_ = make_round(tmp_path / "round", 4)
    ids = [photo.id for photo in round_.mined()]
    round_.append_decisions(
        Decision(reviewer="ann", id=identity, label=label)
        for identity, label in zip(ids, ("plant", "other"), strict=False)
    )
    return round_


def test_a_round_is_read_as_its_reviewers_left_it(reviewed: Round) -> None:
    """Whether or not labels.csv was made of what they said."""
    assert not (reviewed.path / LABELS).exists()
    found = find_photos(reviewed.path)
    assert sorted(photo.label for photo in found.photos) == [0, 1]
    third = reviewed.mined()[2].id
    reviewed.append_decisions([Decision(reviewer="ann", id=third, label="plant")])
    assert len(find_photos(reviewed.path).photos) == 3


def test_a_round_whose_labels_were_changed_by_hand_is_refused(reviewed: Round) -> None:
    find_photos(reviewed.path)
    file = reviewed.path / LABELS
    file.write_text(file.read_text().replace(",other,", ",plant,"))
    with pytest.raises(RoundError, match="changed by hand"):
        find_photos(reviewed.path)


def test_a_round_without_labels_is_to_be_reviewed_first(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round", 4)
    with pytest.raises(TrainingDataError, match=f"plantood review {round_.path}"):
        find_photos(round_.path)
