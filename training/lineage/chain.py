"""The ancestors of a gate model, as the entries of the store tell it. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from plantood.errors import GateModelNotFound
from plantood.model.entry import GateModel
from plantood.model.manifest import TrainingData
from plantood.model.store import GateSummary, list_gates, load_gate
from plantood.training.common.gates import find_gate

ADAPTED = "adapted"
"""Of ``metrics.json``: what `plantood adapt` measured."""


@dataclass(frozen=True)
class Generation:
    """One gate model of a lineage."""

    number: int
    """0 for the first training, then the round."""
    gate: GateModel
    added: tuple[TrainingData, ...]
    """What it was trained on that its parent was not, or not with these labels."""

    @property
    def name(self) -> str:
        """Short, for charts: the round, and what it was made of."""
        return "\n".join([str(self.number), *(Path(record.path).name for record in self.added)])

    @property
    def adapted(self) -> bool:
        """Whether it is its parent with a correction, by `plantood adapt`."""
        return ADAPTED in self.gate.metrics

    @property
    def figures(self) -> Mapping[str, Any]:
        """Its own figures by split, as they were measured when it was saved.

        Of one that was adapted the splits are the new photos, each judged without it, and the
        photos of the memory; see :func:`adapted_figures`.
        """
        metrics = self.gate.metrics
        figures: Mapping[str, Any] = (
            adapted_figures(metrics[ADAPTED], 1) if self.adapted else metrics.get("splits", {})
        )
        return figures

    @property
    def parent_figures(self) -> Mapping[str, Any]:
        """Those of its parent on the same photos; empty for the first one."""
        metrics = self.gate.metrics
        figures: Mapping[str, Any] = (
            adapted_figures(metrics[ADAPTED], 0)
            if self.adapted
            else metrics.get("before", {}).get("splits", {})
        )
        return figures


def adapted_figures(adapted: Mapping[str, Any], when: Literal[0, 1]) -> dict[str, Any]:
    """What `adapt` measured, as `Evaluation.figures` has splits, but for what it did not measure.

    Args:
        adapted: of ``metrics.json``, as `adapt.judge.ChildJudgement.as_dict` says.
        when: 0 for before, 1 for after.
    """
    totals = {(row["source"], row["error"]): row for row in (*adapted["new"], *adapted["known"])}
    splits = {}
    for figures in adapted["figures"]:
        counted = {}
        for error, right, of in (
            ("false_accept", "true_retake", "others"),
            ("false_retake", "true_accept", "plants"),
        ):
            row = totals.get((figures["photos"], f"{error.replace('_', ' ')}s"), {})
            wrong = row.get(("wrong_before", "wrong_after")[when], 0)
            counted[of] = error, wrong, right, row.get("count", 0)
        splits[figures["photos"]] = {
            "at_half": {
                "count": figures["count"],
                "loss": figures["log_loss"][when],
                "accuracy": None,
                "f1": None,
                **{of: count for of, (*_, count) in counted.items()},
            },
            "at_threshold": {
                "confusion": {
                    name: number
                    for error, wrong, right, count in counted.values()
                    for name, number in ((error, wrong), (right, count - wrong))
                }
            },
        }
    return splits


@dataclass(frozen=True)
class Lineage:
    """A gate model and its ancestors, the first one in front."""

    generations: tuple[Generation, ...]
    missing: str | None
    """Tag of the ancestor that is no longer in the store, if there is one."""
    others: tuple[GateSummary, ...]
    """Gate models in the store that go back to one of these but lie beside the line."""


def lineage(tag: str) -> Lineage:
    """Follow the parents of a gate model as far as the store has them.

    Raises:
        GateModelNotFound: the store has no gate model with this tag.
        GateModelCorrupt: one of them is damaged.
    """
    line = [find_gate(tag)]
    missing = None
    while (parent := line[-1].manifest.parent) is not None:
        try:
            line.append(load_gate(parent))
        except GateModelNotFound:
            missing = parent
            break
    line.reverse()
    generations = []
    for place, gate in enumerate(line):
        known = {
            (record.path, record.labels_sha256)
            for record in (line[place - 1].manifest.data if place else ())
        }
        added = [r for r in gate.manifest.data if (r.path, r.labels_sha256) not in known]
        number = place + (missing is not None)
        generations.append(Generation(number, gate, tuple(added)))
    return Lineage(tuple(generations), missing, _others([gate.tag for gate in line]))


def _others(line: list[str]) -> tuple[GateSummary, ...]:
    """Descendants of the line that are not in it, oldest first."""
    family = set(line)
    others = []
    for gate in sorted(list_gates(), key=lambda gate: gate.created):  # parents come first
        if gate.parent in family and gate.tag not in family:
            family.add(gate.tag)
            others.append(gate)
    return tuple(others)
