"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from plantood.defaults import GATE_NAME
from plantood.errors import SettingsError
from plantood.training.common.parameters import (
    FILE,
    FOLDER,
    SEED,
    GateName,
    HeadList,
    Number,
    SourceSet,
)
from plantood.training.common.settings import (
    BACKBONE_NAMES,
    BALANCES,
    CACHE,
    HEADS,
    LEARNING_RATES,
    LINEAR_HEADS,
    LOSSES,
    PENALTIES,
    RECIPE_HEAD,
    RECIPE_PENALTY,
    RECIPES,
    ROLES,
    RUNS,
    CostSettings,
    DataSettings,
    FitSettings,
    GuaranteeSettings,
    RecipeSettings,
)

F = TypeVar("F", bound=Callable[..., Any])
DEFAULTS = FitSettings()


def in_order(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in this order."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def typed_options(context: click.Context) -> dict[str, str]:
    """By name, the options that stand on the command line, as they are called there."""
    return {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if parameter.name is not None
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    }


def ensure_none_idle(context: click.Context, names: Iterable[str], flag: str, why: str) -> None:
    """Make sure that what options say more of is not left out by a flag.

    Args:
        context: of the command.
        names: of the options.
        flag: its name.
        why: what it does, in a clause.

    Raises:
        SettingsError: it is on the command line, and so is one of them.
    """
    typed = typed_options(context)
    idle = [typed[name] for name in names if name in typed]
    if flag in typed and idle:
        raise SettingsError(
            f"{' and '.join(idle)}: no part with {typed[flag]}, which {why}; leave one or the "
            "other out."
        )


def ensure_no_idle_fine_tuning(context: click.Context) -> None:
    """Make sure that a second phase that is described is not left out.

    Raises:
        SettingsError: it is both.
    """
    names = "fine_tune_epochs", "fine_tune_learning_rate"
    meant = [name for name in names if context.params.get(name)]  # not every command has them
    ensure_none_idle(context, meant, "no_fine_tune", "leaves out that phase")


def backbone_options(heads: str) -> Callable[[F], F]:
    """What is trained."""
    return in_order(
        click.option(
            "--backbone", type=click.Choice(BACKBONE_NAMES), default="resnet50", show_default=True
        ),
        click.option(
            "--weights",
            default="imagenet",
            show_default=True,
            metavar="imagenet|none|starter|FILE",
            help="Weights that the backbone starts from: ImageNet's (downloaded once), none "
            "(random), those of the starter gate (always here), or a .weights.h5 or .keras file.",
        ),
        click.option(
            "--heads",
            type=HeadList(),
            default=heads,
            show_default=True,
            help="Heads to train, separated by commas. "
            + " ".join(f"{name}: {what}." for name, what in HEADS.items()),
        ),
    )


def _learning_rates() -> str:
    """The heads' own learning rates, in words."""
    of_rate: dict[float, list[str]] = {}
    for head, rate in LEARNING_RATES.items():
        of_rate.setdefault(rate, []).append(head)
    return "; ".join(f"{rate:g} for {', '.join(heads)}" for rate, heads in of_rate.items())


min_per_class_option = click.option(
    "--min-per-class",
    type=click.IntRange(2),
    default=DataSettings().min_per_class,
    show_default=True,
    help="Fewer usable training photos of a class are an error.",
)

data_options = in_order(
    min_per_class_option,
    click.option(
        "--at-most-per-source",
        type=click.IntRange(1),
        help="Take only this many photos of each source, for a quick try; chosen by content.",
    ),
    click.option(
        "--together",
        type=SourceSet(),
        multiple=True,
        help="Sources of one camera and one place, such as two collections from the same table: "
        "who has seen one has seen the others. They are left out together, and count as one source "
        "where a number of sources is asked for; may be given several times.",
    ),
)

fit_options = in_order(
    click.option(
        "--epochs",
        type=click.IntRange(1),
        default=DEFAULTS.epochs,
        show_default=True,
        help="Most epochs of the first phase, backbone frozen, on cached features.",
    ),
    click.option(
        "--patience",
        type=click.IntRange(1),
        default=DEFAULTS.patience,
        show_default=True,
        help="Epochs without a lower validation loss before the first phase stops.",
    ),
    click.option(
        "--learning-rate",
        type=Number(0, min_open=True),
        help=f"Of the first phase.  [default: {_learning_rates()}]",
    ),
    click.option(
        "--batch-size", type=click.IntRange(1), default=DEFAULTS.batch_size, show_default=True
    ),
    click.option(
        "--dropout",
        type=Number(0, 1, max_open=True),
        default=DEFAULTS.dropout,
        show_default=True,
    ),
    click.option(
        "--weight-decay",
        type=Number(0),
        default=DEFAULTS.weight_decay,
        show_default=True,
        help="Decoupled weight decay (AdamW).",
    ),
    click.option(
        "--penalty",
        type=Number(0, min_open=True),
        help=f"Of large weights in linear heads ({', '.join(LINEAR_HEADS)}). They have one best "
        "solution: epochs, patience, learning rate, batch size, dropout and weight decay are not "
        "for their first phase."
        f"  [default: of {', '.join(f'{one:g}' for one in PENALTIES)} the best on sources left "
        "out; of finetune, the parent's]",
    ),
    click.option(
        "--loss",
        type=click.Choice(list(LOSSES)),
        default=DEFAULTS.loss,
        show_default=True,
        help="bce: cross-entropy. weighted: a false accept weighs 3. source_formula: a false "
        "retake weighs 3, as in the code of the earlier project whose steps this one follows.",
    ),
    click.option("--false-accept-weight", type=Number(0, min_open=True), help="In the loss."),
    click.option("--false-retake-weight", type=Number(0, min_open=True), help="In the loss."),
    click.option(
        "--balance",
        type=click.Choice(BALANCES),
        default=DEFAULTS.balance,
        show_default=True,
        help="Sample weights: both classes the same; each source by the root of its size; both.",
    ),
    click.option("--seed", type=SEED, default=DEFAULTS.seed, show_default=True),
)

fine_tune_options = in_order(
    click.option(
        "--fine-tune-epochs",
        type=click.IntRange(0),
        default=DEFAULTS.fine_tune_epochs,
        show_default=True,
        help="Epochs of the second phase, backbone unfrozen, BatchNorm in inference mode. Kept "
        "only if the validation loss falls.",
    ),
    click.option("--no-fine-tune", is_flag=True, help="The same as --fine-tune-epochs 0."),
    click.option(
        "--fine-tune-learning-rate",
        type=Number(0, min_open=True),
        default=DEFAULTS.fine_tune_learning_rate,
        show_default=True,
    ),
    click.option(
        "--augment/--no-augment",
        default=DEFAULTS.augment,
        show_default=True,
        help="Crop, turn, relight and recompress the photos of the second phase.",
    ),
)

cost_options = in_order(
    click.option(
        "--false-accept-cost",
        type=Number(0, min_open=True),
        default=CostSettings().false_accept_cost,
        show_default=True,
        help="Cost of an other let through, when the threshold is chosen.",
    ),
    click.option(
        "--false-retake-cost",
        type=Number(0, min_open=True),
        default=CostSettings().false_retake_cost,
        show_default=True,
        help="Cost of a plant sent back, when the threshold is chosen.",
    ),
    click.option(
        "--share-of-others",
        type=Number(0, 1, min_open=True, max_open=True),
        help="Of the photos that the gate will get, 0 to 1: P(plant), the cost and the figures are "
        "of that.  [default: as in the photos that choose]",
    ),
)

guarantee_options = in_order(
    click.option(
        "--max-false-accept",
        type=Number(0, 1, min_open=True, max_open=True),
        help="Raise the threshold until at most this share of others is let through, as far as the "
        "test photos carry it: 0.01 takes 299 others without an error.",
    ),
    click.option(
        "--confidence",
        type=Number(0, 1, min_open=True, max_open=True),
        default=GuaranteeSettings().confidence,
        show_default=True,
        help="Of --max-false-accept.",
    ),
)

recipe_options = in_order(
    click.option(
        "--recipe",
        "kind",
        type=click.Choice(RECIPES),
        help="Train on pictures made of the training photos, too. composites: leaves cut out and "
        "pasted on other ground, and the same ground without. For linear heads; the backbone stays "
        f"frozen.  [default: no recipe; with one, --heads {RECIPE_HEAD}, --penalty "
        f"{RECIPE_PENALTY:g} and no fine-tuning]",
    ),
    click.option(
        "--role",
        "roles",
        multiple=True,
        metavar="NAME=SOURCE[,SOURCE]",
        help="What --recipe makes of the photos of a source; may be given several times, and wins "
        "over the column role of a manifest. "
        + " ".join(f"{name}: {role.meaning}." for name, role in ROLES.items()),
    ),
    click.option(
        "--made",
        type=Number(0, min_open=True),
        default=RecipeSettings().made,
        show_default=True,
        help="Pictures that --recipe makes for each training photo, changed copies of it among "
        "them.",
    ),
)

gate_name_option = click.option(
    "--gate-name",
    type=GateName(),
    default=GATE_NAME,
    show_default=True,
    help="Name in the model store.",
)

run_options = in_order(
    click.option("--name", help="Name of the run's folder; by default one made of the choices."),
    click.option(
        "--runs", type=FOLDER, default=RUNS, show_default=True, help="Folder of all runs."
    ),
    click.option(
        "--cache",
        type=FOLDER,
        default=CACHE,
        show_default=True,
        help="Features of frozen backbones, shared by all runs.",
    ),
    click.option(
        "--table-into",
        type=FILE,
        metavar="FILE",
        help="Also write the table between the markers of this Markdown document.",
    ),
    click.option(
        "--table-name", metavar="NAME", help="Of the markers, <!-- NAME --> and <!-- /NAME -->."
    ),
)
round_argument = click.argument("folder", metavar="ROUND", type=click.Path(path_type=Path))
data_argument = click.argument("data", type=click.Path(path_type=Path))
