"""A service whose methods return everything that BentoML knows, each with and without a gate."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
import PIL.Image
from bentoml.validators import ContentType, DType, Shape
from pydantic import BaseModel, RootModel

from plantood.compose import GatedService, PlantScorer, gated


class Diagnosis(BaseModel):
    disease: str
    share: float


class Mask(bentoml.IODescriptor):
    """An object with an array, which BentoML's clients make of a list."""

    disease: str
    pixels: np.ndarray


@dataclass
class Spot:
    row: int
    column: int


class Names(RootModel[list[str]]):
    pass


def _picture() -> PIL.Image.Image:
    return PIL.Image.new("RGB", (4, 3), "green")


def _file() -> Path:
    path = Path(tempfile.mkdtemp(), "report.txt")
    path.write_text("rust")
    return path


OUTPUTS: dict[str, tuple[Any, Any]] = {
    "model": (Diagnosis, lambda: Diagnosis(disease="rust", share=0.5)),
    "model_with_array": (Mask, lambda: Mask(disease="rust", pixels=np.eye(2, dtype=np.float32))),
    "mapping": (dict[str, float], lambda: {"rust": 0.5}),
    "plain_mapping": (dict, lambda: {"rust": [1, 2]}),
    "ordered_mapping": (OrderedDict[str, float], lambda: OrderedDict(rust=0.5)),
    "anything": (Any, lambda: {"rust": 0.5}),
    "text": (str, lambda: "rust"),
    "octets": (bytes, lambda: b"\x00rust\xff"),
    "html": (Annotated[str, ContentType("text/html")], lambda: "<b>rust</b>"),
    "number": (float, lambda: 0.5),
    "whole_number": (int, lambda: 7),
    "truth": (bool, lambda: True),
    "sequence": (list[float], lambda: [0.5, 0.25]),
    "models": (list[Diagnosis], lambda: [Diagnosis(disease="rust", share=0.5)]),
    "data_class": (Spot, lambda: Spot(row=3, column=4)),
    "root_model": (Names, lambda: Names(["rust"])),
    "array": (np.ndarray, lambda: np.arange(6, dtype=np.float64).reshape(2, 3)),
    "typed_array": (
        Annotated[np.ndarray, DType("float32"), Shape((2, 3))],
        lambda: np.arange(6, dtype=np.float32).reshape(2, 3),
    ),
    "picture": (PIL.Image.Image, _picture),
    "file": (Path, _file),
    "csv_file": (Annotated[Path, ContentType("text/csv")], _file),
}
"""By the method's name: what it is annotated to return, and what it does return."""

OBJECTS = {
    "model",
    "model_with_array",
    "mapping",
    "plain_mapping",
    "ordered_mapping",
    "anything",
    "data_class",
}
"""Outputs in whose place a verdict is told by its fields."""


ITEMS: dict[str, tuple[Any, Any]] = {
    "models": (Diagnosis, lambda: Diagnosis(disease="rust", share=0.5)),
    "models_of_dicts": (Diagnosis, lambda: {"disease": "rust", "share": "0.5"}),
    "models_with_arrays": (Mask, lambda: Mask(disease="rust", pixels=np.eye(2))),
    "data_classes": (Spot, lambda: Spot(row=3, column=4)),
    "root_models": (Names, lambda: Names(["rust"])),
    "mappings": (dict[str, float], lambda: {"rust": np.float32(0.5)}),
    "anythings": (Any, lambda: Diagnosis(disease="rust", share=0.5)),
    "texts": (str, lambda: "rust"),
    "numbers": (float, lambda: 0.5),
    "numpy_floats": (float, lambda: np.float32(0.5)),
    "numpy_integers": (int, lambda: np.int64(3)),
    "numpy_truths": (bool, lambda: np.bool_(True)),
    "no_numbers": (float, lambda: float("nan")),
    "infinite": (float, lambda: np.float64("inf")),
    "arrays": (np.ndarray, lambda: np.arange(6, dtype=np.float64).reshape(2, 3)),
    "typed_arrays": (
        Annotated[np.ndarray, DType("float32"), Shape((2,))],
        lambda: np.ones(2, np.float32),
    ),
    "array_for_a_list": (list[float], lambda: np.ones(2, np.float32)),
    "pairs": (tuple[str, float], lambda: ("rust", np.float32(0.5))),
    "perhaps": (Diagnosis | None, lambda: None),
    "moments": (datetime, lambda: datetime(2026, 5, 4, tzinfo=UTC)),
}
"""By the method's name: what it is annotated to return a list of, and an item of it."""


def _method(name: str, photo: dict[str, Any], annotation: Any, make: Any) -> Any:
    def one(self, image):  # noqa: ANN001, ANN202
        return make()

    def several(self, images):  # noqa: ANN001, ANN202
        return [make() for _ in images]

    run = one if "image" in photo else several
    run.__name__ = run.__qualname__ = name
    run.__module__ = __name__
    run.__annotations__ = photo | {"return": annotation}
    return run


class _Kinds:
    gate = bentoml.depends(PlantScorer)


def _add(name: str, photo: str, made_as: tuple[Any, Any], annotation: Any, make: Any) -> None:
    plain, photos = made_as
    free = _method(f"free_{name}", {photo: plain}, annotation, make)
    behind = _method(f"gated_{name}", {photo: photos}, annotation, make)
    setattr(_Kinds, f"free_{name}", bentoml.api(free))
    setattr(_Kinds, f"gated_{name}", bentoml.api(gated(behind)))


for _name, (_annotation, _make) in OUTPUTS.items():
    _add(_name, "image", (Path, bytes), _annotation, _make)
for _name, (_annotation, _make) in ITEMS.items():
    _add(f"list_of_{_name}", "images", (list[Path], list[bytes]), list[_annotation], _make)


def _scores(self: Any, images: list[bytes]) -> list[float]:
    return np.linspace(0, 1, len(images), dtype=np.float32)  # type: ignore[return-value]


_scores.__name__ = "scores"
_Kinds.scores = bentoml.api(gated(_scores))  # type: ignore[attr-defined]

Kinds = bentoml.service(name="Kinds", service_class=GatedService)(_Kinds)


@bentoml.service(runner_probe={"enabled": False, "timeout": 1, "period": 9})
class Caller:
    """Another service of the bento."""

    kinds = bentoml.depends(Kinds)

    @bentoml.api
    async def ask(self, method: str, images: list[Path]) -> dict[str, Any]:
        """Type and value of what a method gives to another service."""
        photo = {"images": images} if "list_of" in method else {"image": images[0]}
        try:
            answer = await getattr(self.kinds.to_async, method)(**photo)
        except bentoml.exceptions.BentoMLException as error:
            return {"type": "error", "value": f"{error.error_code} {error}"}
        if isinstance(answer, PIL.Image.Image):
            value = f"{answer.size} {answer.getpixel((0, 0))}"
        elif isinstance(answer, Path):
            value = answer.read_text()
        else:
            value = repr(answer)
        return {"type": type(answer).__name__, "value": value}
