"""What reviewers said of the photos of a round, and what it amounts to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Label = Literal["plant", "other", "unsure"]
Kind = Literal["no_plant", "unfit"]
Origin = Literal["review", "label_studio", "csv"]

DECIDED = ("plant", "other")
"""Labels that can be trained on."""


class Decision(BaseModel):
    """One line of ``labels.jsonl``: what one reviewer said of one photo, and when.

    A line with ``undone`` takes back that reviewer's last decision on the photo that still stands,
    so that the one before it counts again; its label repeats what it takes back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    reviewer: str = Field(min_length=1)
    id: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the photo's bytes.")
    label: Label
    kind: Kind | None = Field(
        default=None,
        description="Of an `other`: `no_plant`, or `unfit`: a plant, but blurred or too close.",
    )
    origin: Origin = "review"
    undone: bool = False


@dataclass(frozen=True)
class ResolvedLabel:
    """What the reviewers together say of one photo.

    Attributes:
        id: SHA-256 of the photo's bytes, hexadecimal.
        label: ``plant``, ``other`` or ``unsure`` if more than half of the reviewers say so; None
            where no label has more than half.
        kind: Of an ``other``, the kind that most of them gave; None if there is no such.
        votes: The decision of each reviewer that stands, by name.
    """

    id: str
    label: Label | None
    kind: Kind | None
    votes: Mapping[str, Decision]

    @property
    def decided(self) -> bool:
        """True if the photo can be trained on."""
        return self.label in DECIDED

    @property
    def disputed(self) -> bool:
        """True if the reviewers do not all say the same."""
        return len({vote.label for vote in self.votes.values()}) > 1


def standing(decisions: Iterable[Decision]) -> dict[str, dict[str, Decision]]:
    """By photo and reviewer the decision that stands, after changes of mind and undoing."""
    stacks: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in decisions:
        stack = stacks[decision.id, decision.reviewer]
        if not decision.undone:
            stack.append(decision)
        elif stack:
            stack.pop()
    votes: dict[str, dict[str, Decision]] = defaultdict(dict)
    for (identity, reviewer), stack in stacks.items():
        if stack:
            votes[identity][reviewer] = stack[-1]
    return dict(votes)


def resolve(decisions: Iterable[Decision]) -> dict[str, ResolvedLabel]:
    """The label of every photo that somebody judged, by its id, in the order of first judgement."""
    return {identity: vote(identity, votes) for identity, votes in standing(decisions).items()}


def vote(identity: str, votes: Mapping[str, Decision]) -> ResolvedLabel:
    """The majority of the reviewers of one photo: more than half of them, or nothing."""
    label, count = Counter(decision.label for decision in votes.values()).most_common(1)[0]
    if 2 * count <= len(votes):
        return ResolvedLabel(identity, None, None, votes)
    kinds = Counter(
        decision.kind for decision in votes.values() if decision.label == label and decision.kind
    ).most_common(2)
    tied = len(kinds) == 2 and kinds[0][1] == kinds[1][1]
    return ResolvedLabel(identity, label, kinds[0][0] if kinds and not tied else None, votes)
