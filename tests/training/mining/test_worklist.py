from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from plantood.training.mining.labelled import Labelled
from plantood.training.mining.sources import Entry
from plantood.training.mining.worklist import WorkList, order_key


def listed(
    file: Path, names: list[str], seed: int = 0, labelled: Labelled | None = None
) -> WorkList:
    work = WorkList(file)
    entries = (Entry(f"/photos/{name}", name, "phone") for name in names)
    work.list_source(entries, labelled or Labelled(), seed)
    return work


def order(work: WorkList) -> list[str]:
    return [task.path for task in work.pending()]


NAMES = [f"day {i // 10}/{i}.jpg" for i in range(200)]


def test_the_order_does_not_depend_on_the_order_of_listing(tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    first = order(listed(tmp_path / "a", NAMES))
    assert first == order(listed(tmp_path / "b", shuffled))
    assert first == order(listed(tmp_path / "c", NAMES + shuffled))  # a photo counts once
    assert sorted(first) == sorted(f"/photos/{name}" for name in NAMES)


def test_a_photo_more_changes_the_order_of_no_other(tmp_path: Path) -> None:
    more = order(listed(tmp_path / "a", [*NAMES, "new.jpg"]))
    more.remove("/photos/new.jpg")
    assert more == order(listed(tmp_path / "b", NAMES))


def test_another_seed_gives_another_order(tmp_path: Path) -> None:
    orders = {tuple(order(listed(tmp_path / str(seed), NAMES, seed))[:5]) for seed in range(20)}
    assert len(orders) == 20


def test_every_photo_is_as_likely_as_any_other() -> None:
    """Of 200 photos 50 are drawn 2,000 times: each 500 times, with a deviation of 19."""
    drawn: Counter[str] = Counter()
    for seed in range(2000):
        drawn.update(sorted(NAMES, key=lambda name: order_key(seed, name))[:50])
    assert min(drawn[name] for name in NAMES) > 500 - 5 * 19.4
    assert max(drawn.values()) < 500 + 5 * 19.4


def test_the_key_is_fixed_for_ever() -> None:
    """Another function would draw another sample in the middle of a round."""
    assert order_key(0, "käse.jpg").hex() == "30d044c95b1b19b0ce914f24472fc163"


def test_labelled_photos_are_left_out(tmp_path: Path) -> None:
    labelled = Labelled({"/photos/" + NAMES[3]}, {"ab"})
    work = listed(tmp_path / "a", NAMES, labelled=labelled)
    assert "/photos/" + NAMES[3] not in order(work)
    assert (work.count(), work.already_labelled()) == (199, 1)
    assert work.is_labelled("ab")
    assert not work.is_labelled("cd")


def test_what_is_done_is_not_pending(tmp_path: Path) -> None:
    work = listed(tmp_path / "a", NAMES)
    everything = order(work)
    work.mark_done(everything[0], "id0")
    work.mark_done(everything[5])
    assert order(work) == everything[1:5] + everything[6:]
    assert work.same_bytes("id0") == everything[0]
    assert work.same_bytes("id1") is None


def test_it_can_be_marked_while_it_is_gone_through(tmp_path: Path) -> None:
    work = listed(tmp_path / "a", NAMES)
    gone_through = []
    for task in work.pending():
        gone_through.append(task.path)
        work.mark_done(task.path, task.path)
    assert len(gone_through) == len(NAMES)
    assert order(work) == []


def test_an_interrupted_listing_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> Iterator[Entry]:
        for i in range(3000):
            yield Entry(f"/{i}", str(i))
        raise KeyboardInterrupt

    work = WorkList(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        work.list_source(breaks(), Labelled(), 0)
    work.close()
    work = WorkList(tmp_path / "a")
    assert not work.is_listed
    assert work.count() == 0
    work.close()


def test_the_listing_is_kept(tmp_path: Path) -> None:
    work = listed(tmp_path / "a", NAMES)
    before = order(work)
    work.mark_done(before[0])  # which is not: the files of the round say what is done
    work.close()
    again = WorkList(tmp_path / "a")
    assert again.is_listed
    assert order(again) == before


def test_memory_does_not_grow_with_the_number_of_photos(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        entries = (Entry(f"/photos/{'x' * 80}/{i}", str(i)) for i in range(count))
        tracemalloc.start()
        work = WorkList(tmp_path / str(count))
        work.list_source(entries, Labelled(), 0)
        for task in work.pending():
            work.mark_done(task.path, task.path)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(20_000) < 1.2 * peak(2_000)
