"""``plantood negatives``: what it asks for and what it prints."""

from __future__ import annotations

from pathlib import Path

import click

from plantood.training.common.parameters import FOLDER

KINDS = ("soil",)


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=FOLDER, required=True, help="Folder for the windows; made, or gone on in."
)
@click.option(
    "--least-side",
    type=click.IntRange(96),
    default=224,
    show_default=True,
    help="Smallest side of a window, in pixels of a photo whose shorter side is at most 1344; "
    "larger photos are reduced.",
)
@click.option(
    "--at-most",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Windows of one photo, the largest first.",
)
@click.option(
    "--source",
    default="field",
    show_default=True,
    help="What they are called in tables by source, and their folder.",
)
@click.option(
    "--plants/--no-plants",
    default=True,
    show_default=True,
    help="Also list the photos themselves, as plants, if they hold enough vegetation: taught "
    "negatives alone, a gate refuses whatever comes from this camera.",
)
def negatives(  # noqa: PLR0917 click passes options by name
    kind: str,
    photos: tuple[Path, ...],
    out: Path,
    least_side: int,
    at_most: int,
    source: str,
    plants: bool,
) -> None:
    """Cut photos that are no plant out of PHOTOS that hold plants: the ground between them.

    PHOTOS are field photos from above, or folders of them. Vegetation is told by the excess-green
    index with Otsu's threshold; the largest windows without any are cut, except blurred or badly
    lit ones and those that still hold leaves. origins.csv says where each is from, as a manifest
    that fine-tuning reads: windows of one photo never fall on two sides of a split, nor does the
    photo. refused.csv says what was refused and why. Interrupt it and run it again: it goes on.
    Look at what was cut and remove what you do not like: it stays away.

    \b
    plantood negatives soil field_photos/ --out soil/
    """
    from plantood.training.common.output import print_results
    from plantood.training.negatives.run import SoilSettings, cut_soil

    found = cut_soil(photos, out, SoilSettings(least_side, at_most, source, plants))
    print_results(f"{found.windows} windows of {kind} from {found.photos} photos in {out}")
    if found.plants:
        print_results(f"  {found.plants} of the photos stand beside them, as plants")
    for reason, count in found.refused.most_common():
        print_results(f"  {count} windows refused: {reason}")
    for reason, count in found.without.most_common():
        print_results(f"  {count} photos without a window: {reason}")
    if found.windows:
        print_results("Next:", f"  plantood finetune TAG ROUND {out}")
    else:
        print_results(
            "There is nothing to learn from: give other photos, or a smaller --least-side"
        )
