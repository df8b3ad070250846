"""Labels from elsewhere: what a file says, told apart from what stands in the round already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from plantood.errors import PlantoodError
from plantood.training.review.log import DecisionLog
from plantood.training.review.names import clean_name
from plantood.training.rounds.labels import Decision, Kind, Label, Origin


class LabelFileError(PlantoodError):
    """A file of labels cannot be read or written."""


class Meaning(NamedTuple):
    """What a word says: a label, and of an ``other`` its kind if it names one."""

    label: Label
    kind: Kind | None = None


WORDS = {
    "plant": Meaning("plant"),
    "other: no plant": Meaning("other", "no_plant"),
    "other: blurred or too close": Meaning("other", "unfit"),
    "other": Meaning("other"),
    "unsure": Meaning("unsure"),
}
"""The choices of a labelling tool, in the order in which they are offered."""

_ALIASES = {"no_plant": WORDS["other: no plant"], "unfit": WORDS["other: blurred or too close"]}


@dataclass(frozen=True)
class FoundLabel:
    """One label that a file holds.

    Attributes:
        photo: Id of a photo of the round; None if the round has no such photo.
        meaning: What it says.
        reviewer: Who said it; empty if the file does not tell.
        time: When; None if the file does not tell.
        where: Place in the file, for messages.
    """

    photo: str | None
    meaning: Meaning
    reviewer: str = ""
    time: datetime | None = None
    where: str = "The file"


@dataclass
class ImportResult:
    """How many labels of a file were new, stood already, differ from what stands, or have no photo.

    Attributes:
        reviewers: Whose labels were taken in.
        unknown_at: Place in the file of the first label without a photo.
        contradicting: Photos with several labels of one reviewer in the file.
        contradicting_at: Places in the file of the first two of these.
    """

    added: int = 0
    unchanged: int = 0
    differ: int = 0
    unknown: int = 0
    reviewers: set[str] = field(default_factory=set)
    unknown_at: str = ""
    contradicting: int = 0
    contradicting_at: tuple[str, str] = ("", "")


class Choices:
    """What the words in a file mean.

    Args:
        own: Words of the file's own, each with one of ours: ``{"healthy leaf": "plant"}``.

    Raises:
        LabelFileError: One of them means nothing.
    """

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._meanings = {_plain(word): meaning for word, meaning in (WORDS | _ALIASES).items()}
        for word, ours in (own or {}).items():
            self._meanings[_plain(word)] = self.meaning(ours, f"--choice {word}")

    def knows(self, word: str) -> bool:
        """Whether a word says anything here."""
        return _plain(word) in self._meanings

    def together(self, words: Sequence[str], where: str) -> Meaning:
        """What several words for one photo say.

        Raises:
            LabelFileError: One of them nothing that is known here, or they contradict each other.
        """
        first, *others = {self.meaning(word, where): word for word in words}.items()
        meaning, word = first
        for other, other_word in others:
            kinds = {meaning.kind, other.kind} - {None}
            if meaning.label != other.label or len(kinds) > 1:
                raise LabelFileError(
                    f"{where}: both {_shown(word)} and {_shown(other_word)} are chosen; leave one."
                )
            meaning = Meaning(meaning.label, *kinds)
        return meaning

    def meaning(self, word: str, where: str) -> Meaning:
        """What a word says.

        Raises:
            LabelFileError: Nothing that is known here.
        """
        if (meaning := self._meanings.get(_plain(word))) is None:
            known = ", ".join(WORDS)
            raise LabelFileError(
                f"{where}: {_shown(word)} is none of {known}; say what it means with "
                f"--choice {_shown(f'{word}=plant')}, or another of these."
            )
        return meaning


def import_labels(
    log: DecisionLog,
    found: Iterable[FoundLabel],
    origin: Origin,
    *,
    reviewer: str | None = None,
    replace: bool = False,
) -> ImportResult:
    """Append what is new to a round's decisions, all of it or nothing.

    Importing a file twice adds nothing the second time. Where a reviewer said something else in
    this round, that stays unless ``replace`` is set.

    Args:
        log: Of the round.
        found: What the file says, the newest last.
        origin: Kind of file.
        reviewer: Name under which all of them count, instead of the file's own.
        replace: Take the file's word where it differs.

    Raises:
        LabelFileError: A label has no reviewer, or an impossible name.
    """
    result = ImportResult()
    newest: dict[tuple[str, str], FoundLabel] = {}
    contradicting: dict[tuple[str, str], tuple[str, str]] = {}
    for label in found:
        name = _name(reviewer or label.reviewer, label.where)
        if label.photo is None:
            result.unknown += 1
            result.unknown_at = result.unknown_at or label.where
            continue
        before = newest.get((label.photo, name))
        if before is None or not _is_older(label, before):
            newest[label.photo, name] = label
        if before and before.meaning != label.meaning and before.time == label.time:
            contradicting.setdefault((label.photo, name), (before.where, label.where))
    result.contradicting = len(contradicting)
    result.contradicting_at = next(iter(contradicting.values()), ("", ""))
    decisions = []
    for (photo, name), label in newest.items():
        standing = log.standing(photo, name)
        if standing and label.meaning == (standing.decision.label, standing.decision.kind):
            result.unchanged += 1
            continue
        result.differ += bool(standing)
        result.added += not standing
        if standing and not replace:
            continue
        result.reviewers.add(name)
        decisions.append(
            Decision(
                time=label.time or datetime.now(UTC),
                reviewer=name,
                id=photo,
                label=label.meaning.label,
                kind=label.meaning.kind,
                origin=origin,
            )
        )
    log.decide_all(decisions)
    return result


def word_for(decision: Decision) -> str:
    """The word of :data:`WORDS` for a decision."""
    meaning = Meaning(decision.label, decision.kind)
    return next(word for word, other in WORDS.items() if other == meaning)


def parse_time(text: str | None, where: str) -> datetime | None:
    """A time as a file writes it, None if it says none. Without a zone it is taken for UTC.

    Raises:
        LabelFileError: The text is no time; ``where`` it stands.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise LabelFileError(
            f"{where}: the time is {_shown(text)}; it must be like 2026-11-24T10:21:10Z, or empty."
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_older(label: FoundLabel, than: FoundLabel) -> bool:
    return bool(label.time and than.time and label.time < than.time)


def _plain(word: str) -> str:
    return " ".join(word.casefold().split())


def _shown(word: str) -> str:
    """A word of the file in a message, whatever and however long it is."""
    return repr(word if len(word) <= 60 else f"{word[:60]}...")


def _name(name: str, where: str) -> str:
    if not name:
        raise LabelFileError(f"{where} does not say who labelled; give --reviewer NAME.")
    try:
        return clean_name(name)
    except ValueError as error:
        raise LabelFileError(f"{where}: {_shown(name)}: {error}; give --reviewer NAME.") from error
