"""What a gate model goes on learning from: new photos, and those that its parents knew.

Every collection is divided in the order in which the lineage got to know it, and what is divided
stays divided: a photo that the parent was tested on never becomes one that its child trains on.
A source that the parent left out is left out of its child, too, however its photos are given.
And a photo that the parent or an ancestor has learned from, or a near-duplicate of one, is neither
test nor validation, whatever a manifest calls it.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from plantood.errors import TrainingDataError
from plantood.model.entry import GateModel
from plantood.model.manifest import TrainingData
from plantood.training.common.gates import find_gate
from plantood.training.files.paths import composed, existing, spelled
from plantood.training.finetune.settings import FinetuneOptions, ReplaySettings
from plantood.training.finetune.sides import split_sides
from plantood.training.judging.seen import Seen
from plantood.training.negatives.run import ORIGINS
from plantood.training.photos.account import ensure_photos, read_usable
from plantood.training.photos.data import BadPhoto, Found, LabelledPhoto
from plantood.training.photos.dataset import Dataset, labels_digest
from plantood.training.photos.division.splits import divide
from plantood.training.review.log import DecisionLog
from plantood.training.rounds.layout import INFO, LABELS, Round

Kind = Literal["photos", "round", "negatives"]


@dataclass(frozen=True)
class Collection:
    """One argument of the command, or one collection that the parent was trained on."""

    kind: Kind
    path: Path
    left_out: tuple[str, ...] = ()
    at_most_per_source: int | None = None
    labels_sha256: str = ""
    """As the parent knew it; empty if it is new."""


@dataclass
class Gathered:
    """All photos of one fine-tuning, divided."""

    dataset: Dataset
    data: tuple[TrainingData, ...]
    """What the new gate model says that it was trained on, the new collections last."""
    added: tuple[TrainingData, ...]
    """The new ones of them."""
    replayed: int
    """Old photos among those trained on."""
    known: Seen
    """What the parent has seen and what the child will have."""
    seen: dict[str, int]
    """By split, photos that are left out of it, since the parent knows them or near-duplicates."""
    notes: list[str] = field(default_factory=list)


def kind_of(path: Path) -> Kind:
    """A round, a folder of negatives, or labelled photos, told by what is in the folder."""
    if (path / INFO).is_file():
        return "round"
    return "negatives" if (path / ORIGINS).is_file() else "photos"


def read_collection(collection: Collection) -> list[LabelledPhoto]:
    """Its labelled photos, not yet opened; errors as of :func:`find_collection`."""
    return find_collection(collection).photos


def find_collection(collection: Collection) -> Found:
    """Its labelled photos, not yet opened, and what is left out of it.

    Raises:
        TrainingDataError: there is none, or it cannot be read.
        RoundError: the round is not mined to the end, or damaged.
    """
    path = collection.path
    if collection.kind == "round":
        DecisionLog(Round.open(path), to_read=True)  # brings labels.csv up to the newest decision
        try:
            return ensure_photos(path / LABELS)
        except TrainingDataError as error:
            raise TrainingDataError(f"{error} Review it first: plantood review {path}") from error
    return ensure_photos(path / ORIGINS if collection.kind == "negatives" else path)


def old_collections(gate: GateModel, settings: ReplaySettings) -> list[Collection]:
    """What the parent was trained on: as it was given, or as the parent says itself.

    One that is given and that the parent knows by its path is what the parent says of it.

    Raises:
        TrainingDataError: nobody says so, or it is not here any more.
    """
    if settings.no_replay:
        return []
    said = {record.path: _recorded(record) for record in gate.manifest.data}
    if settings.replay is not None:
        return [
            said.get(spelled(path.resolve())) or Collection(kind_of(path), path)
            for path in settings.replay
        ]
    if not gate.manifest.data:
        raise TrainingDataError(
            f"{gate.tag} does not say which photos it was trained on; give them with --replay "
            "DATA (labelled photos of your own will do), or fine-tune on the new ones alone with "
            "--no-replay: it forgets what they do not show."
        )
    for record in gate.manifest.data:
        if not existing(record.path).exists():
            raise TrainingDataError(
                f"{gate.tag} was trained on {record.path}, which is not here; give its photos with "
                "--replay DATA, or fine-tune on the new photos alone with --no-replay."
            )
    return list(said.values())


def _recorded(record: TrainingData) -> Collection:
    return Collection(
        record.kind,
        existing(record.path),
        record.left_out,
        record.at_most_per_source,
        record.labels_sha256,
    )


def sources_left_out(gate: GateModel) -> list[str]:
    """Sources that a gate model says it left out of its training, sorted."""
    return sorted({name for record in gate.manifest.data for name in record.left_out})


def check_collections(options: FinetuneOptions) -> None:
    """Tell of a parent or collection that is not there, or has no labels, without opening photos.

    Raises:
        GateModelNotFound: the store has no such parent.
        TrainingDataError: a collection cannot be read.
        RoundError: a round is not mined to the end, or damaged.
    """
    gate = find_gate(options.tag)
    for collection in old_collections(gate, options.replay) + new_collections(options):
        read_collection(collection)


def new_collections(options: FinetuneOptions) -> list[Collection]:
    """What is to be learned from now."""
    return [Collection(kind_of(path), path) for path in options.new]


def gather(
    old: Sequence[Collection],
    new: Sequence[Collection],
    share: float,
    seed: int,
    cache: Path,
    *,
    parent: Seen | None = None,
    left_out: Sequence[str] = (),
) -> Gathered:
    """Read, scan, divide and thin out all photos.

    Args:
        old: collections of the parent, in their order.
        new: collections to learn from now; one that is among the old ones as well counts as new.
        share: of the old training photos of each source that are replayed, 0..1.
        seed: of their choice.
        cache: folder where scanned photos are remembered.
        parent: what the parent and its ancestors have seen; None if nobody wrote it down: then it
            is what falls into train and validation of the old collections.
        left_out: sources that the parent left out. These, and those that a collection leaves out,
            are left out of whatever is given anew, which says nothing of what was never to be seen;
            of what the parent says itself that it was trained on, those that it left out of it.

    Raises:
        TrainingDataError: a collection cannot be read, or is empty, or all new photos are left out.
    """
    told = [*left_out, *(name for one in (*old, *new) for name in one.left_out)]
    never = set(map(composed, told))  # as sources are: an earlier plantood kept them as they came
    given = {collection.path.resolve() for collection in new}
    old = [collection for collection in old if collection.path.resolve() not in given]
    known: dict[str, LabelledPhoto] = {}
    place: dict[str, int] = {}
    groups: set[tuple[str, str]] = set()
    bad: list[BadPhoto] = []
    aside: set[str] = set()
    found: set[str] = set()
    data, notes = [], []
    division = divide([])
    for number, collection in enumerate([*old, *new]):
        photos, broken = read_usable(
            collection.path,
            cache,
            found=find_collection(collection),
            at_most=collection.at_most_per_source,
        )
        bad += broken
        digest = labels_digest(photos)
        if collection.labels_sha256 not in ("", digest):
            notes.append(f"{collection.path} has changed since the parent was trained on it.")
        corrected = [p for p in photos if p.sha256 in known and known[p.sha256].label != p.label]
        if corrected:
            notes.append(
                f"{len(corrected)} photos of {collection.path} are labelled otherwise than before; "
                "the new label counts."
            )
        for photo in photos:
            before = known.get(photo.sha256)
            # It stays on its side: the parent may have been trained on it.
            known[photo.sha256] = replace(photo, split=before.split) if before else photo
            place[photo.sha256] = number
        groups |= {(photo.sha256, name) for photo in photos for name in photo.groups}
        own = set(map(composed, collection.left_out)) if collection.labels_sha256 else never
        out = [
            photo
            for photo in photos
            if photo.source in own and not (parent is not None and parent.trained_on(photo))
        ]
        aside |= {photo.sha256 for photo in out}
        kept_out = {photo.source for photo in out}
        found |= never.intersection(photo.source for photo in photos)
        if out:
            notes.append(
                f"{len(out)} photos of {collection.path} are not learned from: they are of "
                f"{_listed(kept_out)}, which the parent left out; another source needs another "
                "name."
            )
        division = divide(list(known.values()), groups)
        known = {photo.sha256: photo for photo in division.photos}
        data.append(
            TrainingData(
                kind=collection.kind,
                path=spelled(collection.path.resolve()),
                photos=len(photos),
                labels_sha256=digest,
                left_out=tuple(sorted(kept_out.union(map(composed, collection.left_out)))),
                at_most_per_source=collection.at_most_per_source,
            )
        )
    is_old = {digest for digest, number in place.items() if number < len(old)}
    if new and aside.issuperset(place.keys() - is_old):
        raise TrainingDataError(
            f"All photos of {' and '.join(str(one.path) for one in new)} are of {_listed(found)}, "
            "which the parent left out, so that there is nothing to learn; give others, or, if "
            "they are of another source, give it another name."
        )
    if gone := never - found:
        notes.append(
            f"No photo is of {_listed(gone)}, which the parent left out; what has another name now "
            "is learned from."
        )
        # Else the child's own children could not know of it.
        last = data[-1]
        data[-1] = last.model_copy(update={"left_out": tuple(sorted(gone.union(last.left_out)))})
    sides = split_sides(division, aside, is_old, parent)
    old_train = [photo for photo in sides.train if photo.sha256 in is_old]
    kept = some_of_each_source(old_train, share, seed)
    dataset = Dataset(
        train=tuple(p for p in sides.train if p.sha256 not in is_old or p.sha256 in kept),
        val=sides.val,
        test=sides.test,
        left_out=sides.left_out,
        bad=tuple(bad),
        crossings=division.crossings,
        groups=division.group_of,
    )
    return Gathered(
        dataset=dataset,
        data=tuple(data),
        added=tuple(data[len(old) :]),
        replayed=len(kept),
        known=sides.parent | Seen.of(dataset),
        seen=sides.seen,
        notes=notes,
    )


def _listed(sources: Iterable[str]) -> str:
    return " and ".join(sorted(sources))


def some_of_each_source(photos: Sequence[LabelledPhoto], share: float, seed: int) -> set[str]:
    """Digests of a share of the photos of each source and class, rounded up.

    Chosen by content and seed alone, so that neither names nor other photos change the choice.
    """
    cells: dict[tuple[str, int], list[str]] = defaultdict(list)
    for photo in photos:
        cells[photo.source, photo.label].append(photo.sha256)
    chosen: set[str] = set()
    for digests in cells.values():
        digests.sort(key=lambda digest: hashlib.sha256(f"{seed}:{digest}".encode()).digest())
        chosen.update(digests[: math.ceil(share * len(digests))])
    return chosen
