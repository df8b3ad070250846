from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from plantood.training.judging.seen import Seen, seen_by
from plantood.training.photos.dataset import Dataset
from tests.training.conftest import make_photo

PHOTOS = [make_photo(hashlib.sha256(bytes([n])).hexdigest()) for n in range(9)]


def test_an_entry_gives_back_what_was_written_into_it() -> None:
    dataset = Dataset(train=tuple(PHOTOS[:4]), val=tuple(PHOTOS[4:6]), test=tuple(PHOTOS[6:]))
    gate = open_gate(starter_dir())
    assert seen_by(replace(gate, metrics={})) is None
    written = json.loads(json.dumps(Seen.of(dataset).as_dict()))
    seen = seen_by(replace(gate, metrics=gate.metrics | written))
    assert seen == Seen.of(dataset)
    assert [seen.trained_on(photo) for photo in PHOTOS] == [True] * 4 + [False] * 5
    assert [seen.chosen_on(photo) for photo in PHOTOS] == [False] * 4 + [True] * 2 + [False] * 3


def test_nothing_seen_is_not_the_same_as_nothing_known() -> None:
    gate = open_gate(starter_dir())
    assert seen_by(replace(gate, metrics=Seen().as_dict())) == Seen()


def test_what_one_was_trained_on_is_more_than_what_the_other_chose_by() -> None:
    one = Seen.of(Dataset(train=tuple(PHOTOS[:2]), val=tuple(PHOTOS[2:4]), test=()))
    two = Seen.of(Dataset(train=tuple(PHOTOS[2:3]), val=tuple(PHOTOS[:1] + PHOTOS[4:5]), test=()))
    both = one | two
    assert [both.trained_on(photo) for photo in PHOTOS] == [True] * 3 + [False] * 6
    assert [both.chosen_on(photo) for photo in PHOTOS] == [False] * 3 + [True] * 2 + [False] * 4


def test_on_photos_of_a_bound_a_threshold_was_chosen_but_nothing_fitted() -> None:
    dataset = Dataset(train=tuple(PHOTOS[:4]), val=tuple(PHOTOS[4:6]), test=tuple(PHOTOS[6:]))
    gate = open_gate(starter_dir())
    written = json.loads(json.dumps(Seen.of(dataset, bounded=True).as_dict()))
    seen = seen_by(replace(gate, metrics=gate.metrics | written))
    assert seen is not None
    assert [seen.chosen_on(photo) for photo in PHOTOS] == [False] * 4 + [True] * 5
    assert [seen.fitted_on(photo) for photo in PHOTOS] == [True] * 6 + [False] * 3
    assert not any(map(seen.trained_on, PHOTOS[4:]))
    child = seen | Seen.of(Dataset(train=tuple(PHOTOS[6:7]), val=tuple(PHOTOS[7:8]), test=()))
    assert [child.fitted_on(photo) for photo in PHOTOS] == [True] * 8 + [False]
    assert [child.chosen_on(photo) for photo in PHOTOS[6:]] == [False, True, True]
    # Entries of an earlier plantood know of no bound.
    del written["seen"]["bounded"]
    assert seen_by(replace(gate, metrics=gate.metrics | written)) == Seen.of(dataset)
