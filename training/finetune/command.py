"""``plantood finetune``: what it asks for and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from plantood.training.common.options import (
    cost_options,
    ensure_no_idle_fine_tuning,
    ensure_none_idle,
    fine_tune_options,
    fit_options,
    gate_name_option,
    min_per_class_option,
    run_options,
)
from plantood.training.common.parameters import Number
from plantood.training.common.settings import CostSettings, FitSettings, settings_of
from plantood.training.finetune.settings import (
    MARGIN,
    NOT_ACCEPTED,
    FinetuneOptions,
    ReplaySettings,
)


@click.command(context_settings={"default_map": {"loss": "weighted", "balance": "class"}})
@click.argument("tag")
@click.argument("new", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--replay",
    multiple=True,
    metavar="DATA",
    type=click.Path(path_type=Path),
    help="Photos that the parent was trained on: folder or manifest; may be given several times.  "
    "[default: what the parent says of itself]",
)
@click.option(
    "--replay-share",
    type=Number(0, 1),
    default=ReplaySettings().replay_share,
    show_default=True,
    help="Share of the parent's training photos, of each source, that is trained on again, so "
    "that it does not forget them. Validation and test always take all.",
)
@click.option(
    "--no-replay",
    is_flag=True,
    help="Know nothing of the parent's photos: not for test either, so the child does not become "
    "the latest without --force.",
)
@click.option(
    "--margin",
    type=Number(0, 1),
    default=MARGIN,
    show_default=True,
    help="Share of the photos of a source that may get worse, beside the noise of so few.",
)
@click.option("--force", is_flag=True, help="Save it as the latest although it is worse.")
@min_per_class_option
@fit_options
@fine_tune_options
@cost_options
@gate_name_option
@click.option(
    "--quantize",
    type=click.Choice(["none", "float16", "int8"]),
    help="Of the saved graph; its own figures are then measured anew on the graph itself.  "
    "[default: as the parent]",
)
@run_options
@click.pass_context
def finetune(
    context: click.Context,
    /,
    table_into: Path | None,
    table_name: str | None,
    **values: Any,
) -> None:
    """Go on training the gate TAG with NEW photos, and compare it with what it was.

    NEW are rounds that were reviewed, folders of negatives, or labelled photos as for train.
    The parent's own photos are replayed; sources that it left out stay left out. Both phases of
    train, from the parent's weights; these stay unless others are better. Parent and child are then
    judged on the same photos, source by source: those of the test split, and of the sources that
    were left out of training.

    A child that is worse on any source than the margin allows is stored under another name, so
    that the service does not take it for the latest, and the exit status is 3. --force saves it
    all the same. The run's folder receives report.html with every photo that changed sides. Run
    the same command again after an interruption: it goes on, to the same result.

    \b
    plantood finetune plantood-gate:TAG round-1/ soil/
    plantood finetune TAG round-1/ --replay photos/ --loss source_formula
    """
    from plantood.training.common.output import print_results, write_table
    from plantood.training.finetune.data import check_collections
    from plantood.training.process.quiet import import_tensorflow

    ensure_no_idle_fine_tuning(context)
    of_replay, why = ("replay", "replay_share"), "takes none of the parent's photos"
    ensure_none_idle(context, of_replay, "no_replay", why)
    options = finetune_options(values)
    check_collections(options)  # before the seconds that TensorFlow takes to import
    import_tensorflow()
    from plantood.training.common.tables import AT, console_table
    from plantood.training.finetune.report import (
        P_VALUES,
        both_figures,
        change_table,
        judgement_markdown,
        seen_sentence,
    )
    from plantood.training.finetune.run import finetune as run
    from plantood.training.train.judged import SHOWN, judged_facts

    result = run(options)
    judgement = result.judgement
    title = f"{options.tag}, before and after"
    print_results(console_table(title, *both_figures(judgement.before, judgement.after), AT))
    print_results(seen_sentence(judgement))
    for comparison in judgement.comparisons:
        title = f"What changed, {comparison.split}"
        print_results(console_table(title, *change_table(comparison)))
    print_results(P_VALUES)
    write_table(table_into, table_name, "finetune", judgement_markdown(judgement))
    facts = dict(judged_facts(judgement.after))
    print_results(*(f"The child's {name}: {facts[name]}" for name in SHOWN))
    print_results(f"Report: {result.folder / 'report.html'}", *judgement.objections)
    if result.tag is None:
        print_results("Nothing was saved: it is no other gate than its parent.")
    elif result.latest:
        print_results(
            f"Saved as {result.tag}",
            "Next:",
            f"  plantood serve --gate {result.tag}",
            f"  plantood rounds {result.tag}",
        )
    else:
        print_results(
            f"Saved as {result.tag}, which is not served as the latest; to save it as such, run "
            "the same command with --force."
        )
    if not result.latest:
        context.exit(NOT_ACCEPTED)


def finetune_options(values: dict[str, Any]) -> FinetuneOptions:
    """The options of a fine-tuning from what stands on the command line."""
    values["replay"] = values["replay"] or None
    return settings_of(
        FinetuneOptions, values, replay=ReplaySettings, fit=FitSettings, costs=CostSettings
    )
