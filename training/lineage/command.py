"""``plantood rounds``: what it asks for and what it prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from plantood.training.common.parameters import FILE, FOLDER
from plantood.training.common.settings import CACHE, RUNS


@click.command()
@click.argument("tag")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Judge all of them anew on these photos: folder or manifest, as for evaluate.",
)
@click.option(
    "--split", type=click.Choice(["train", "val", "test", "all"]), help="Only this split of them."
)
@click.option(
    "--plot", type=FILE, help="Picture: .svg, .png or .pdf.  [default: runs/rounds-TAG.svg]"
)
@click.option("--runs", type=FOLDER, default=RUNS, show_default=True)
@click.option("--cache", type=FOLDER, default=CACHE, show_default=True)
@click.option("--table-into", type=FILE, metavar="FILE", help="As for train.")
@click.option("--table-name", metavar="NAME", help="As for train.")
def rounds(  # noqa: PLR0917 click passes options by name
    tag: str,
    data: Path | None,
    split: str | None,
    plot: Path | None,
    runs: Path,
    cache: Path,
    table_into: Path | None,
    table_name: str | None,
) -> None:
    """Print where the gate TAG comes from, round by round, with the figures, and plot them.

    Each gate model stands beside its parent on the same photos, which is in brackets: test
    splits grow from round to round, so figures of different rounds are not of the same photos.
    With --data, all of them are judged on the same photos instead, through the graphs that serve;
    photos that any of them has learned from stand in the splits "trained on" and "chosen on".

    \b
    plantood rounds plantood-gate:latest
    plantood rounds plantood-gate:latest --data manifest.csv --split test
    """
    from plantood.training.common.output import print_results, write_table
    from plantood.training.common.tables import console_table, markdown, source_table
    from plantood.training.lineage.chain import lineage
    from plantood.training.lineage.plot import measured_steps, plot_steps, recorded_steps
    from plantood.training.lineage.tables import adapted_lines, lineage_table, other_lines

    line = lineage(tag)
    header, rows = lineage_table(line)
    text = markdown(header, rows)
    print_results(console_table(f"Lineage of {line.generations[-1].gate.tag}", header, rows))
    if line.missing:
        print_results(f"Its ancestor {line.missing} is no longer in the store.")
    print_results(*adapted_lines(line), *other_lines(line))
    steps = recorded_steps(line.generations)
    if data is not None:
        from plantood.training.judging.evaluation import interval_notes
        from plantood.training.judging.seen import seen_by
        from plantood.training.train.evaluate import evaluation_of_gate, photos_by_split

        known = seen_by(line.generations[-1].gate)
        by_split, _, groups = photos_by_split(data, cache, split, known)
        judged = [evaluation_of_gate(one.gate, by_split, groups) for one in line.generations]
        figures = [
            replace(evaluation, name=f"round {one.number}").figures()
            for one, evaluation in zip(line.generations, judged, strict=True)
        ]
        steps = measured_steps(figures)
        for name in by_split:
            table = source_table(figures, name)
            print_results(console_table(f"On the same photos, {name}", *table))
            text += f"\n\nOn the same photos, {name}:\n\n{markdown(*table)}"
        print_results(*interval_notes(figures[0]))
    file = plot or runs / f"rounds-{line.generations[-1].gate.tag.replace(':', '-')}.svg"
    file.parent.mkdir(parents=True, exist_ok=True)
    plot_steps([one.name for one in line.generations], steps, file)
    write_table(table_into, table_name, "rounds", text)
    print_results(f"Plot: {file}")
