"""The decisions of all reviewers of one round: appended to disk, taken back, read by everybody.

Every decision has a number, its line in ``labels.jsonl``. No line that was acknowledged is ever
changed, so two tabs, two servers or an import beside a server cannot overwrite each other. One that
could not be saved, there or in ``labels.csv``, is taken back before its sender hears of it. What
stands is the newest decision of each reviewer on each photo. Who changes a decision may name the
one that he saw standing; if another one stands by now, he is told so instead (:class:`Superseded`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from plantood.errors import PlantoodError, RoundError
from plantood.training.common.validation import first_problem
from plantood.training.process.locks import NOT_WRITABLE, lock, open_to_read
from plantood.training.review.tally import Entry, Tally
from plantood.training.rounds.edits import ensure_current, ensure_unedited
from plantood.training.rounds.journal import Appended, NotTakenBack
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import DECISIONS, LABELS, Round
from plantood.training.rounds.mined import MinedPhoto

LOCK = ".review.lock"
"""Held from the look at what stands until the decision is in both files, or taken back again."""


_State = tuple[int, int, int]


class UnknownPhoto(PlantoodError):
    """The round has no such photo to review."""


class NothingToUndo(PlantoodError):
    """The reviewer has no decision on this photo."""


class Superseded(PlantoodError):
    """Another decision stands than the one that the caller saw.

    Attributes:
        standing: The one that stands; None if it was taken back.
    """

    def __init__(self, standing: Entry | None) -> None:
        self.standing = standing
        said = f"{standing.decision.label} was" if standing else "the last label was taken"
        back = "said in the meantime" if standing else "back in the meantime"
        super().__init__(f"On this photo {said} {back}, in another tab or by another program.")


class Unsaved(PlantoodError):
    """A decision that was refused is still in the file: no other is taken until that is mended."""


class DecisionLog:
    """All decisions on a round, in step with its files. Safe to use from several threads.

    Attributes:
        photos: The mined photos by id, most suspicious first.
    """

    def __init__(
        self, round_: Round, *, edits_are_taken: bool = False, to_read: bool = False
    ) -> None:
        """Read what there is, and bring ``labels.csv`` up to it.

        Args:
            round_: Whose decisions.
            edits_are_taken: What somebody changed in ``labels.csv`` by hand is known already.
            to_read: No decision will be made, so it may lie where nothing can be written.

        Raises:
            RoundError: Mining is not finished, a line is damaged, a file is a link, or
                ``labels.csv`` was changed by hand, or is behind and cannot be written.
        """
        round_.ensure_own(LOCK, DECISIONS)
        self.round = round_
        self.photos: Mapping[str, MinedPhoto] = {photo.id: photo for photo in round_.mined()}
        self._to_read = to_read
        self._thread_lock = threading.RLock()
        self._refused: Appended | None = None
        self._labels_file: _State | None = None
        self._written: int
        self._forget()
        with self._alone():
            if not edits_are_taken:
                self._ensure_unedited()
            try:
                self._write_labels()
            except OSError as error:
                if not to_read or error.errno not in NOT_WRITABLE:
                    raise
                decisions = (entry.decision for entry in self.entries)
                ensure_current(self.round, self.photos.values(), decisions)

    @property
    def entries(self) -> list[Entry]:
        """Every decision so far, in the order of their numbers."""
        return self._tally.entries

    def refresh(self) -> int:
        """Take in what others have appended; return the number of the newest decision."""
        with self._locked():
            return len(self.entries)

    def since(self, number: int) -> list[Entry]:
        """The decisions after this number, in order."""
        with self._locked():
            return self.entries[max(0, number) :]

    def looks(self, photo: str, reviewer: str) -> Sequence[Entry]:
        """What a reviewer said of a photo and did not take back; the last one stands."""
        return self._tally.looks(photo, reviewer)

    def standing(self, photo: str, reviewer: str) -> Entry | None:
        """The decision of a reviewer on a photo that stands."""
        return self._tally.standing(photo, reviewer)

    def votes(self, photo: str) -> dict[str, Entry]:
        """The decisions on a photo that stand, by reviewer."""
        return self._tally.votes(photo)

    def reviewers(self) -> list[str]:
        """Everybody with a decision that stands, by name."""
        with self._thread_lock:
            return self._tally.reviewers()

    def summary(self) -> dict[str, int]:
        """How many photos have a label, and on how many the reviewers together say what."""
        with self._thread_lock:
            return self._tally.summary()

    def decide(self, decision: Decision, seen: int | None = None) -> Entry:
        """Append a decision; when this returns, it is on disk and in ``labels.csv``.

        Args:
            decision: On a photo of the round.
            seen: Number of this reviewer's decision that the caller saw standing, 0 for none.
                None: whatever stands. The same decision sent again, because the answer was lost,
                is not appended twice.

        Raises:
            UnknownPhoto: The photo is not to be reviewed.
            Superseded: Another decision stands than the one seen, and it says something else.
            OSError: It could not be saved, and is not there.
            Unsaved: Nothing can be saved before the disk is repaired.
        """
        with self._alone():
            if decision.id not in self.photos:
                raise UnknownPhoto(f"There is no photo {decision.id} to review in this round.")
            standing = self.standing(decision.id, decision.reviewer)
            if seen is not None and seen != (standing.number if standing else 0):
                if standing and _says_the_same(standing.decision, decision):
                    self._write_labels()
                    return standing
                raise Superseded(standing)
            return self._append([decision])[0]

    def decide_all(self, decisions: Sequence[Decision]) -> None:
        """Append many decisions at once; whatever stands."""
        with self._alone():
            if decisions:
                self._append(decisions)

    def undo(self, photo: str, reviewer: str, seen: int | None = None) -> Entry:
        """Take back a reviewer's decision on a photo, so that the one before it stands again.

        Args:
            photo: Its id.
            reviewer: Name.
            seen: Number of the decision to take back; None for the one that stands. Asked for a
                second time, because the answer was lost, it is not taken back twice.

        Raises:
            NothingToUndo: There is none.
            Superseded: A newer one stands upon it.
        """
        with self._alone():
            if seen is not None and seen in self._tally.undone:
                self._write_labels()
                return self._tally.undone[seen]
            standing = self.standing(photo, reviewer)
            if standing is None:
                raise NothingToUndo(f"{reviewer} has no label on this photo to take back.")
            if seen is not None and seen != standing.number:
                raise Superseded(standing)
            taken_back = Decision(
                **standing.decision.model_dump(include={"reviewer", "id", "label", "kind"}),
                undone=True,
            )
            return self._append([taken_back])[0]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else decides meanwhile, in this process or another; all is read before."""
        with self._locked():
            if self._refused:
                self._take_back()
                self._read_on()
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; all is read before. Readers hold it too.

        Without it they could read a decision of another process that is going to be taken back.
        """
        path = self.round.path / LOCK
        opened = open_to_read(path) if self._to_read else path.open("ab")
        with self._thread_lock, opened as file:
            if file:
                lock(file)  # released when the file is closed, also by a kill
            self._read_on()
            yield

    def _append(self, decisions: Sequence[Decision]) -> list[Entry]:
        before, written = len(self.entries), self._written
        appended = None
        try:
            appended = self.round.append_decisions(decisions)
            self._read_on()
            self._write_labels()
        except Exception as error:
            self._refused = error.appended if isinstance(error, NotTakenBack) else appended
            self._forget()
            self._read_on()
            self._written = written  # labels.csv is what it was
            self._take_back()
            raise
        return self.entries[before:]

    def _take_back(self) -> None:
        """Remove the decisions that were refused from the file.

        Raises:
            Unsaved: They are still there.
        """
        if self._refused:
            try:
                self._refused.take_back()
            except NotTakenBack as error:
                raise Unsaved(
                    f"{error}; no label is taken until it is. Repair the disk, or remove what "
                    f"stands behind the first {len(self.entries)} lines of that file."
                ) from error
            self._refused = None

    def _write_labels(self) -> None:
        """Bring ``labels.csv`` up to the newest decision, unless it is.

        Raises:
            RoundError: Somebody has changed it by hand since it was written.
        """
        if self._written == len(self.entries):
            return
        if self._labels_file not in (None, _state(self.round.path / LABELS)):
            self._ensure_unedited()
        self._labels_file = _state(
            self.round.write_labels(self.photos.values(), self._tally.resolved)
        )
        self._written = len(self.entries)

    def _ensure_unedited(self) -> None:
        ensure_unedited(
            self.round, self.photos.values(), (entry.decision for entry in self.entries)
        )

    def _read_on(self) -> None:
        """Read the whole lines behind those already read."""
        try:
            with (self.round.path / DECISIONS).open("rb") as file:
                if file.seek(0, 2) < self._offset:  # restored from an older copy
                    self._forget()
                file.seek(self._offset)
                # what was refused does not count, even if it cannot be removed
                new = file.read(self._refused.length - self._offset if self._refused else -1)
        except FileNotFoundError:
            return
        for line in new[: new.rfind(b"\n") + 1].splitlines(keepends=True):
            self._tally.take(self._parse(line))
            self._offset += len(line)

    def _forget(self) -> None:
        self._tally = Tally()
        self._offset = 0
        self._written = -1  # decisions that are in labels.csv; unknown

    def _parse(self, line: bytes) -> Decision:
        try:
            return Decision.model_validate_json(line)
        except ValidationError as error:
            raise RoundError(
                f"Line {len(self.entries) + 1} of {self.round.path / DECISIONS} cannot be read "
                f"({first_problem(error)}); correct or remove it."
            ) from error


def _state(file: Path) -> _State:
    """What changes whenever somebody writes a file; zeros if there is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _says_the_same(one: Decision, other: Decision) -> bool:
    return (one.label, one.kind) == (other.label, other.kind)
