"""What a gated method takes: read once from its signature, when it is decorated."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, Union, get_args, get_origin

import bentoml
from PIL import Image
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from plantood.photo.forms import Form
from plantood.photo.images import LoadedImage
from plantood.verdict import Verdict

TAKES = "PIL.Image.Image, pathlib.Path, bytes or plantood.LoadedImage, or a list of them"


@dataclass(frozen=True, eq=False)
class Signature:
    """The parts of a gated method's signature.

    Attributes:
        func: The method.
        photos: The parameters that take photos, and as what each takes it; one, or several that
            must all be accepted.
        many: The one parameter takes a list of photos.
        verdict: Name of the parameter that takes the verdict (of several photos: the verdicts), or
            None.
        language: Name of the parameter that says in which language, or None.
        context: Name of the parameter that takes BentoML's context, or None.
        fields: The parameters that come from the request, by name: annotation and default.
        output: What it returns, of a list: each item.
        name: For messages.
    """

    func: Callable[..., Any]
    photos: dict[str, Form]
    many: bool
    verdict: str | None
    language: str | None
    context: str | None
    fields: dict[str, tuple[Any, Any]]
    output: Any

    @property
    def photo(self) -> str:
        """Name of the first parameter that takes a photo, or the photos."""
        return next(iter(self.photos))

    @property
    def name(self) -> str:
        """Of the method, for a message."""
        return self.func.__qualname__

    def given(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, with the defaults.

        Raises:
            TypeError: One is missing or unknown.
        """
        names = self._names
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

    def language_named(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The language that a call names, or None: the parameter's default is nobody's wish."""
        named = dict(zip(self._names, args, strict=False)) | kwargs
        return named.get(self.language) if self.language else None

    @property
    def _names(self) -> list[str]:
        """The parameters of a call, in their order."""
        return [*self.fields, *([self.context] if self.context else [])]

    def call(self, instance: Any, values: dict[str, Any]) -> Any:
        """Call the method of an instance with arguments by name."""
        args, kwargs = [instance], {}
        for name, parameter in list(inspect.signature(self.func).parameters.items())[1:]:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                args.append(values[name])
            else:
                kwargs[name] = values[name]
        return self.func(*args, **kwargs)


def read_signature(func: Callable[..., Any], photo: str | Sequence[str] | None = None) -> Signature:
    """Read a method's signature.

    Args:
        func: The method.
        photo: Name of the parameter that takes the photo, or names of several that take one each,
            if there are several that could.

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
    annotated = {p.name: hints.get(p.name) for p in parameters}
    kinds = {p: kind for p, hint in annotated.items() if (kind := _photo_kind(hint))}
    chosen = _chosen(name, photo, kinds, annotated)
    forms = {parameter: kinds[parameter][0] for parameter in chosen}
    many = kinds[chosen[0]][1]
    for parameter in parameters:
        if parameter.name in chosen:
            hint = annotated[parameter.name]
            _ensure_nothing_asked(name, parameter.name, hint, parameter.default, many)
    verdict = _verdict(name, annotated, many or len(chosen) > 1)
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
        photos=forms,
        many=many,
        verdict=verdict,
        language="language" if any(p.name == "language" for p in parameters) else None,
        context=context,
        fields={
            p.name: (hints.get(p.name, Any), p.default)
            for p in parameters
            if p.name not in (verdict, context)
        },
        output=_item(name, output) if many else output,
    )


def _chosen(
    name: str,
    wanted: str | Sequence[str] | None,
    kinds: dict[str, tuple[Form, bool]],
    hints: dict[str, Any],
) -> list[str]:
    """The parameters whose photos are judged.

    Raises:
        TypeError: There is none, or it is not clear which.
    """
    found = f"it has {', '.join(kinds)}" if kinds else "it has none"
    if not kinds and (hidden := _hidden(hints)):
        raise TypeError(f"@gated on {name}: {hidden}")
    if wanted is None:
        if len(kinds) == 1:
            return list(kinds)
        several = ' Name the one: @gated(photo="..."), or all: photo=["...", "..."].'
        raise TypeError(
            f"@gated needs one parameter of {name} that takes the photo as {TAKES}; {found}."
            + (several if kinds else "")
        )
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if unknown := [one for one in names if one not in kinds]:
        raise TypeError(
            f"@gated(photo={wanted!r}) on {name}: no parameter {', '.join(unknown)} takes a photo; "
            f"{found}."
        )
    if not names or (len(names) > 1 and any(kinds[one][1] for one in names)):
        raise TypeError(
            f"@gated(photo={wanted!r}) on {name}: name one parameter, or several that take one "
            "photo each and no list."
        )
    if left := [one for one in kinds if one not in names]:
        warnings.warn(
            f"@gated on {name} judges {', '.join(names)} and lets any {', '.join(left)} through; "
            f"if that is a photo, too, name both: photo={[*names, *left]}.",
            stacklevel=4,
        )
    return names


def _hidden(hints: dict[str, Any]) -> str:
    """Where a photo is that cannot be judged there; empty if there is none."""
    for parameter, hint in hints.items():
        if why := _why_unseen(hint):
            return f"{parameter} {why}."
        if inspect.isclass(hint) and issubclass(hint, BaseModel):
            inside = [n for n, f in hint.model_fields.items() if _photo_kind(f.annotation)]
            if inside:
                return (
                    f"a photo within a model ({parameter}.{inside[0]}) is not seen; make it a "
                    "parameter of its own."
                )
    return ""


def _why_unseen(annotation: Any) -> str:
    """What keeps a photo within an annotation from being judged; empty if there is none."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kind, options = get_origin(annotation), get_args(annotation)
    within = [why for option in options if (why := _why_unseen(option))]
    if not within and not any(_photo_kind(option) for option in options):
        return ""
    if kind in (Union, types.UnionType):
        if type(None) in options:
            return (
                "may be missing, and a photo that is missing cannot be judged; annotate it "
                "without None"
            )
        return "may be of several types, of which a photo has one; choose one of them"
    if kind in (list, Sequence) and within:
        return within[0]
    return "holds photos in another way than a list; use list[...]"


def _ensure_nothing_asked(name: str, parameter: str, hint: Any, default: Any, many: bool) -> None:
    """Refuse what BentoML would ask of a photo, and @gated does not: it reads photos by itself.

    Raises:
        TypeError: There is a validator.
    """
    beside = [default] if isinstance(default, FieldInfo) else []
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        beside += more
    if many:  # a `Field` may bound how many there are
        beside = [one for one in beside if not isinstance(one, FieldInfo)]
        item = get_args(hint)[0]
        beside += get_args(item)[1:] if get_origin(item) is Annotated else []
    parts = [one.metadata if isinstance(one, FieldInfo) else [one] for one in beside]
    asked = [one for part in parts for one in part if not isinstance(one, str)]
    if asked:
        raise TypeError(
            f"@gated on {name} reads {parameter} by itself, and does not ask {asked[0]!r} of it; "
            "leave that out, and ask it in the method."
        )


def _verdict(name: str, hints: dict[str, Any], several: bool) -> str | None:
    """Name of the parameter that takes the verdict, or the verdicts.

    Raises:
        TypeError: It takes several where there is one photo, or one where there are several.
    """
    wanted, other = (list[Verdict], Verdict) if several else (Verdict, list[Verdict])
    for parameter, hint in hints.items():
        if hint in (other, other | None):
            right = "list[Verdict]" if several else "Verdict"
            raise TypeError(
                f"@gated on {name}: annotate {parameter} as {right}, one for each photo."
            )
    return next((p for p, hint in hints.items() if hint in (wanted, wanted | None)), None)


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
