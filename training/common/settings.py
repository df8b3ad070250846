"""Choices of a training run, as data. Imports nothing heavy, so that help is instant."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from plantood.defaults import GATE_NAME

T = TypeVar("T")
RUNS = Path("runs")
CACHE = RUNS / "cache"
PENALTY = 0.3
"""Of the squared weights of a linear head, by photo, with standardised features. Flat between 0.1
and 0.3 by leave-one-source-out; 0.03 is worse."""
BACKBONE_NAMES = (
    "resnet50",
    "efficientnet_lite0",
    "mobilenet",
    "mobilenet_v3_small",
    "efficientnetv2_b0",
)
HEADS = {
    "v1": "Flatten, Dense 150 (ReLU, Dropout, BatchNorm), Dense 1",
    "v2": "Flatten, Dense 256, 128, 64 (each ReLU, Dropout, BatchNorm), Dense 1",
    "v3": "Conv 32 3x3, MaxPool, Flatten, Dense 256 (ReLU, Dropout, BatchNorm), Dense 1",
    "gap": "GlobalAveragePooling, Dropout, Dense 1",
    "gap_l2": "GlobalAveragePooling, L2 normalisation, Dropout, Dense 1",
}
HEAD_NAMES = tuple(HEADS)
"""Keys of `network.backbones.BACKBONES` and `network.heads.HEADS`, which need TensorFlow and so
cannot be imported here. A test holds them together."""

LOSSES: dict[str, tuple[float, float]] = {
    "bce": (1.0, 1.0),
    "weighted": (3.0, 1.0),
    "source_formula": (1.0, 3.0),
}
"""``(false_accept_weight, false_retake_weight)`` by name: plain cross-entropy, the stated reason
of the source project, and what its code does."""


def loss_weights(
    name: str, given: tuple[float | None, float | None] = (None, None)
) -> tuple[float, float]:
    """Weights of the loss of this name, replaced where they are given."""
    accept, retake = LOSSES[name]
    return (
        accept if given[0] is None else given[0],
        retake if given[1] is None else given[1],
    )


BALANCES = ("none", "class", "source", "both")
"""What the sample weights even out: :mod:`plantood.training.photos.division.balance`."""


LEARNING_RATES = {"v1": 1e-4, "v2": 1e-4, "v3": 1e-4}
"""Of the first phase, by head, except for linear ones: at 1e-3 their millions of weights are best
after one or two epochs."""

LINEAR_HEADS = ("gap", "gap_l2")
"""Heads whose only trained layer is the last: on the features of a frozen backbone they are a
logistic regression, which has one best solution and needs no epochs."""
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Tried on linear heads, from strong to weak; see `fitting.probe`."""


@dataclass(frozen=True)
class FitSettings:
    """How heads are fitted. Everything here changes the result, so it names the run."""

    loss: str = "bce"
    false_accept_weight: float | None = None
    false_retake_weight: float | None = None
    balance: str = "none"
    epochs: int = 50
    patience: int = 5
    learning_rate: float | None = None
    """Of the first phase; None takes the head's own in `LEARNING_RATES`."""
    batch_size: int = 32
    dropout: float = 0.5
    weight_decay: float = 0.0
    penalty: float | None = None
    """Of linear heads; None tries those of `PENALTIES` and takes the best on sources left
    out, or on validation; a child has its parent's."""
    fine_tune_epochs: int = 2
    fine_tune_learning_rate: float = 1e-5
    augment: bool = False
    share_of_others: float | None = None
    """Of the photos that the gate will get: of this the losses on validation photos are, by which
    training stops and the best head is taken. None: as in the photos that these choose by."""
    seed: int = 0

    @property
    def loss_weights(self) -> tuple[float, float]:
        """Weights of false accepts and false retakes in the loss."""
        return loss_weights(self.loss, (self.false_accept_weight, self.false_retake_weight))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class DataSettings:
    """Which photos are used, and how they are divided."""

    min_per_class: int = 20
    leave_out: tuple[str, ...] = ()
    at_most_per_source: int | None = None
    together: tuple[frozenset[str], ...] = ()
    """Sources that are one unit each; see `training.photos.division.units`."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Sources to leave out, sorted: those asked for, and what belongs together with them."""
        asked = frozenset(self.leave_out)
        return tuple(sorted(asked.union(*(unit for unit in self.together if unit & asked))))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        units = sorted(map(sorted, self.together))
        return asdict(self) | {"leave_out": sorted(self.leave_out), "together": units}

    def identity(self) -> dict[str, Any]:
        """What of this names a run, beside its photos and what is left out of them."""
        return {"together": self.as_dict()["together"]} if self.together else {}


@dataclass(frozen=True)
class CostSettings:
    """How the threshold is chosen: what errors cost, in false retakes, and how common others are.

    See :func:`plantood.training.judging.decision.threshold.choose_threshold`.
    """

    false_accept_cost: float = 3.0
    false_retake_cost: float = 1.0
    standard_errors: float = 1.0
    share_of_others: float | None = None

    def in_proportion(self, false_accept_cost: float, false_retake_cost: float) -> bool:
        """Whether these costs prefer the same threshold: only their ratio matters."""
        return self.false_accept_cost * false_retake_cost == (
            self.false_retake_cost * false_accept_cost
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class GuaranteeSettings:
    """What is to be promised of false accepts, if anything.

    See :func:`plantood.training.judging.decision.guarantee.guaranteed_threshold`.
    """

    max_false_accept: float | None = None
    confidence: float = 0.95

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


RECIPES = ("composites",)
RECIPE_HEAD, RECIPE_PENALTY = "gap_l2", 0.3
"""Of a recipe, by default: as the gate that ships has them."""


class Role(NamedTuple):
    """A part that the photos of one class of a source can play in a recipe."""

    of_class: str
    meaning: str


ROLES = {
    "leaves": Role("plant", "leaves on a plain ground, cut out by their colour"),
    "plants": Role("plant", "plants on the ground, cut out by their green"),
    "ground": Role("other", "bare ground"),
    "other": Role("other", "anything else that is no plant"),
}


@dataclass(frozen=True)
class RecipeSettings:
    """Whether pictures are made of the training photos, of what, and how many.

    See `plantood.training.recipe`.
    """

    kind: Literal["composites"] | None = None
    roles: tuple[str, ...] = ()
    """``NAME=SOURCE[,SOURCE]`` each, see `ROLES`."""
    made: float = 8.0
    """Pictures to draw for each training photo: as many as of the gate that ships."""


@dataclass(frozen=True)
class TrainOptions:
    """What is asked of one run."""

    data: Path
    backbone: str = "resnet50"
    weights: str = "imagenet"
    heads: tuple[str, ...] = ("v1", "v2", "v3", "gap")
    dataset: DataSettings = field(default_factory=DataSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    costs: CostSettings = field(default_factory=CostSettings)
    guarantee: GuaranteeSettings = field(default_factory=GuaranteeSettings)
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    name: str | None = None
    runs: Path = RUNS
    cache: Path = CACHE
    save: Literal["best", "all", "none"] = "best"
    gate_name: str = GATE_NAME
    quantize: Literal["float16", "int8"] | None = None
    card_notes: str = ""
    """Markdown for the end of the model card."""


def settings_of(kind: type[T], values: dict[str, Any], **groups: type) -> T:
    """An instance of ``kind`` from what stands on the command line, some fields made of others.

    Args:
        kind: a dataclass; only those of ``values`` that it has a field for are used.
        values: by the name of the parameter.
        groups: fields that are dataclasses themselves, each made of the values of its own names.
    """
    if values.pop("no_fine_tune", False):
        values["fine_tune_epochs"] = 0

    def part(of: type) -> dict[str, Any]:
        names = {field.name for field in fields(of)}
        return {name: value for name, value in values.items() if name in names}

    made = {name: group(**part(group)) for name, group in groups.items()}
    return kind(**{**part(kind), **made})
