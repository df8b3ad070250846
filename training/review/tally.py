"""What stands of the decisions on a round, counted in memory one line after the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plantood.training.rounds.labels import Decision, ResolvedLabel, vote


@dataclass(frozen=True)
class Entry:
    """One line of ``labels.jsonl``; ``number`` counts from 1."""

    number: int
    decision: Decision

    def as_json(self) -> dict[str, Any]:
        """Plain values for an answer over HTTP."""
        return {"number": self.number, **self.decision.model_dump(mode="json")}


class Tally:
    """The decisions so far, and what they amount to; the rule is that of `rounds.labels.standing`.

    Attributes:
        entries: Every decision, in the order of their numbers.
        resolved: What the reviewers together say, by photo.
        undone: By the number of a decision that was taken back, the line that did it.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.resolved: dict[str, ResolvedLabel] = {}
        self.undone: dict[int, Entry] = {}
        self._looks: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._votes: dict[str, dict[str, Entry]] = defaultdict(dict)

    def take(self, decision: Decision) -> None:
        """Count one more line."""
        entry = Entry(len(self.entries) + 1, decision)
        self.entries.append(entry)
        looks = self._looks[decision.id, decision.reviewer]
        if not decision.undone:
            looks.append(entry)
        elif looks:
            self.undone[looks.pop().number] = entry
        votes = self._votes[decision.id]
        if looks:
            votes[decision.reviewer] = looks[-1]
        else:
            votes.pop(decision.reviewer, None)
        if votes:
            self.resolved[decision.id] = vote(
                decision.id, {name: entry.decision for name, entry in votes.items()}
            )
        else:
            self.resolved.pop(decision.id, None)

    def looks(self, photo: str, reviewer: str) -> Sequence[Entry]:
        """What a reviewer said of a photo and did not take back; the last one stands."""
        return tuple(self._looks.get((photo, reviewer), ()))

    def standing(self, photo: str, reviewer: str) -> Entry | None:
        """The decision of a reviewer on a photo that stands."""
        looks = self._looks.get((photo, reviewer))
        return looks[-1] if looks else None

    def votes(self, photo: str) -> dict[str, Entry]:
        """The decisions on a photo that stand, by reviewer."""
        return dict(self._votes.get(photo, {}))

    def reviewers(self) -> list[str]:
        """Everybody with a decision that stands, by name."""
        return sorted({name for votes in self._votes.values() for name in votes})

    def summary(self) -> dict[str, int]:
        """How many photos have a label, and on how many the reviewers together say what."""
        said = Counter(label.label for label in self.resolved.values())
        return {"labelled": len(self.resolved), "plant": said["plant"], "other": said["other"]}
