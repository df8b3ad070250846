"""Which way to tell unfamiliar photos is worth switching on, on sources that a gate never saw.

    python -m benchmarks.unfamiliarity --cache FOLDER --write docs/adapt.md [--beside PYTHON]

For each source a head and every detector are fitted to the photos of all other sources, without
their test split. What was left out is then told apart from the test split of the other class:
*others* never seen from known plants, and *plants* never seen from known others. Two collections
that share a table and a camera are left out together. Each detector stands alone, and added to the
logit of the head, each in standard deviations of the known test photos.

The figures of every detector on every source are written beside the document, as a CSV of its own.
With --beside, a Python that has pytorch-ood scores the same embeddings in every fold, and the run
fails unless it agrees.
"""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.embedded import embedded_public
from benchmarks.ood_agreement import Compared, agreement, compare
from benchmarks.ood_figures import as_csv, by_source, judged, summary
from benchmarks.ood_folds import Fold, folds
from benchmarks.ood_limits import switched_on
from plantood.training.common.settings import CACHE
from plantood.training.common.tables import write_between_markers
from plantood.training.files.atomic import write_text

FILE = "unfamiliarity.csv"
"""Beside the document."""


@click.command(help=__doc__)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE / "embedded")
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
@click.option("--beside", "python", help="A Python that has pytorch-ood.")
def main(cache: Path, write: Path | None, python: str | None) -> None:
    """Print the tables, and write them between their markers."""
    every: list[Fold] = []
    compared: list[Compared] = []
    versions = ""
    for known, fold in folds(embedded_public(cache)):
        click.echo(", ".join(fold.sources), err=True)
        if python:
            found, versions = compare(python, known, fold)
            compared += found
        every.append(fold)
    figures = judged(every)
    parts = {
        "unfamiliar-alone": summary(every, figures, fused=False),
        "unfamiliar-fused": summary(every, figures, fused=True),
        "unfamiliar-on": switched_on(every),
        "unfamiliar-sources": by_source(figures, fused=False),
        "unfamiliar-sources-fused": by_source(figures, fused=True),
    }
    if compared:
        parts["unfamiliar-beside"] = agreement(compared, versions)
    for name, text in parts.items():
        click.echo(f"\n{name}\n\n{text}")
        if write:
            write_between_markers(write, name, text)
    if write:
        write_text(write.with_name(FILE), as_csv(figures))


if __name__ == "__main__":
    main()
