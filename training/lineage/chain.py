"""The ancestors of a gate model, as the entries of the store tell it. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantood.errors import GateModelNotFound
from plantood.model.entry import GateModel
from plantood.model.manifest import TrainingData
from plantood.model.store import GateSummary, list_gates, load_gate
from plantood.training.common.gates import find_gate


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
    def figures(self) -> Mapping[str, Any]:
        """Its own figures by split, as they were measured when it was saved."""
        figures: Mapping[str, Any] = self.gate.metrics.get("splits", {})
        return figures

    @property
    def parent_figures(self) -> Mapping[str, Any]:
        """Those of its parent on the same photos; empty for the first one."""
        figures: Mapping[str, Any] = self.gate.metrics.get("before", {}).get("splits", {})
        return figures


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
