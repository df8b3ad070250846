"""A service whose methods return everything that BentoML knows, each with and without a gate."""

from __future__ import annotations

import tempfile
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
    "anything": (Any, lambda: {"rust": 0.5}),
    "text": (str, lambda: "rust"),
    "octets": (bytes, lambda: b"\x00rust\xff"),
    "html": (Annotated[str, ContentType("text/html")], lambda: "<b>rust</b>"),
    "number": (float, lambda: 0.5),
    "whole_number": (int, lambda: 7),
    "truth": (bool, lambda: True),
    "sequence": (list[float], lambda: [0.5, 0.25]),
    "models": (list[Diagnosis], lambda: [Diagnosis(disease="rust", share=0.5)]),
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

OBJECTS = {"model", "model_with_array", "mapping", "plain_mapping", "anything"}
"""Outputs in whose place a verdict is told by its fields."""


def _method(name: str, image: type, annotation: Any, make: Any) -> Any:
    def run(self, image):  # noqa: ANN001, ANN202
        return make()

    run.__name__ = run.__qualname__ = name
    run.__module__ = __name__
    run.__annotations__ = {"image": image, "return": annotation}
    return run


class _Kinds:
    gate = bentoml.depends(PlantScorer)


for _name, (_annotation, _make) in OUTPUTS.items():
    _free = _method(f"free_{_name}", Path, _annotation, _make)
    setattr(_Kinds, f"free_{_name}", bentoml.api(_free))
    _gated = gated(_method(f"gated_{_name}", bytes, _annotation, _make))
    setattr(_Kinds, f"gated_{_name}", bentoml.api(_gated))

Kinds = bentoml.service(name="Kinds", service_class=GatedService)(_Kinds)


@bentoml.service(runner_probe={"enabled": False, "timeout": 1, "period": 9})
class Caller:
    """Another service of the bento."""

    kinds = bentoml.depends(Kinds)

    @bentoml.api
    async def ask(self, method: str, image: Path) -> dict[str, Any]:
        """Type and value of what a method gives to another service."""
        try:
            answer = await getattr(self.kinds.to_async, method)(image=image)
        except bentoml.exceptions.BentoMLException as error:
            return {"type": "error", "value": f"{error.error_code} {error}"}
        if isinstance(answer, PIL.Image.Image):
            value = f"{answer.size} {answer.getpixel((0, 0))}"
        elif isinstance(answer, Path):
            value = answer.read_text()
        else:
            value = repr(answer)
        return {"type": type(answer).__name__, "value": value}
