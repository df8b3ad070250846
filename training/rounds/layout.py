"""The folder of a round, in which ``mine`` writes, ``review`` labels and ``finetune`` reads.

::

    round-1/
      round.json      RoundInfo: how it was mined, and the funnel
      scores.jsonl    one line for every scored photo, appended
      unreadable.csv  path,reason
      mined.csv       the photos to look at, most suspicious first
      photos/ab/ab12....jpg   their bytes, so that the round needs nothing else
      labels.jsonl    every decision of every reviewer, appended
      labels.csv      made of it: path,label,source,... as the training commands read it

A photo is known by its id, the SHA-256 of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plantood.errors import RoundError
from plantood.photo.images import Limits
from plantood.training.common.validation import first_problem
from plantood.training.files.atomic import write_csv, write_json
from plantood.training.rounds import journal
from plantood.training.rounds.labels import Decision, ResolvedLabel, resolve
from plantood.training.rounds.mined import DIGEST, MinedPhoto, read_mined, write_mined
from plantood.training.rounds.plain import open_plain

FORMAT_VERSION = 1

INFO = "round.json"
SCORES = "scores.jsonl"
UNREADABLE = "unreadable.csv"
MINED = "mined.csv"
PHOTOS = "photos"
DECISIONS = "labels.jsonl"
LABELS = "labels.csv"

LABEL_COLUMNS = ("path", "label", "source", "id", "kind", "reviewers")


class NoPhoto(RoundError):
    """The round has no such photo, or something else in its place."""


class RoundInfo(BaseModel):
    """``round.json``: how the round was mined, and what came of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    gate: str = Field(description="Tag of the gate model that scored.")
    gate_sha256: str = Field(description="Digest of its gate.json.")
    source: str = Field(description="Where the photos come from, as it was given.")
    sample: int | None = Field(default=None, description="Photos to draw; None for all of them.")
    at_most: float = Field(default=0.6, description="Photos up to this plant probability.")
    seed: int = 0
    labelled: list[str] = Field(default_factory=list, description="Left out, as it was given.")
    policy: dict[str, float] = Field(
        default_factory=dict,
        description="Thresholds of the verdicts; empty in a round of an earlier plantood, whose "
        "verdicts are by those of its gate.",
    )
    limits: Limits = Field(default=Limits(), description="What a photo could cost, or be refused.")
    options: dict[str, Any] = Field(default_factory=dict, description="All other choices.")
    counts: dict[str, int] = Field(default_factory=dict, description="The funnel, when finished.")


class Round:
    """A round's folder. Holds no state beside the files, so that several may look at one."""

    def __init__(self, path: Path, info: RoundInfo) -> None:
        """Use :meth:`open` or :meth:`create`."""
        self.path = path
        self.info = info

    @classmethod
    def create(cls, path: str | Path, info: RoundInfo) -> Round:
        """Begin a round, or write new information about one."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / INFO, info.model_dump(mode="json"))
        return cls(path, info)

    @classmethod
    def open(cls, path: str | Path) -> Round:
        """Open a round that is there.

        Raises:
            RoundError: The folder is no round, or one of another version.
        """
        path = Path(path)
        file = path / INFO
        if not file.is_file():
            raise RoundError(
                f"{path} is no round: it has no {INFO}; make one with "
                f"`plantood mine SOURCE --gate TAG --out {'FOLDER' if path.is_dir() else path}`."
            )
        try:
            info = RoundInfo.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise RoundError(
                f"{file} cannot be read ({first_problem(error)}); restore it, or mine again into "
                "another folder."
            ) from error
        if info.format_version != FORMAT_VERSION:
            raise RoundError(
                f"{file} has format version {info.format_version}, this plantood reads "
                f"{FORMAT_VERSION}; use the plantood that wrote it."
            )
        return cls(path, info)

    # Mining

    def append_scores(self, scores: Iterable[Mapping[str, Any]]) -> None:
        """Append lines to ``scores.jsonl``; a kill loses none of them, see :mod:`.journal`."""
        journal.append(self.path / SCORES, scores, to_disk=False)

    def scores(self) -> Iterator[dict[str, Any]]:
        """The lines of ``scores.jsonl``, one at a time."""
        return journal.read(self.path / SCORES)

    def write_mined(self, photos: Iterable[MinedPhoto]) -> None:
        """Write ``mined.csv``; with it the round can be reviewed."""
        write_mined(self.path / MINED, photos)

    # Reading

    @property
    def is_mined(self) -> bool:
        """True if mining is finished."""
        return (self.path / MINED).is_file()

    def mined(self) -> list[MinedPhoto]:
        """The photos to look at, most suspicious first.

        Raises:
            RoundError: Mining is not finished, or ``mined.csv`` is damaged.
        """
        file = self.path / MINED
        if not self.is_mined:
            raise RoundError(
                f"{self.path} is not mined to the end yet; run the same `plantood mine` "
                "again, it goes on where it was."
            )
        return read_mined(file)

    def photo_path(self, identity: str) -> Path:
        """The copy of a mined photo.

        Raises:
            NoPhoto: The round has no photo with this id.
        """
        if DIGEST.fullmatch(identity):
            for file in (self.path / PHOTOS / identity[:2]).glob(f"{identity}.*"):
                if file.suffix != ".tmp":
                    return file
        raise NoPhoto(f"{self.path} has no photo {identity}.")

    def open_photo(self, identity: str) -> IO[bytes]:
        """Open the copy of a mined photo: a file within the round, and nothing else.

        Raises:
            NoPhoto: The round has no photo with this id, or a link or pipe in its place.
        """
        path = self.photo_path(identity)
        try:
            return open_plain(self.path, PHOTOS, identity[:2], path.name)
        except OSError as error:
            raise NoPhoto(
                f"{path.relative_to(self.path)} is no file that can be read, with no link on the "
                f"way to it ({error.strerror or error}); copy the photo itself into the round."
            ) from error

    def ensure_own(self, *names: str) -> None:
        """Make sure that what is written to these files is not written to others.

        Raises:
            RoundError: One of them is a link.
        """
        for name in names:
            if (self.path / name).is_symlink():
                raise RoundError(
                    f"{self.path / name} is a link; put the file that it leads to in its place."
                )

    # Labels

    def append_decisions(self, decisions: Iterable[Decision]) -> journal.Appended | None:
        """Append decisions to ``labels.jsonl``, all or none; they are on disk when this returns."""
        records = (decision.model_dump(mode="json") for decision in decisions)
        return journal.append(self.path / DECISIONS, records)

    def decisions(self) -> Iterator[Decision]:
        """All decisions, in the order in which they were made.

        Raises:
            RoundError: A line is damaged.
        """
        for number, record in enumerate(journal.read(self.path / DECISIONS), start=1):
            try:
                yield Decision.model_validate(record)
            except ValidationError as error:
                raise RoundError(
                    f"Line {number} of {self.path / DECISIONS} cannot be read "
                    f"({first_problem(error)}); correct or remove it."
                ) from error

    def labels(self) -> dict[str, ResolvedLabel]:
        """What the reviewers together say, by photo id."""
        return resolve(self.decisions())

    def write_labels(
        self,
        photos: Iterable[MinedPhoto] | None = None,
        labels: Mapping[str, ResolvedLabel] | None = None,
    ) -> Path:
        """Make ``labels.csv`` of the decisions: the photos that can be trained on.

        It is a manifest as :func:`plantood.training.photos.data.find_data` takes it.

        Args:
            photos: :meth:`mined`, if the caller has read it already.
            labels: :meth:`labels`, likewise.
        """
        photos = self.mined() if photos is None else photos
        labels = self.labels() if labels is None else labels
        rows = [
            {
                "path": photo.file,
                "label": label.label,
                "source": photo.source or self.path.resolve().name,
                "id": photo.id,
                "kind": label.kind or "",
                "reviewers": "+".join(sorted(label.votes)),
            }
            for photo in photos
            if (label := labels.get(photo.id)) is not None and label.decided
        ]
        write_csv(self.path / LABELS, LABEL_COLUMNS, rows)
        return self.path / LABELS
