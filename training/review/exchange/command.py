"""``plantood labels``: labels from and for other tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from plantood.training.common.options import round_argument
from plantood.training.common.parameters import FILE

FORMATS = {".json": "label-studio", ".csv": "csv", ".tsv": "csv"}
_NAMES = list(dict.fromkeys(FORMATS.values()))
format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(_NAMES),
    help="Of FILE.  [default: by its ending, .json or .csv]",
)


@click.group()
def labels() -> None:
    """Take labels from other tools into a round, or give them to other tools.

    \b
    plantood labels export round-1/ tasks.json    # for Label Studio
    plantood labels import round-1/ export.json
    plantood labels export round-1/ labels.csv    # for a spreadsheet
    plantood labels import round-1/ labels.csv --reviewer anna
    """


@labels.command("export")
@round_argument
@click.argument("file", type=FILE)
@format_option
@click.option(
    "--image-prefix",
    metavar="URL",
    help="Label Studio: what stands before photos/ab/ab12....jpg in the address of a photo.  "
    "[default: /data/local-files/?d=NAME_OF_THE_ROUND/]",
)
def export(folder: Path, file: Path, format_: str | None, image_prefix: str | None) -> None:
    """Write all photos of ROUND, with every reviewer's label, to FILE.

    For Label Studio, the labelling interface is written beside FILE, with the ending .xml.
    """
    from plantood.training.review.exchange import label_studio, sheet
    from plantood.training.review.log import DecisionLog
    from plantood.training.rounds.layout import Round

    with _writing(folder):
        log = DecisionLog(Round.open(folder), to_read=True)
    with _writing(file):
        if _format(file, format_) == "csv":
            count = sheet.write_sheet(log, file)
        else:
            count = label_studio.write_tasks(log, file, image_prefix)
            click.echo(f"Labelling interface: {file.with_suffix('.xml')}")
    click.echo(f"{file}: {len(log.photos)} photos, {count} labels.")


@labels.command("import")
@round_argument
@click.argument("file", type=FILE)
@format_option
@click.option("--reviewer", metavar="NAME", help="Count all labels under this name.")
@click.option(
    "--choice",
    "choices",
    multiple=True,
    metavar="THEIRS=OURS",
    help="What a word in FILE means: 'healthy leaf=plant', 'hand=other: no plant'.",
)
@click.option(
    "--replace", is_flag=True, help="Take the file's label where a reviewer said otherwise here."
)
def import_(  # noqa: PLR0917 (click calls it by name)
    folder: Path,
    file: Path,
    format_: str | None,
    reviewer: str | None,
    choices: tuple[str, ...],
    replace: bool,
) -> None:
    """Append the labels in FILE to those of ROUND. Doing it twice adds nothing.

    A review server may run meanwhile; its page shows them.
    """
    from plantood.training.review.exchange.finder import PhotoFinder
    from plantood.training.review.exchange.found import Choices, import_labels
    from plantood.training.review.exchange.label_studio_export import read_tasks
    from plantood.training.review.exchange.sheet import read_sheet
    from plantood.training.review.log import DecisionLog
    from plantood.training.rounds.layout import LABELS, Round

    round_ = Round.open(folder)
    is_csv = _format(file, format_) == "csv"
    read = read_sheet if is_csv else read_tasks
    finder = PhotoFinder({photo.id: photo for photo in round_.mined()}, round_.info.source)
    found = read(file, finder, Choices(_own(choices)))
    with _writing(folder):
        own = file.resolve() == (folder / LABELS).resolve()
        log = DecisionLog(round_, edits_are_taken=own)
        result = import_labels(
            log, found, "csv" if is_csv else "label_studio", reviewer=reviewer, replace=replace
        )
    by = f" by {', '.join(sorted(result.reviewers))}" if result.reviewers else ""
    click.echo(f"{result.added} labels added{by}, {result.unchanged} stood already.")
    if result.differ:
        done = "replaced" if replace else "left as they are; --replace takes the file's"
        click.echo(f"{result.differ} differ from what the same reviewer said here: {done}.")
    if result.unknown:
        click.echo(
            f"{result.unknown} are of photos that this round does not have, or contradict "
            f"themselves, for example: {result.unknown_at}."
        )
    if result.contradicting:
        one, other = result.contradicting_at
        click.echo(
            f"{result.contradicting} photos have different labels of one reviewer in the file; the "
            f"last one counts. For example: {one}, and: {other}."
        )


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Tell in one sentence that nothing can be written there."""
    from plantood.training.review.exchange.found import LabelFileError

    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise LabelFileError(f"{place} cannot be written ({why}); nothing was changed.") from error


def _format(file: Path, given: str | None) -> str:
    if given or (given := FORMATS.get(file.suffix.lower())):
        return given
    raise click.UsageError(f"{file} does not say what it is; give --format {'|'.join(_NAMES)}.")


def _own(choices: Sequence[str]) -> dict[str, str]:
    own = {}
    for choice in choices:
        theirs, equals, ours = choice.rpartition("=")
        if not equals:
            raise click.BadParameter(f"{choice!r} is not THEIRS=OURS", param_hint="--choice")
        own[theirs] = ours
    return own
