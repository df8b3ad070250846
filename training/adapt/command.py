"""``plantood adapt``: what it asks for and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from plantood.training.common.options import cost_options
from plantood.training.common.parameters import FOLDER, GateName, Number
from plantood.training.common.settings import CACHE, RUNS, CostSettings, settings_of
from plantood.training.finetune.settings import MARGIN, NOT_ACCEPTED


@click.command()
@click.argument("tag")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@cost_options
@click.option(
    "--margin",
    type=Number(0, 1),
    default=MARGIN,
    show_default=True,
    help="Share of what it remembers of a source that may get worse, beside the noise of so few.",
)
@click.option("--force", is_flag=True, help="Save it as the latest although it is worse.")
@click.option("--gate-name", type=GateName(), help="Name in the model store.  [default: as TAG]")
@click.option(
    "--runs",
    type=FOLDER,
    default=RUNS,
    show_default=True,
    help="Folder of all runs: photos that are probably wrongly labelled are put there.",
)
@click.option(
    "--cache",
    type=FOLDER,
    default=CACHE,
    show_default=True,
    help="Where photos that were read are remembered.",
)
@click.pass_context
def adapt(context: click.Context, /, **values: Any) -> None:
    """Let the gate TAG learn from a handful of PHOTOS, in seconds, with what serving needs.

    PHOTOS are folders with plant/ and other/ (either may be empty), manifests, or rounds that were
    reviewed; of a photo that is in several, the last label counts. What a manifest calls test is
    left out. Five to forty of them from a camera or field that the gate does not know are enough.
    The network stays; a linear correction of its head is fitted to the new photos and to what the
    gate remembers of those that it was trained on, and the threshold is chosen anew.

    Shown is what changes: on the new photos, each judged without it and what looks like it, and on
    the memory. A child that gets worse there is stored under another name, so that the service
    does not take it for the latest, and the exit status is 3. --force saves it all the same.
    Photos whose label the others contradict are written as a round, to look at once more.

    \b
    plantood adapt plantood-gate:TAG my_field/
    plantood adapt plantood-gate:TAG round-1/
    """
    from plantood.training.adapt.run import adapt as run
    from plantood.training.adapt.settings import AdaptOptions
    from plantood.training.adapt.told import change_table, figures_table
    from plantood.training.common.output import print_results
    from plantood.training.common.tables import console_table

    options = settings_of(AdaptOptions, values, costs=CostSettings)
    result = run(options)
    print_results(
        console_table(f"{options.tag}, before and after", *change_table(result.judged)),
        console_table("Of all photos", *figures_table(result.judged)),
        *result.told.facts,
        *result.judged.objections,
    )
    if result.latest:
        print_results(f"Saved as {result.tag}", "Next:", f"  plantood serve --gate {result.tag}")
    else:
        print_results(
            f"Saved as {result.tag}, which is not served as the latest; to save it as such, run "
            "the same command with --force."
        )
        context.exit(NOT_ACCEPTED)
