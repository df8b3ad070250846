"""Draw the sample and score it, recording every outcome before the next; resumes anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from plantood.defaults import BATCH
from plantood.errors import SourceError
from plantood.training.mining.engines.scoring import Outcome
from plantood.training.mining.labelled import read_labelled
from plantood.training.mining.sources import entries
from plantood.training.mining.worklist import FILE, Task, WorkList
from plantood.training.process.progress import progress_bars
from plantood.training.rounds import journal
from plantood.training.rounds.layout import Round

SKIPPED = "skipped.jsonl"
"""Photos that were drawn but not scored: path, kind, reason. Appended, as the scores are."""
UNREADABLE, LABELLED, COPY = "unreadable", "labelled", "copy"

FAILURES_IN_A_ROW = 50
"""So many photos that cannot be fetched one after the other are no bad photos: the source is
gone. Nothing is recorded of them, so that they are tried again."""

Engine = Callable[[Iterable[Task], Callable[[str], bool], int], Generator[Outcome]]
"""Scores tasks in their order: the tasks, whether an id is new, and how many are wanted."""


def draw_photos(round_: Round, engine: Engine) -> dict[str, int]:
    """Score the sample of a round, as far as that is not done yet.

    Args:
        round_: What to draw; receives ``scores.jsonl`` and ``skipped.jsonl``.
        engine: What scores.

    Returns:
        The funnel: listed, already_labelled, copies, sampled, unreadable, scored.

    Raises:
        SourceError: The source cannot be listed, holds no photo, or fails on the way.
    """
    with closing(WorkList(round_.path / FILE)) as work:
        _list(work, round_)
        account = work.account(round_.info.source)
        account.show()
        available, labelled = work.count(), work.already_labelled()
        if not available + labelled:
            Path(round_.path / FILE).unlink()
            raise SourceError(f"There is no photo in {round_.info.source}{account.commonest()}.")
        progress = _Recorder(round_, work)
        wanted = available if round_.info.sample is None else min(round_.info.sample, available)
        _score(progress, engine, wanted)
        counts = progress.counts
        return {
            "listed": available + labelled,
            "already_labelled": labelled + counts[LABELLED],
            "copies": counts[COPY],
            "sampled": progress.drawn,
            "unreadable": counts[UNREADABLE],
            "scored": counts["scored"],
        }


def skipped(round_: Round, kind: str) -> Iterator[dict[str, str]]:
    """The photos that were drawn but not scored, of one kind: path and reason."""
    return (line for line in journal.read(round_.path / SKIPPED) if line["kind"] == kind)


class FetchFailures:
    """Tells a few photos that are gone from a source that is gone."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def count(self, fetched: bool, why: str, path: str) -> None:
        """Count one photo.

        Raises:
            SourceError: It is the last of very many that could not be fetched.
        """
        self._in_a_row = 0 if fetched else self._in_a_row + 1
        if self._in_a_row == FAILURES_IN_A_ROW:
            raise SourceError(
                f"{FAILURES_IN_A_ROW} photos in a row could not be read ({why}; for example "
                f"{path}); check the source and the network, then run the same command again: it "
                "goes on where it was."
            )


class _Recorder:
    """Writes down what became of the photos, and knows what was written before."""

    def __init__(self, round_: Round, work: WorkList) -> None:
        self.counts = {"scored": 0, UNREADABLE: 0, LABELLED: 0, COPY: 0}
        self.work = work
        self._round = round_
        self._failures = FetchFailures()
        self._scores: list[dict[str, Any]] = []
        self._skipped: list[dict[str, str]] = []
        self._not_fetched: list[dict[str, str]] = []
        for line in round_.scores():
            self.counts["scored"] += 1
            work.mark_done(line["path"], line["id"])
        for line in journal.read(round_.path / SKIPPED):
            self.counts[line["kind"]] += 1
            work.mark_done(line["path"])

    @property
    def drawn(self) -> int:
        """Photos that count for the sample: an unreadable one does, a copy does not."""
        return self.counts["scored"] + self.counts[UNREADABLE]

    def is_new(self, identity: str) -> bool:
        """True if these bytes are neither labelled nor scored."""
        return not (self.work.is_labelled(identity) or self.work.same_bytes(identity))

    def record(self, outcome: Outcome) -> None:
        """Take in one outcome; it is written within a batch."""
        self._failures.count(outcome.fetched, outcome.error, outcome.task.path)
        if outcome.fetched:
            self._skipped += self._not_fetched
            self._not_fetched = []
        if outcome.error:
            self._skip(outcome, UNREADABLE, outcome.error)
        elif self.work.is_labelled(outcome.id):
            self._skip(outcome, LABELLED, "the same bytes are labelled already")
        elif (first := self.work.same_bytes(outcome.id)) is not None:
            self._skip(outcome, COPY, f"the same bytes as {first}")
        elif outcome.score is not None:
            self.counts["scored"] += 1
            self.work.mark_done(outcome.task.path, outcome.id)
            self._scores.append(outcome.score)
        if len(self._scores) + len(self._skipped) >= BATCH:
            self.write()

    def write(self) -> None:
        """Write what was recorded, but for photos that could not be fetched just now.

        The scores last: they fill the sample, and what was skipped on the way to them counts.
        """
        journal.append(self._round.path / SKIPPED, self._skipped, to_disk=False)
        self._round.append_scores(self._scores)
        self._scores, self._skipped = [], []

    def finish(self) -> None:
        """Write everything."""
        self._skipped += self._not_fetched
        self._not_fetched = []
        self.write()

    def _skip(self, outcome: Outcome, kind: str, reason: str) -> None:
        self.counts[kind] += 1
        self.work.mark_done(outcome.task.path)
        line = {"path": outcome.task.path, "kind": kind, "reason": reason}
        (self._skipped if outcome.fetched else self._not_fetched).append(line)


def _list(work: WorkList, round_: Round) -> None:
    if work.is_listed:
        return
    info = round_.info
    labelled = read_labelled(info.labelled)
    with progress_bars() as bars:
        task = bars.add_task(f"Listing {info.source}", total=None, note="")
        work.list_source(
            entries(info.source, work.leave_out),
            labelled,
            info.seed,
            lambda count: bars.advance(task, count),
        )
        bars.update(task, total=max(1, work.count()), completed=max(1, work.count()))


def _score(progress: _Recorder, engine: Engine, wanted: int) -> None:
    """Score photos in their order until the sample is full; copies are replaced."""
    if progress.drawn >= wanted:
        return
    before, started = progress.drawn, time.monotonic()
    with progress_bars() as bars:
        bar = bars.add_task("Scoring", total=wanted, completed=before, note="")
        missing = wanted - before
        outcomes = engine(progress.work.pending(), progress.is_new, missing)
        try:
            for outcome in outcomes:
                progress.record(outcome)
                rate = (progress.drawn - before) / (time.monotonic() - started)
                bars.update(bar, completed=progress.drawn, note=f"{rate:.1f} photos/s")
                if progress.drawn == wanted:
                    break
            progress.finish()
        finally:
            outcomes.close()
            progress.write()  # also when it is interrupted or the source fails
