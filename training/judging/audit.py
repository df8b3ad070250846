"""What the photos that were drawn at random say of all photos of the source, once reviewed.

What is mined is chosen for looking suspicious, so its share of others says nothing of the source.
The photos of the audit are a simple random sample of all that were scored: shares among them
estimate the shares among all, without bias, and within Wilson's intervals. What was labelled before
and left out is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass

from plantood.training.common.intervals import share
from plantood.training.rounds.layout import Round

AUDIT = "audit"
"""Among the reasons of a photo's choice, says that it was drawn at random."""


@dataclass(frozen=True)
class Audit:
    """The photos of an audit that have a label.

    Attributes:
        drawn: All photos of the audit.
        plants: Labelled plant.
        others: Labelled other.
        false_accepts: Others that the gate accepts.
        false_retakes: Plants that the gate sends back.
    """

    drawn: int
    plants: int
    others: int
    false_accepts: int
    false_retakes: int

    @property
    def labelled(self) -> int:
        """Photos with a label."""
        return self.plants + self.others


def audit_of(round_: Round) -> Audit:
    """Count what was said of the photos of a round's audit, with the verdicts of its gate."""
    drawn = [photo for photo in round_.mined() if AUDIT in photo.selected_by]
    labels = round_.labels()
    verdicts = [
        (labels[photo.id].label, photo.verdict)
        for photo in drawn
        if photo.id in labels and labels[photo.id].decided
    ]
    return Audit(
        drawn=len(drawn),
        plants=sum(label == "plant" for label, _ in verdicts),
        others=sum(label == "other" for label, _ in verdicts),
        false_accepts=verdicts.count(("other", "accept")),
        false_retakes=verdicts.count(("plant", "retake")),
    )


def audit_lines(round_: Round) -> list[str]:
    """What follows for all photos of the source, in words; nothing before any is labelled.

    Where photos were left out as labelled already, it follows for the rest alone: what was labelled
    before was mostly chosen for being suspicious, so among the rest are fewer others.

    Photos without a label, that reviewers were unsure of or have not looked at, are told and not
    counted: if many of them are of one kind, the shares are off.
    """
    audit = audit_of(round_)
    if not audit.labelled:
        return []
    known = round_.info.counts.get("already_labelled", 0)
    lines = [
        f"Audit of {round_.path}: {audit.labelled} of {audit.drawn} photos drawn at random are "
        f"labelled. Of {'the photos not labelled before' if known else 'all photos there'}, "
        "with 95 % intervals:",
        f"  others: {share(audit.others, audit.labelled)}",
        f"  false accepts, of the others: {share(audit.false_accepts, audit.others)}",
        f"  false retakes, of the plants: {share(audit.false_retakes, audit.plants)}",
    ]
    if audit.labelled < audit.drawn:
        lines.append(f"  without a label, not counted: {audit.drawn - audit.labelled}")
    if known:
        lines.append(
            f"  labelled before, left out: {known:,}; so this share of others is not that of the "
            "source, and nothing to give as --share-of-others"
        )
    return lines
