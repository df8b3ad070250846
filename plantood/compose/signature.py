"""What a gated method takes: read once from its signature, when it is decorated."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, get_args, get_origin

import bentoml
from PIL import Image
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from plantood.images import LoadedImage
from plantood.verdict import Verdict

from .photos import Form

TAKES = "PIL.Image.Image, pathlib.Path, bytes or plantood.images.LoadedImage, or a list of them"


@dataclass(frozen=True, eq=False)
class Signature:
    """The parts of a gated method's signature.

    Attributes:
        func: The method.
        photo: Name of the parameter that takes the photo, or the photos.
        form: As what it takes a photo.
        many: It takes a list of them.
        verdict: Name of the parameter that takes the verdict (of a list: the verdicts), or None.
        language: Name of the parameter that says in which language, or None.
        context: Name of the parameter that takes BentoML's context, or None.
        fields: The parameters that come from the request, by name: annotation and default.
        output: What it returns, of a list: each item.
        name: For messages.
    """

    func: Callable[..., Any]
    photo: str
    form: Form
    many: bool
    verdict: str | None
    language: str | None
    context: str | None
    fields: dict[str, tuple[Any, Any]]
    output: Any

    @property
    def name(self) -> str:
        """Of the method, for a message."""
        return self.func.__qualname__

    def given(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, with the defaults.

        Raises:
            TypeError: One is missing or unknown.
        """
        names = [*self.fields, *([self.context] if self.context else [])]
        if len(args) > len(names):
            raise TypeError(f"{self.name} takes {len(names)} arguments, not {len(args)}")
        given = dict(zip(names, args, strict=False)) | kwargs
        for name, (_, default) in self.fields.items():
            if name not in given:
                given[name] = _default(default)
        if missing := [name for name, value in given.items() if value is inspect.Parameter.empty]:
            raise TypeError(f"{self.name} misses {', '.join(missing)}")
        if unknown := given.keys() - set(names):
            raise TypeError(f"{self.name} does not take {', '.join(sorted(unknown))}")
        return given

    def call(self, instance: Any, values: dict[str, Any]) -> Any:
        """Call the method of an instance with arguments by name."""
        args, kwargs = [instance], {}
        for name, parameter in list(inspect.signature(self.func).parameters.items())[1:]:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                args.append(values[name])
            else:
                kwargs[name] = values[name]
        return self.func(*args, **kwargs)


def read_signature(func: Callable[..., Any], photo: str | None = None) -> Signature:
    """Read a method's signature.

    Args:
        func: The method.
        photo: Name of the parameter that takes the photo, if there are several that could.

    Raises:
        TypeError: The gate cannot stand in front of such a method; the message says why.
    """
    name = func.__qualname__
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(
            f"@gated cannot stand on {name}, which streams; ask the gate in a method of its own."
        )
    parameters = list(inspect.signature(func).parameters.values())[1:]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"@gated needs {name} to name its parameters, instead of {parameter}.")
    hints = _hints(func)
    kinds = {p.name: _photo_kind(hints.get(p.name)) for p in parameters}
    photos = [name for name, kind in kinds.items() if kind]
    chosen = photo or (photos[0] if len(photos) == 1 else None)
    if chosen not in photos:
        found = f"it has {', '.join(photos)}" if photos else "it has none"
        raise TypeError(
            f"@gated needs one parameter of {name} that takes the photo as {TAKES}; {found}."
            + (' Name the one: @gated(photo="...").' if len(photos) > 1 else "")
        )
    form, many = kinds[chosen]
    wanted = list[Verdict] if many else Verdict
    verdict = next(
        (p.name for p in parameters if hints.get(p.name) in (wanted, wanted | None)), None
    )
    context = next(
        (
            p.name
            for p in parameters
            if p.name in ("ctx", "context")
            and hints.get(p.name, bentoml.Context) is bentoml.Context
        ),
        None,
    )
    output = hints.get("return", Any)
    return Signature(
        func=func,
        photo=chosen,
        form=form,
        many=many,
        verdict=verdict,
        language="language" if "language" in kinds else None,
        context=context,
        fields={
            p.name: (hints.get(p.name, Any), p.default)
            for p in parameters
            if p.name not in (verdict, context)
        },
        output=_item(name, output) if many else output,
    )


def _hints(func: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(func, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"@gated cannot read the annotations of {func.__qualname__}: {error}; import what they "
            "name at the top of the module, not only for type checking."
        ) from error


def _photo_kind(annotation: Any) -> tuple[Form, bool] | None:
    """Form of a photo and whether there are several, or None if it is no photo."""
    if get_origin(annotation) is Annotated:
        return _photo_kind(get_args(annotation)[0])
    if get_origin(annotation) in (list, Sequence):
        item = _photo_kind(get_args(annotation)[0])
        return (item[0], True) if item and not item[1] else None
    if not inspect.isclass(annotation) or isinstance(annotation, types.GenericAlias):
        return None
    for form, classes in {
        Form.PIL: Image.Image,
        Form.PATH: PurePath,
        Form.BYTES: bytes,
        Form.LOADED: LoadedImage,
    }.items():
        if issubclass(annotation, classes):
            return form, False
    return None


def _item(name: str, output: Any) -> Any:
    if output is Any or output is list:
        return Any
    if get_origin(output) not in (list, Sequence):
        raise TypeError(
            f"@gated needs {name} to return a list, with one output for each of the photos."
        )
    return get_args(output)[0]


def _default(default: Any) -> Any:
    """The value of a parameter that was not given; a Pydantic ``Field`` holds its own."""
    if not isinstance(default, FieldInfo):
        return default
    value = default.get_default(call_default_factory=True)
    return inspect.Parameter.empty if value is PydanticUndefined else value
