from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plantood.errors import TrainingDataError
from plantood.model.entry import open_gate
from plantood.model.manifest import TrainingData
from plantood.model.starter import starter_dir
from plantood.training.finetune.data import (
    Collection,
    gather,
    kind_of,
    old_collections,
    read_collection,
    some_of_each_source,
)
from plantood.training.finetune.settings import ReplaySettings
from plantood.training.judging.seen import DIGITS, Seen
from plantood.training.photos.data import find_data
from plantood.training.photos.dataset import labels_digest
from plantood.training.photos.scan import scan_photos
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import MinedPhoto, Round, RoundInfo
from tests.training.conftest import write_photo

Make = Callable[..., Path]


def photos_of(folder: Path, count: int, seed: int, source: str = "new") -> Path:
    """A labelled folder with ``count`` photos of each class."""
    for label, name in ((1, "plant"), (0, "other")):
        for number in range(count):
            write_photo(folder / name / source / f"{number}.jpg", label, seed + number)
    return folder


def make_round(folder: Path, labels: dict[str, str], seed: int = 5000) -> Round:
    """A mined round; ``labels`` by name of the photo, what the reviewers Ann and Ben say."""
    made = Round.create(
        folder, RoundInfo(gate="g:1", gate_sha256="0", source="pool", sample=None, counts={})
    )
    mined, decisions = [], []
    for number, (name, says) in enumerate(labels.items()):
        plant = name.startswith("plant")
        first = write_photo(folder / "new.jpg", int(plant), seed + number)
        identity = hashlib.sha256(first.read_bytes()).hexdigest()
        file = f"photos/{identity[:2]}/{identity}.jpg"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        first.rename(folder / file)
        mined.append(MinedPhoto(identity, name, file, 0.3, ("at_most",), "retake", (), 1.0, 0.5))
        decisions += [
            Decision(reviewer=reviewer, id=identity, label=label)
            for reviewer, label in zip(("Ann", "Ben"), says.split("/"), strict=False)
        ]
    made.write_mined(mined)
    made.append_decisions(decisions)
    return made


def splits(dataset: object) -> dict[str, str]:
    return {photo.sha256: name for name, photos in dataset.splits().items() for photo in photos}


def test_kinds_are_told_by_what_is_in_the_folder(tmp_path: Path) -> None:
    make_round(tmp_path / "round-1", {"plant 1": "plant"})
    (tmp_path / "soil").mkdir()
    (tmp_path / "soil" / "origins.csv").write_text("path,label\n")
    kinds = [kind_of(tmp_path / name) for name in ("round-1", "soil", "manifest.csv", ".")]
    assert kinds == ["round", "negatives", "photos", "photos"]


def test_a_round_gives_what_its_reviewers_agree_on(tmp_path: Path) -> None:
    labels = {"plant 1": "plant", "plant 2": "other/other", "other 1": "other/plant"}
    labels |= {"plant 3": "unsure", "other 2": "other/other"}
    make_round(tmp_path / "round-1", labels)
    photos = read_collection(Collection("round", tmp_path / "round-1"))
    assert sorted((p.label, p.source) for p in photos) == [
        (0, "round-1"),
        (0, "round-1"),
        (1, "round-1"),
    ]
    assert all(photo.path.is_file() for photo in photos)


def test_a_round_that_nobody_reviewed_says_what_to_do(tmp_path: Path) -> None:
    make_round(tmp_path / "round-1", {"plant 1": "unsure"})
    with pytest.raises(TrainingDataError, match=r"plantood review .*round-1"):
        read_collection(Collection("round", tmp_path / "round-1"))


def test_what_was_divided_stays_divided(photo_folder: Make, tmp_path: Path) -> None:
    """Also when new photos are near-duplicates of old ones, and come in two rounds."""
    old = Collection("photos", photo_folder(40))
    first = gather([], [old], 1.0, 0, tmp_path)
    sides = splits(first.dataset)
    new = photos_of(tmp_path / "new", 40, 9000)
    test_photo = first.dataset.test[0]
    copy = new / "other" / "new" / "copy.jpg"
    copy.write_bytes(test_photo.path.read_bytes() + b"\0")  # other bytes, the same picture
    second = gather([old], [Collection("photos", new)], 1.0, 0, tmp_path)
    found = splits(second.dataset)
    assert {digest: found[digest] for digest in sides} == sides
    assert found[hashlib.sha256(copy.read_bytes()).hexdigest()] == "test"
    more = photos_of(tmp_path / "more", 10, 12000)
    third = gather([old, Collection("photos", new)], [Collection("photos", more)], 0.5, 0, tmp_path)
    later = splits(third.dataset)
    assert all(later[digest] == side for digest, side in found.items() if digest in later)
    assert [record.photos for record in third.data] == [160, 81, 20]
    assert [record.path for record in third.added] == [str(more)]


def test_a_share_of_the_old_training_photos_is_replayed(photo_folder: Make, tmp_path: Path) -> None:
    old = Collection("photos", photo_folder(40))
    new = Collection("photos", photos_of(tmp_path / "new", 20, 9000))
    whole = gather([old], [new], 1.0, 0, tmp_path)
    half = gather([old], [new], 0.5, 0, tmp_path)
    none = gather([old], [new], 0.0, 0, tmp_path)
    assert half.dataset.val == whole.dataset.val
    assert half.dataset.test == none.dataset.test == whole.dataset.test
    assert none.replayed == 0
    assert {photo.source for photo in none.dataset.train} == {"new"}
    for source in ("farm", "garden", "street", "room"):
        count = sum(photo.source == source for photo in whole.dataset.train)
        kept = sum(photo.source == source for photo in half.dataset.train)
        assert kept == -(-count // 2)
    new_ones = {p.sha256 for p in whole.dataset.train if p.source == "new"}
    assert new_ones <= {p.sha256 for p in half.dataset.train}
    assert half.dataset.fingerprint() != whole.dataset.fingerprint()


def test_the_choice_depends_on_content_and_seed_alone(photo_folder: Make, tmp_path: Path) -> None:
    photos, _ = scan_photos(find_data(photo_folder(40)).photos, tmp_path)
    chosen = some_of_each_source(photos, 0.3, 0)
    renamed = [replace(photo, path=Path("elsewhere.jpg")) for photo in reversed(photos)]
    assert some_of_each_source(renamed, 0.3, 0) == chosen
    assert some_of_each_source(photos, 0.3, 1) != chosen
    assert some_of_each_source(photos, 0.6, 0) > chosen


def test_sources_that_the_parent_did_not_see_stay_unseen(
    photo_folder: Make, tmp_path: Path
) -> None:
    old = Collection("photos", photo_folder(20), left_out=("room",))
    new = Collection("photos", photos_of(tmp_path / "new", 20, 9000))
    dataset = gather([old], [new], 1.0, 0, tmp_path).dataset
    assert {photo.source for photo in dataset.left_out} == {"room"}
    assert len(dataset.left_out) == 20
    assert "room" not in {photo.source for photo in dataset.train + dataset.val + dataset.test}


@pytest.mark.parametrize("how", ["moved", "grown and new", "another collection"])
def test_what_was_left_out_stays_so_however_it_is_given(
    how: str, photo_folder: Make, tmp_path: Path
) -> None:
    """The parent says which sources it never saw; who names their photos says nothing of that."""
    old = [Collection("photos", photo_folder(20))]
    new = [Collection("photos", photos_of(tmp_path / "new", 20, 9000))]
    if how == "grown and new":
        write_photo(old[0].path / "plant" / "farm" / "more.jpg", 1, 77000)
        old, new = [], old
    if how == "another collection":
        old, new = [], [*new, Collection("photos", photos_of(tmp_path / "b", 10, 9500, "room"))]
    gathered = gather(old, new, 1.0, 0, tmp_path, left_out=["room"])
    dataset = gathered.dataset
    assert "room" not in {photo.source for photo in dataset.train + dataset.val + dataset.test}
    assert [photo.source for photo in dataset.left_out] == ["room"] * 20
    # So that its own children know it.
    assert [record.left_out for record in gathered.data if record.left_out] == [("room",)]
    (note,) = gathered.notes
    assert note.startswith("20 photos of ")
    assert "they are of room, which the parent left out" in note


def test_a_source_left_out_is_known_in_either_form_of_its_name(
    photo_folder: Make, tmp_path: Path
) -> None:
    """As the parent wrote it down from a copy of a Mac, and as the folder is called here."""
    folder = photo_folder(12)
    (folder / "other" / "room").rename(folder / "other" / "caf\u00e9")
    new = Collection("photos", photos_of(tmp_path / "new", 5, 9000))
    old = Collection("photos", folder, left_out=("cafe\u0301",))
    gathered = gather([old], [new], 1.0, 0, tmp_path)
    assert {photo.source for photo in gathered.dataset.left_out} == {"caf\u00e9"}
    assert [record.left_out for record in gathered.data] == [("caf\u00e9",), ()]


def test_all_groups_of_a_photo_stay_known(photo_folder: Make, tmp_path: Path) -> None:
    """Those of its copies, too, where a later collection has the photo without any."""
    old = Collection("photos", photo_folder(6))
    places = [f"{n}.jpg" for n in range(8)]
    for number, place in enumerate(places):
        write_photo(tmp_path / "field" / place, 1, 30000 + number)
    copy = tmp_path / "field" / "copy.jpg"
    copy.write_bytes((tmp_path / "field" / places[0]).read_bytes())
    rows = ["path,label,group", *(f"{place},plant,{place}" for place in places)]
    rows += ["copy.jpg,plant,1.jpg"]  # so that 0.jpg and 1.jpg show one scene
    (tmp_path / "field" / "labels.csv").write_text("\n".join(rows) + "\n")
    for label in ("plant", "other"):
        (tmp_path / "again" / label).mkdir(parents=True)
    (tmp_path / "again" / "plant" / "0.jpg").write_bytes(copy.read_bytes())
    field, again = (Collection("photos", tmp_path / name) for name in ("field/labels.csv", "again"))
    dataset = gather([old, field], [again], 1.0, 0, tmp_path / "cache").dataset
    first, second = (
        dataset.groups[hashlib.sha256((tmp_path / "field" / place).read_bytes()).hexdigest()]
        for place in places[:2]
    )
    assert first == second


@pytest.mark.parametrize("remembers", [True, False])
def test_what_the_parent_learned_of_such_a_name_stays_learned(
    photo_folder: Make, tmp_path: Path, remembers: bool
) -> None:
    """An earlier plantood left a source out of the collection that it was named for alone."""
    first = Collection("photos", photo_folder(12), left_out=("room",), labels_sha256="ab")
    later = Collection("photos", photos_of(tmp_path / "later", 5, 9000, "room"), labels_sha256="cd")
    new = Collection("photos", photos_of(tmp_path / "new", 5, 9500))
    learned = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "later").rglob("*.jpg")
    }
    seen = Seen(frozenset(digest[:DIGITS] for digest in learned), frozenset())
    gathered = gather(
        [first, later],
        [new],
        1.0,
        0,
        tmp_path,
        parent=seen if remembers else None,
        left_out=["room"],
    )
    never = {photo.sha256 for photo in gathered.dataset.left_out}
    assert never
    assert not never & learned
    if remembers:
        assert learned <= {photo.sha256 for photo in gathered.dataset.train}


def test_a_collection_given_by_its_path_is_what_the_parent_says_of_it(tmp_path: Path) -> None:
    gate = open_gate(starter_dir(), "plantood-gate:starter")
    record = TrainingData(
        kind="photos",
        path=str(tmp_path),
        photos=80,
        labels_sha256="ab",
        left_out=("room",),
        at_most_per_source=9,
    )
    knows = replace(gate, manifest=gate.manifest.model_copy(update={"data": (record,)}))
    for path in (tmp_path, tmp_path / "x" / ".."):
        given = old_collections(knows, ReplaySettings(replay=(path,)))
        assert given == old_collections(knows, ReplaySettings())


def test_that_no_photo_is_of_a_source_that_was_left_out_is_told(
    photo_folder: Make, tmp_path: Path
) -> None:
    """It may have another name now; and children that get its photos again are to know of it."""
    old = Collection("photos", photo_folder(12), left_out=("hall",))
    new = Collection("photos", photos_of(tmp_path / "new", 5, 9000))
    for collections in ([old], []):
        gathered = gather(collections, [new], 1.0, 0, tmp_path, left_out=["hall"])
        (note,) = gathered.notes
        assert note.startswith("No photo is of hall, which the parent left out")
        assert ("hall",) in [record.left_out for record in gathered.data]


def test_new_photos_that_are_all_left_out_teach_nothing(photo_folder: Make, tmp_path: Path) -> None:
    old = Collection("photos", photo_folder(12), left_out=("room",))
    new = Collection("photos", photos_of(tmp_path / "new", 5, 9000, "room"))
    with pytest.raises(
        TrainingDataError, match=r"All photos of .*new are of room, .* another name"
    ):
        gather([old], [new], 1.0, 0, tmp_path)


def test_a_corrected_label_counts_but_the_photo_stays_where_it_was(
    photo_folder: Make, tmp_path: Path
) -> None:
    old = Collection("photos", photo_folder(20))
    before = gather([], [old], 1.0, 0, tmp_path).dataset
    wrong = [photo for photo in before.photos if photo.label == 1][:6]
    manifest = tmp_path / "corrections.csv"
    with manifest.open("w", newline="") as out:
        csv.writer(out).writerows(
            [("path", "label", "source"), *((p.path, "other", p.source) for p in wrong)]
        )
    gathered = gather([old], [Collection("photos", manifest)], 0.0, 0, tmp_path)
    after = {photo.sha256: photo for photo in gathered.dataset.photos}
    for photo in wrong:
        assert after[photo.sha256].label == 0
        assert after[photo.sha256].split == photo.split
    assert "6 photos of" in gathered.notes[0]


def test_windows_go_where_the_photo_went_that_they_were_cut_from(
    photo_folder: Make, tmp_path: Path
) -> None:
    old = Collection("photos", photo_folder(40))
    first = gather([], [old], 1.0, 0, tmp_path).dataset
    origins = [first.train[0], first.val[0], first.test[0]]
    rows = [("path", "label", "source", "group")]
    for number, origin in enumerate(origins):
        for window in range(5):
            name = f"other/soil/{number}-{window}.jpg"
            write_photo(tmp_path / "soil" / name, 0, 7000 + 10 * number + window)
            rows.append((name, "other", "soil", origin.sha256))
    with (tmp_path / "soil" / "origins.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    gathered = gather([old], [Collection("negatives", tmp_path / "soil")], 1.0, 0, tmp_path)
    where = [
        {p.split for p in gathered.dataset.photos if p.group == origin.sha256} for origin in origins
    ]
    assert where == [{"train"}, {"val"}, {"test"}]
    assert gathered.added[0].kind == "negatives"
    assert gathered.added[0].photos == 15


def test_the_digest_is_that_of_photos_and_labels(photo_folder: Make, tmp_path: Path) -> None:
    folder = photo_folder(12)
    gathered = gather([], [Collection("photos", folder)], 1.0, 0, tmp_path)
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).parts[0]}"
        for path in folder.rglob("*.jpg")
    )
    expected = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert gathered.data[0].labels_sha256 == expected
    assert labels_digest(reversed(gathered.dataset.photos)) == expected


def test_data_that_changed_since_are_told(photo_folder: Make, tmp_path: Path) -> None:
    folder = photo_folder(12)
    digest = gather([], [Collection("photos", folder)], 1.0, 0, tmp_path).data[0].labels_sha256
    new = Collection("photos", photos_of(tmp_path / "new", 5, 9000))
    old = Collection("photos", folder, labels_sha256=digest)
    assert gather([old], [new], 1.0, 0, tmp_path).notes == []
    next((folder / "plant" / "farm").glob("*.jpg")).unlink()
    assert "has changed since" in gather([old], [new], 1.0, 0, tmp_path).notes[0]


def test_a_parent_that_does_not_say_what_it_was_trained_on(tmp_path: Path) -> None:
    gate = open_gate(starter_dir(), "plantood-gate:starter")
    with pytest.raises(TrainingDataError, match=r"plantood-gate:starter.*--replay DATA.*--no-rep"):
        old_collections(gate, ReplaySettings())
    assert old_collections(gate, ReplaySettings(no_replay=True)) == []
    given = old_collections(gate, ReplaySettings(replay=(tmp_path,)))
    assert given == [Collection("photos", tmp_path)]


def test_a_parent_whose_photos_are_elsewhere(tmp_path: Path) -> None:
    gate = open_gate(starter_dir(), "plantood-gate:starter")
    records = [
        TrainingData(kind="photos", path=str(path), photos=9, labels_sha256="ab", left_out=("x",))
        for path in (tmp_path, tmp_path / "gone")
    ]
    known = replace(gate, manifest=gate.manifest.model_copy(update={"data": (records[0],)}))
    assert old_collections(known, ReplaySettings()) == [
        Collection("photos", tmp_path, ("x",), None, "ab")
    ]
    gone = replace(gate, manifest=gate.manifest.model_copy(update={"data": tuple(records)}))
    with pytest.raises(TrainingDataError, match=r"gone, which is not here; .*--replay DATA"):
        old_collections(gone, ReplaySettings())
