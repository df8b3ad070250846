"""The disk is full while labels are written: acknowledged is kept, refused is not."""

from __future__ import annotations

from pathlib import Path

from plantood.training.photos.data import find_data
from plantood.training.review.client import ReviewClient, ReviewRefused
from plantood.training.rounds.layout import LABELS, Round
from tests.training.review.rounds import make_round
from tests.training.review.serving import ReviewServer, reviewing
from tests.training.rounds.disk import bound_files, fill, small_disk

Said = list[tuple[str, str, str]]


def label_all(server: ReviewServer, count: int) -> tuple[Said, int]:
    """Give many labels; those that were acknowledged, and how many were refused."""
    acknowledged, refused = [], 0
    with ReviewClient(server.url, "anna") as client:
        photos = [photo["id"] for photo in client.photos()]
        for turn in range(count):
            photo, label = photos[turn % len(photos)], ("plant", "other", "unsure")[turn % 7 % 3]
            try:
                client.label(photo, label)
            except ReviewRefused as error:
                assert "could not be saved" in str(error)  # noqa: PT017
                refused += 1
            else:
                acknowledged.append(("anna", photo, label))
    return acknowledged, refused


def heard(server: ReviewServer) -> Said:
    with ReviewClient(server.url, "ben") as client:
        return [(d["reviewer"], d["id"], d["label"]) for d in client.decisions()]


def on_disk(round_: Path) -> Said:
    return [(d.reviewer, d.id, d.label) for d in Round.open(round_).decisions()]


def check_labels_csv(round_: Path) -> None:
    labels = Round.open(round_).labels()
    decided = {identity: label.label for identity, label in labels.items() if label.decided}
    photos = find_data(round_ / LABELS).photos
    assert {p.path.stem: ("other", "plant")[p.label] for p in photos} == decided


def test_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        round_ = make_round(disk / "round", 6, pictures=2).path
        with reviewing(round_) as server:
            said, refused = label_all(server, 5)
            assert refused == 0
            filler = fill(disk)
            more, refused = label_all(server, 30)
            assert refused > 0
            assert heard(server) == on_disk(round_) == said + more
            filler.unlink()
            again, refused = label_all(server, 3)
            assert refused == 0
        with reviewing(round_) as server:
            assert heard(server) == on_disk(round_) == said + more + again
            check_labels_csv(round_)
        assert "Traceback" not in server.log.read_text()


def test_where_files_cannot_grow(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round", 3, pictures=2).path
    with reviewing(round_) as server:
        bound_files(3_000, server.process.pid)
        said, refused = label_all(server, 30)
        assert said
        assert refused
        assert heard(server) == on_disk(round_) == said
    with reviewing(round_) as server:
        assert heard(server) == said
        check_labels_csv(round_)
