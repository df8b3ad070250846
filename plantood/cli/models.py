"""``plantood models``: the gates in the store, with their figures."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from plantood.cli.output import rounded


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of a table.")
def models(as_json: bool) -> None:
    """List the gates in the Bento model store, newest first, with their figures.

    A name alone, or with :latest, means the gate that is marked so: the newest of this name, and
    the starter only if there is no other.
    """
    from dataclasses import asdict

    from plantood.model.store import damage, list_gates, newest_gate

    gates = list_gates()
    damaged = {gate.tag: damage(gate.tag) for gate in gates}
    latest = {newest_gate(gate.tag.partition(":")[0]) for gate in gates}
    if as_json:
        listed = [
            asdict(gate) | {"latest": gate.tag in latest, "damage": damaged[gate.tag]}
            for gate in gates
        ]
        click.echo(json.dumps(rounded(listed), default=str, indent=2))
        return
    if not gates:
        click.echo("The Bento model store has no gate; `plantood check` installs the starter.")
        return
    from rich import box
    from rich.console import Console
    from rich.text import Text

    from plantood.cli.tables import WholeWords

    table = WholeWords(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("Gate")
    for heading in ("Accuracy", "F1", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Created", no_wrap=True)
    for gate in gates:
        parts = gate.backbone, gate.head, gate.quantization, "adapted" if gate.adapted else None
        made_of = ", ".join(filter(None, parts))
        if gate.tag in latest:
            made_of = f"latest: {made_of}"
        table.add_row(
            Text(gate.tag).append(f"\n{made_of}", "dim"),
            Text(_figure(gate.metrics, "accuracy")).append(f"\n{_interval(gate.metrics)}", "dim"),
            _figure(gate.metrics, "f1"),
            f"{gate.bytes / 1e6:.1f}",
            f"{gate.created:%Y-%m-%d}",
        )
    Console().print(table, crop=False)
    if any(gate.adapted for gate in gates):
        click.echo(
            "A gate that was adapted has no test split: `plantood rounds TAG` shows what adapt "
            "measured, and with --data PHOTOS it beside its parent on the same photos."
        )
    for tag, what in damaged.items():
        if what:
            click.echo(f"{tag} cannot be used: {what}", err=True)


def _figure(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.3f}" if name in metrics else "-"


def _interval(metrics: Mapping[str, float]) -> str:
    """Of the accuracy; gates of an earlier plantood say none."""
    from plantood.model.manifest import ACCURACY_HIGH, ACCURACY_LOW

    if not {ACCURACY_LOW, ACCURACY_HIGH} <= metrics.keys():
        return ""
    return f"({metrics[ACCURACY_LOW]:.3f} to {metrics[ACCURACY_HIGH]:.3f})"
