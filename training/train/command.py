"""The commands: what they ask for and what they print. The work is in modules of their own.

Those modules are imported when a command runs, so that help does not wait for TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from plantood.errors import SettingsError
from plantood.training.common.options import (
    backbone_options,
    cost_options,
    data_argument,
    data_options,
    ensure_no_idle_fine_tuning,
    fine_tune_options,
    fit_options,
    gate_name_option,
    guarantee_options,
    recipe_options,
    run_options,
    typed_options,
)
from plantood.training.common.output import print_results, write_table
from plantood.training.common.parameters import FILE, FOLDER, Number, TextFile
from plantood.training.common.settings import (
    CACHE,
    RECIPE_HEAD,
    RECIPES,
    RUNS,
    CostSettings,
    DataSettings,
    FitSettings,
    GuaranteeSettings,
    RecipeSettings,
    TrainOptions,
    settings_of,
)
from plantood.training.files.paths import composed
from plantood.training.process.quiet import import_tensorflow

WITHOUT_RECIPE = (
    "epochs",
    "patience",
    "learning_rate",
    "batch_size",
    "dropout",
    "weight_decay",
    "balance",
    "fine_tune_epochs",
    "fine_tune_learning_rate",
    "augment",
)
"""Options that say how to train without a recipe: they are refused with one, unless they are 0."""


def train_options(values: dict[str, Any]) -> TrainOptions:
    """The options of a run from what stands on the command line."""
    return settings_of(
        TrainOptions,
        values,
        dataset=DataSettings,
        fit=FitSettings,
        costs=CostSettings,
        guarantee=GuaranteeSettings,
        recipe=RecipeSettings,
    )


def _apply_recipe(context: click.Context, values: dict[str, Any]) -> None:
    """What --recipe changes of the other options of a command, in place.

    Raises:
        SettingsError: an option was typed that plays no part with it, or only with it.
    """
    typed = typed_options(context)
    if values["kind"] is None:
        if alone := [typed[name] for name in ("roles", "made") if name in typed]:
            raise SettingsError(f"{alone[0]} goes with --recipe only; add --recipe {RECIPES[0]}.")
        return
    idle = [typed[name] for name in WITHOUT_RECIPE if name in typed and values[name]]
    if idle:
        raise SettingsError(
            f"{', '.join(idle)}: no part in --recipe {values['kind']}, which fits the head in one "
            "go and leaves the backbone as it is; leave it out."
        )
    if "heads" not in typed:
        values["heads"] = (RECIPE_HEAD,)
    values["fine_tune_epochs"] = 0


def _ensure_no_idle_confidence(context: click.Context, values: dict[str, Any]) -> None:
    """Make sure that --confidence is of something.

    Raises:
        SettingsError: it is of nothing.
    """
    if "confidence" in typed_options(context) and values["max_false_accept"] is None:
        raise SettingsError(
            "--confidence goes with --max-false-accept only; add that, or leave it out."
        )


def _fail_early(values: dict[str, Any]) -> None:
    """Tell of wrong choices at once, not after the seconds that TensorFlow takes to import.

    Raises:
        SettingsError: of the options.
        TrainingDataError: of the photos.
    """
    from plantood.training.photos.account import ensure_photos
    from plantood.training.photos.division.units import ensure_units
    from plantood.training.recipe.named import ensure_linear, named_roles

    context = click.get_current_context()
    ensure_no_idle_fine_tuning(context)
    _ensure_no_idle_confidence(context, values)
    _apply_recipe(context, values)
    if values["kind"] is not None:
        ensure_linear(values["kind"], values["heads"])
    found = ensure_photos(values["data"])
    ensure_units(values["together"], (photo.source for photo in found.photos))
    if values["kind"] is not None:
        named_roles(values["roles"], found.photos)


@click.command()
@data_argument
@backbone_options(heads="v1,v2,v3,gap")
@data_options
@click.option(
    "--leave-out",
    multiple=True,
    metavar="SOURCE",
    help="Train without this source and report on it; may be given several times.",
)
@fit_options
@fine_tune_options
@cost_options
@guarantee_options
@recipe_options
@click.option(
    "--save",
    type=click.Choice(["best", "all", "none"]),
    help="Which heads go into the Bento model store; the best one, by the report's loss on "
    "validation photos, is saved last, so that it is the latest.  "
    "[default: best; none with --leave-out]",
)
@gate_name_option
@click.option(
    "--quantize",
    type=click.Choice(["none", "float16", "int8"]),
    default="none",
    show_default=True,
    help="Of the saved graph; its figures are then measured anew on the graph itself.",
)
@click.option(
    "--card-notes",
    type=TextFile(),
    default="",
    help="Markdown for the end of the model card: origin and licence of photos and weights.",
)
@run_options
def train(table_into: Path | None, table_name: str | None, quantize: str, **values: Any) -> None:
    """Train heads on the photos in DATA and save the best gate.

    DATA is a folder with plant/ and other/ inside (sub-folders of these are sources, also linked
    ones), or a CSV manifest with the columns path,label[,split][,source][,group][,role]: paths
    relative to the manifest, labels plant or other (rows without one are ignored), splits train,
    val or test, as group any name that photos of one scene share, and as role one of --role. Photos
    without a split get one by their content, near-duplicates and photos of one group together. A
    table says first what was found, used and left out, and why.

    Each head is trained in two phases: on the features of the frozen backbone, which are computed
    once and cached, then with the backbone unfrozen. The run's folder receives report.html,
    report.json, table.md, bad_files.csv and near_duplicates.csv. Run the same command again after
    an interruption: it goes on, to the same result.

    \b
    plantood train photos/ --backbone efficientnet_lite0 --weights starter --heads gap
    plantood train manifest.csv --weights resnet50.weights.h5 --save all
    plantood train manifest.csv --weights resnet50.weights.h5 --leave-out my_phone
    plantood train photos/ --backbone efficientnet_lite0 --weights starter --recipe composites \\
        --role leaves=scans --role ground=soil,path
    """
    _fail_early(values)
    values["leave_out"] = tuple(map(composed, values["leave_out"]))
    import_tensorflow()
    from plantood.training.common.tables import (
        AT,
        calibration_table,
        console_table,
        figures_table,
        source_table,
        summary_markdown,
    )
    from plantood.training.train.judged import SHOWN
    from plantood.training.train.train import train_heads

    values["save"] = values["save"] or ("none" if values["leave_out"] else "best")
    values["quantize"] = None if quantize == "none" else quantize
    result = train_heads(train_options(values))
    figures = result.report["models"]
    print_results(console_table("Validation and test", *figures_table(figures), AT))
    splits = list(figures[0]["splits"])
    print_results(console_table(f"By source, {splits[-1]}", *source_table(figures, splits[-1])))
    print_results(console_table("Calibration error", *calibration_table(figures)))
    write_table(table_into, table_name, "training", summary_markdown(figures))
    facts = result.report["facts"]
    print_results(*(f"{name.capitalize()}: {facts[name]}" for name in SHOWN))
    print_results(f"Best head: {result.best}", f"Report: {result.folder / 'report.html'}")
    for head, tag in result.tags.items():
        print_results(f"Saved {head} as {tag}")
    if result.tags:
        tag = result.tags[result.best]
        print_results(
            "Next:", f"  plantood check PHOTO... --gate {tag}", f"  plantood serve --gate {tag}"
        )


@click.command("leave-one-out")
@data_argument
@backbone_options(heads="gap")
@data_options
@fit_options
@cost_options
@recipe_options
@run_options
def leave_one_out(table_into: Path | None, table_name: str | None, **values: Any) -> None:
    """Train without each source in turn, and report on the one left out.

    The only honest figure for a camera and a field never seen. Uses the cached features and the
    first phase only; DATA and the options are those of train. Sources that are --together are left
    out together, and each has a line of its own.

    \b
    plantood leave-one-out manifest.csv --weights starter --backbone efficientnet_lite0
    plantood leave-one-out manifest.csv --weights FILE --weight-decay 0.01 --balance both
    plantood leave-one-out manifest.csv --weights FILE --together my_phone,phone_at_dusk
    """
    _fail_early(values)
    import_tensorflow()
    from plantood.training.common.tables import console_table
    from plantood.training.train.leave_one_out import leave_sources_out

    result = leave_sources_out(train_options(values))
    print_results(console_table("Sources never seen", result.header, result.rows))
    write_table(table_into, table_name, "leave-one-out", result.markdown)
    print_results(f"Report: {result.folder / 'report.html'}")


@click.command()
@click.argument("tag")
@data_argument
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="Only this split. Photos that name none are then divided by content, as train does: of "
    "the folder that a gate was trained on, test is what train called so. all: photos that name "
    "none.",
)
@click.option("--threshold", type=Number(0, 1), help="Instead of the one in the gate's policy.")
@click.option(
    "--out",
    type=FOLDER,
    help="Folder for the report.  [default: one in --runs, made of the gate, DATA, --split and "
    "--threshold]",
)
@click.option("--runs", type=FOLDER, default=RUNS, show_default=True)
@click.option("--cache", type=FOLDER, default=CACHE, show_default=True)
@click.option("--table-into", type=FILE, metavar="FILE", help="As for train.")
@click.option("--table-name", metavar="NAME", help="As for train.")
def evaluate(  # noqa: PLR0917 click passes options by name
    tag: str,
    data: Path,
    split: str | None,
    threshold: float | None,
    out: Path | None,
    runs: Path,
    cache: Path,
    table_into: Path | None,
    table_name: str | None,
) -> None:
    """Judge the stored gate TAG on the photos in DATA, as a farmer meets it.

    That is with the quality cues, and the network through the graph that serves; the network alone
    stands beside it. Gives the table and the report of train. DATA is a folder or manifest as for
    train; splits that a manifest names are told apart, other photos form the split "all" unless
    --split divides them, and photos that the gate has learned from form the splits "trained on" and
    "chosen on".

    \b
    plantood evaluate plantood-gate:latest manifest.csv --split test
    plantood evaluate plantood-gate:latest photos/ --split test
    """
    from plantood.training.common.gates import find_gate
    from plantood.training.common.tables import (
        AT,
        console_table,
        figures_table,
        source_table,
        summary_markdown,
    )
    from plantood.training.process.progress import say
    from plantood.training.train.evaluate import evaluate_gate, report_name

    tag = find_gate(tag).tag  # the latest is another one tomorrow
    out = out or runs / report_name(tag, data, split, threshold)
    report = evaluate_gate(tag, data, out=out, cache=cache, split=split, threshold=threshold)
    figures = report["models"]
    print_results(console_table(f"{report['tag']} on {data}", *figures_table(figures), AT))
    for name in figures[0]["splits"]:
        print_results(console_table(f"By source, {name}", *source_table(figures, name)))
    if reasons := report["reasons"]:
        rows = [list(row.values()) for row in reasons]
        print_results(console_table("Sent back, and why", list(reasons[0]), rows))
    for note in report["notes"]:
        say(note, "yellow")
    write_table(table_into, table_name, "evaluation", summary_markdown(figures))
    print_results(f"Report: {out / 'report.html'}")
