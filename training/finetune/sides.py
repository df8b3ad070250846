"""Who may judge a child: only photos that neither it nor an ancestor has learned from.

A photo stands for all that it is grouped with, its near-duplicates and those of the same `group`:
what was learned from one of them is known of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from plantood.training.judging.seen import DIGITS, Seen
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.dataset import Photos
from plantood.training.photos.division.splits import Division


@dataclass(frozen=True)
class Sides:
    """All photos of a fine-tuning, each on one side; those that are on none are in ``seen``."""

    train: Photos
    """Old and new ones, before some of the old ones are chosen for replay."""
    val: Photos
    test: Photos
    left_out: Photos
    """Of sources that were set aside, and what is grouped with them."""
    parent: Seen
    """What the parent has seen."""
    seen: dict[str, int]
    """Photos that would be of val, test or left out, and are not, by that name."""


def split_sides(
    division: Division, aside: Collection[str], old: Collection[str], parent: Seen | None
) -> Sides:
    """Part the photos of a division so that none is judged on that was learned from.

    * Photos that the parent was trained on are training photos, whatever their split.
    * Photos of sources set aside are not trained on, nor are others that are grouped with them,
      unless the parent was trained on these.
    * Validation photos that are grouped with a training photo are left out; test photos and those
      set aside also if they are grouped with a photo on which weights, or a threshold for costs,
      are chosen, the parent's or the child's.

    Args:
        division: photos with split and group.
        aside: digests of the photos of sources that were set aside.
        old: digests of the photos that the parent knows of.
        parent: what it has seen; None for what falls into train and val of the old ones.
    """

    def split(photo: LabelledPhoto) -> str:
        return "left out" if photo.sha256 in aside else photo.split or ""

    if parent is None:
        of_old = [photo for photo in division.photos if photo.sha256 in old]
        parent = Seen(
            *(
                frozenset(photo.sha256[:DIGITS] for photo in of_old if split(photo) == name)
                for name in ("train", "val")
            )
        )
    groups = division.group_of
    set_aside = {groups[digest] for digest in aside}
    trained, chosen = set(), set()
    for photo in division.photos:
        group = groups[photo.sha256]
        if parent.trained_on(photo) or (split(photo) == "train" and group not in set_aside):
            trained.add(group)
        if parent.fitted_on(photo) or split(photo) == "val":
            chosen.add(group)
    parts: dict[str, list[LabelledPhoto]] = {"train": [], "val": [], "test": [], "left out": []}
    seen: Counter[str] = Counter()
    for photo in division.photos:
        group, name = groups[photo.sha256], split(photo)
        if group in set_aside and not parent.trained_on(photo):
            name = "left out"
        if name == "train":
            parts[name].append(photo)
        elif group in trained or (name != "val" and group in chosen):
            seen[name] += 1
            if parent.trained_on(photo) and photo.sha256 not in aside:
                parts["train"].append(photo)
        else:
            parts[name].append(photo)
    train, val, test, left_out = (tuple(part) for part in parts.values())
    return Sides(train, val, test, left_out, parent, dict(seen))
