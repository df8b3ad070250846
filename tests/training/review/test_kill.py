"""Kill -9 at any moment: what was acknowledged is on disk, and labels.csv is whole."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from plantood.training.photos.data import find_data
from plantood.training.review.client import ReviewClient, ReviewRefused
from plantood.training.rounds.layout import LABELS, Round
from tests.training.review.rounds import make_round
from tests.training.review.serving import reviewing, start


@pytest.mark.parametrize("seed", range(3))
def test_nothing_acknowledged_is_lost(tmp_path: Path, seed: int) -> None:
    round_ = make_round(tmp_path / "round", 30, pictures=2).path
    server = start(round_)
    acknowledged: dict[int, tuple[str, str, str]] = {}

    def label(reviewer: str) -> None:
        with ReviewClient(server.url, reviewer) as client:
            photos = [photo["id"] for photo in client.photos()]
            for turn in range(10_000):
                photo, said = photos[turn % 30], ("plant", "other", "unsure")[turn % 7 % 3]
                try:
                    entry = client.label(photo, said)
                except ReviewRefused:  # it is dead
                    return
                acknowledged[entry["number"]] = (reviewer, photo, said)

    threads = [threading.Thread(target=label, args=(name,)) for name in ("anna", "ben")]
    for thread in threads:
        thread.start()
    enough = random.Random(seed).randint(5, 60)
    while len(acknowledged) < enough:
        time.sleep(0.001)
    server.kill()
    for thread in threads:
        thread.join(60)

    on_disk = [(d.reviewer, d.id, d.label) for d in Round.open(round_).decisions()]
    assert {number: on_disk[number - 1] for number in acknowledged} == acknowledged
    with reviewing(round_) as again, ReviewClient(again.url, "anna") as client:
        assert len(client.decisions()) == len(on_disk)
        labels = Round.open(round_).labels()
        decided = {identity: label.label for identity, label in labels.items() if label.decided}
        if decided:
            photos = find_data(round_ / LABELS).photos
            assert {p.path.stem: ("other", "plant")[p.label] for p in photos} == decided
