"""Whether somebody has edited ``labels.csv``, which is made of what the reviewers said.

It is written after ``labels.jsonl``. Unless it is the newer of the two, a kill may have come in
between, and it says what the reviewers said at some time. Anything else in it is by hand.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate

from plantood.errors import RoundError
from plantood.training.files.sheets import columns, read_table
from plantood.training.rounds.labels import Decision, resolve
from plantood.training.rounds.layout import DECISIONS, LABELS, Round
from plantood.training.rounds.mined import MinedPhoto

Said = tuple[str, str]
"""Label and kind, as they stand in the file; both empty if the photo is not in it."""
_NOTHING: Said = ("", "")


def ensure_unedited(
    round_: Round, photos: Collection[MinedPhoto], decisions: Iterable[Decision]
) -> None:
    """Make sure that writing ``labels.csv`` anew undoes nobody's work.

    Args:
        round_: Whose labels they are.
        photos: Of the round.
        decisions: All that the reviewers have said.

    Raises:
        RoundError: It would; the message says what to do.
    """
    file = round_.path / LABELS
    try:
        written = file.stat().st_mtime_ns
    except FileNotFoundError:
        return
    journal = round_.path / DECISIONS
    newer = not journal.exists() or written > journal.stat().st_mtime_ns
    said = _said(decisions, newer)
    found = _in_file(round_, photos)
    edited = [
        photo
        for photo in photos
        if found.get(photo.id, _NOTHING) not in said.get(photo.id, [_NOTHING])
    ]
    if edited:
        first = edited[0]
        raise RoundError(
            f"{file} was changed by hand ({len(edited)} photos, for example {first.path}: "
            f"{_words(found.get(first.id, _NOTHING))} instead of "
            f"{_words(said.get(first.id, [_NOTHING])[-1])}), but it is made of what the reviewers "
            f"say, and would be made anew. To take the changes in, run `{_import(round_)}`, where "
            "NAME is who changed it; to drop them, remove the file."
        )


def ensure_current(
    round_: Round, photos: Collection[MinedPhoto], decisions: Iterable[Decision]
) -> None:
    """Make sure that ``labels.csv`` is what it would be if it could be written anew.

    Args:
        round_: Whose labels they are.
        photos: Of the round.
        decisions: All that the reviewers have said.

    Raises:
        RoundError: It is not.
    """
    said = _said(decisions, newer=True)
    found = _in_file(round_, photos) if (round_.path / LABELS).exists() else {}
    if any(found.get(photo.id, _NOTHING) != said.get(photo.id, [_NOTHING])[-1] for photo in photos):
        raise RoundError(
            f"{round_.path / LABELS} is older than what the reviewers said, and cannot be written; "
            "copy the round to where it can be."
        )


def _import(round_: Round) -> str:
    files = [str(round_.path), str(round_.path / LABELS)]
    command = ["plantood", "labels", "import", *files]
    return shlex.join([*command, "--reviewer", "NAME", "--replace"])


def _said(decisions: Iterable[Decision], newer: bool) -> dict[str, list[Said]]:
    """By photo, what may stand in the file, the last of it now.

    In a ``newer`` file only that; else what was to stand there after each decision, nothing at
    first.
    """
    of_photo: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        of_photo[decision.id].append(decision)
    return {
        photo: [_result(mine)]
        if newer
        else [_NOTHING, *(_result(some) for some in accumulate([d] for d in mine))]
        for photo, mine in of_photo.items()
    }


def _result(decisions: Sequence[Decision]) -> Said:
    for label in resolve(decisions).values():
        if label.decided:
            return (label.label or "", label.kind or "")
    return _NOTHING


def _in_file(round_: Round, photos: Iterable[MinedPhoto]) -> Mapping[str, Said]:
    file = round_.path / LABELS
    by_file = {photo.file: photo.id for photo in photos}
    remedy = "restore its first line, or remove the file: it is made anew."
    with file.open("rb") as opened:
        rows = read_table(opened, file, RoundError, columns("path", "label"), remedy)
        return {
            row.get("id") or by_file.get(row["path"], ""): (
                row["label"].lower(),
                row.get("kind", ""),
            )
            for _, row in rows
        }


def _words(said: Said) -> str:
    return ": ".join(filter(None, said)) or "no label"
