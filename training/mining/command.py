"""``plantood mine``: what it asks for and what it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from plantood.training.common.parameters import FOLDER, SEED, Number

if TYPE_CHECKING:
    from plantood.training.rounds.layout import Round


class SampleSize(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.4
    """A number of photos, or ``all``."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """None stands for all."""
        if value == "all":
            return None
        try:
            return click.IntRange(1).convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither a number of photos, from 1, nor all.", param, ctx)


@click.command()
@click.argument("source")
@click.option(
    "--gate",
    metavar="TAG",
    help="Gate model that scores.  [default: PLANTOOD_GATE, or the latest]",
)
@click.option("--out", type=FOLDER, required=True, metavar="FOLDER", help="Of the round.")
@click.option(
    "--sample",
    type=SampleSize(),
    default="5000",
    show_default=True,
    help="Photos to draw from SOURCE, each as likely as any other; all scores every one.",
)
@click.option(
    "--at-most",
    type=Number(0, 1),
    default=0.6,
    show_default=True,
    metavar="P",
    help="Choose the photos with a plant probability up to this.",
)
@click.option(
    "--unlike",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Choose N more: those most unlike the training photos.",
)
@click.option(
    "--margin",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Choose N more: those nearest to the gate's decision threshold.",
)
@click.option(
    "--audit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    metavar="N",
    help="Draw N of all scored photos besides, each as likely as any other: once they are "
    "reviewed, they tell how many photos of the source, without those of --labelled, are others, "
    "and how often the gate errs.",
)
@click.option(
    "--skip-refused",
    is_flag=True,
    help="Choose none that is too dark, bright, blurred or small: the gate refuses those without "
    "its network.",
)
@click.option(
    "--near-duplicates",
    is_flag=True,
    help="Keep photos that are alike to a labelled or to another chosen one, as in a burst.",
)
@click.option(
    "--labelled",
    multiple=True,
    type=click.Path(exists=True),
    metavar="CSV",
    help="Leave these photos out, by their path and their bytes: a CSV file (columns path, label), "
    "an earlier round, or a folder with plant/ and other/; may be given several times.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the sample.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Score here, or as a Ray Data job: on a cluster of this machine, or on the one that "
    "RAY_ADDRESS names.",
)
@click.option(
    "--readers",
    type=click.IntRange(1),
    metavar="N",
    help="Photos fetched and decoded at a time.  [default: the cores; at least 16 for a URL]",
)
def mine(**values: Any) -> None:
    """Find the photos in SOURCE on which a gate may err, for review.

    SOURCE is a folder (searched through), a list of photos (.txt with a path a line; .csv or
    .parquet with the column path, and source if there is one), the URL of a folder or list
    (s3://, gs://, file:// and whatever else fsspec knows), or the folder that the service keeps
    captured photos in.

    A seeded sample is drawn and scored, and judged as the service would, by PLANTOOD_POLICY and
    its limits on photos. The round's folder receives scores.jsonl, unreadable.csv,
    mined.csv with the photos to look at, most suspicious first, and copies of those. Run the same
    command again after an interruption: it goes on, scores nothing twice, and ends with the same
    result. With another --at-most, --unlike, --margin, --audit, --skip-refused or
    --near-duplicates it only chooses anew; --engine and --readers may change at any time. Once the
    photos of the audit are reviewed, it tells what follows from them.

    \b
    plantood mine photos/ --sample 5000 --at-most 0.6 --out round-1/
    plantood mine s3://bucket/photos --labelled labels.csv --out round-1/
    plantood mine list.parquet --sample all --engine ray --out round-1/
    """
    from plantood.training.common.output import print_results
    from plantood.training.common.tables import console_table
    from plantood.training.judging.audit import audit_lines
    from plantood.training.mining.mine import MineOptions, mine_photos

    round_ = mine_photos(MineOptions(**values))
    print_results(console_table("Funnel", ["step", "photos"], funnel(round_)))
    print_results(*unreadable(round_), summary(round_))
    if lines := audit_lines(round_):
        print_results(*lines)
    print_results("Next:", f"  plantood review {values['out']}")


def funnel(round_: Round) -> list[tuple[str, str]]:
    """The rows of the funnel: what was done, and how many photos were left."""
    info, counts = round_.info, round_.info.counts
    copies, refused = counts["copies"], counts["refused"]
    rows = [
        (f"listed in {info.source}", counts["listed"]),
        ("already labelled, left out", counts["already_labelled"]),
        ("copies of others, left out", copies) if copies else None,
        (f"sampled (seed {info.seed})", counts["sampled"]),
        ("unreadable (unreadable.csv)", counts["unreadable"]),
        ("scored", counts["scored"]),
        (f"P(plant) <= {info.at_most:g}", counts["at_most"]),
        ("of the others, most unlike the training photos", counts["unlike"])
        if counts["unlike"]
        else None,
        ("of the others, nearest to the threshold", counts["margin"]) if counts["margin"] else None,
        ("of all, drawn for the audit", counts["audit"]) if counts["audit"] else None,
        ("alike to labelled or chosen ones, left out (near_duplicates.csv)", counts["alike"])
        if counts["alike"]
        else None,
        ("to review (mined.csv)", counts["mined"]),
        ("  of these refused for their quality", refused) if refused else None,
    ]
    return [(step, f"{count:,}") for step, count in filter(None, rows)]


def unreadable(round_: Round) -> list[str]:
    """Why photos could not be read, each reason with its number and an example."""
    from plantood.training.mining.draw import UNREADABLE, skipped
    from plantood.training.photos.account import Account

    account = Account(round_.info.source)
    for line in skipped(round_, UNREADABLE):
        account.leave_out(line["reason"], line["path"])
    return account.lines()


def summary(round_: Round) -> str:
    """The funnel in one sentence, as the source project tells its own."""
    info, counts = round_.info, round_.info.counts
    return (
        f"{counts['scored']:,} sampled and scored by {info.gate}, {counts['at_most']:,} with "
        f"P(plant) <= {info.at_most:g}; {counts['mined']:,} to review in {round_.path}"
    )
