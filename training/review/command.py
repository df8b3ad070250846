"""``plantood review`` and ``labels``: what they ask for and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from plantood.training.common.options import round_argument

if TYPE_CHECKING:
    from plantood.training.review.log import DecisionLog


@click.command()
@round_argument
@click.option("--reviewer", metavar="NAME", help="Name to begin with; the page can change it.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Others than this machine need the token that is printed.",
)
@click.option(
    "--port", default=8400, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option(
    "--token",
    envvar="PLANTOOD_REVIEW_TOKEN",
    show_envvar=True,
    help="To ask for, always the same one.  [default: a new one where one is needed]",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A further name of this machine by which browsers may reach it.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def review(  # noqa: PLR0917 (click calls it by name)
    folder: Path,
    reviewer: str | None,
    host: str,
    port: int,
    token: str | None,
    allow_host: tuple[str, ...],
    no_browser: bool,
) -> None:
    """Look at the mined photos of ROUND on a local web page, and say what they show.

    Every decision is on disk before the next photo shows: appended to ROUND/labels.jsonl, and
    what the reviewers together say in ROUND/labels.csv, which finetune reads. Stop the server
    whenever you like and start it again: it goes on.

    \b
    plantood review round-1/
    plantood review round-1/ --host 0.0.0.0   # for others too, with a token
    """
    from plantood.training.review.names import clean_name
    from plantood.training.review.server.serve import serve_review
    from plantood.training.rounds.layout import LABELS, Round

    def announce(log: DecisionLog, urls: list[str]) -> None:
        click.echo(f"{len(log.photos)} photos to review: {counted(log)}")
        for url in urls:
            click.echo(url)
        click.echo("Every decision is saved at once. Stop the server with Ctrl-C.")

    try:
        name = clean_name(reviewer) if reviewer else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--reviewer") from error
    round_ = Round.open(folder)
    log = serve_review(
        round_,
        host=host,
        port=port,
        token=token,
        names=allow_host,
        reviewer=name,
        open_browser=not no_browser,
        announce=announce,
    )
    click.echo(f"{round_.path / LABELS}: {counted(log)}")


def counted(log: DecisionLog) -> str:
    """What the reviewers together say of the photos, and of how many they say nothing yet."""
    said = log.summary()
    left = len(log.photos) - said["plant"] - said["other"]
    return f"{said['plant']} plant, {said['other']} other; {left} undecided."
