"""The response of a gated API: what the method returns, or the verdict on a refused photo.

What the method returns keeps the type, the content type and the schema that BentoML gives it, so
that every client reads it as if there were no gate. A verdict stands in its place only where the
two can be told apart: in the place of a JSON object, and within a list. In the place of anything
else (text, a number, a file, a picture, an array) it is answered with an error status.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import is_dataclass
from http import HTTPStatus
from inspect import isclass
from typing import Annotated, Any, ClassVar, get_args, get_origin

from bentoml import IODescriptor
from bentoml.exceptions import BentoMLException
from pydantic import RootModel
from pydantic_core import CoreSchema, core_schema
from starlette.responses import JSONResponse, Response

from plantood.bentoml_private import IORootModel, ensure_io_descriptor, keeping
from plantood.http.openapi import nullable
from plantood.http.uploads import refused_upload
from plantood.verdict import Verdict

VerdictOutput = ensure_io_descriptor(Verdict)
LOCAL_REF = "#/$defs/{model}"
"""How a schema refers to its parts for BentoML's clients, by default; OpenAPI does it otherwise."""

UNMISTAKABLE = HTTPStatus.UNPROCESSABLE_ENTITY
"""Of a refusal that could be taken for an output."""


def own_output(returns: Callable[..., Any]) -> type[IODescriptor]:
    """BentoML's descriptor of what a function is annotated to return."""
    return IODescriptor.from_output(returns)


def status_of_refusals(own: type[IODescriptor], many: bool, asked: int | None) -> HTTPStatus:
    """HTTP status of the answer to a photo that is refused.

    Args:
        own: What the method returns; of a list, each item.
        many: It is a list, in which each refused photo has its verdict.
        asked: What was asked for, if anything.

    Raises:
        TypeError: 200 was asked for, which could be taken for an output.
    """
    if many:
        return HTTPStatus.OK
    if asked is None:
        return HTTPStatus.OK if _is_object(own) else UNMISTAKABLE
    if asked < HTTPStatus.BAD_REQUEST and not _is_object(own):
        raise TypeError(
            f"a refusal with the status {asked} could be taken for an output that is no JSON "
            "object; leave retake_status out, or give an error status"
        )
    return HTTPStatus(asked)


def output_of(
    own: type[IODescriptor], annotation: Any, many: bool, status: HTTPStatus
) -> type[IODescriptor]:
    """The descriptor of a gated method's response.

    Args:
        own: As of :func:`own_output`; of a list, of each item.
        annotation: What ``own`` was made of.
        many: It is a list.
        status: Of the answer that is the verdict on a refused photo.
    """
    return _several(own, annotation) if many else _one(own, status)


def _is_object(own: type[IODescriptor]) -> bool:
    if not issubclass(own, IORootModel):
        return not issubclass(own, RootModel)
    root = own.model_fields["root"].annotation
    if get_origin(root) is Annotated:
        root = get_args(root)[0]
    kind = get_origin(root) or root
    return root is Any or is_dataclass(kind) or (isclass(kind) and issubclass(kind, dict))


def _one(own: type[IODescriptor], status: HTTPStatus) -> type[IODescriptor]:
    kept = keeping(own, "media_type", own.media_type)

    class Output(own, metaclass=kept):  # type: ignore[metaclass, misc, valid-type]
        @classmethod
        async def to_http_response(cls, obj: Any, serde: Any) -> Response:
            """Answer with an output, a verdict, or an error."""
            if isinstance(obj, BentoMLException):
                return refused_upload(obj)
            if not isinstance(obj, Verdict) or obj.accepted:
                return await own.to_http_response(obj, serde)
            if status is HTTPStatus.OK:
                return await VerdictOutput.to_http_response(obj, serde)
            return JSONResponse(obj.model_dump(mode="json"), status)

        @classmethod
        def model_validate(cls, obj: Any, **options: Any) -> Any:
            """What another service of the bento gets: a `Verdict`, or the output."""
            if not _is_verdict(obj):
                return super().model_validate(obj, **options)
            verdict = Verdict.model_validate(obj)
            return cls.model_construct(root=verdict) if issubclass(cls, IORootModel) else verdict

        @classmethod
        def model_validate_json(cls, json_data: Any, **options: Any) -> Any:
            """What a client over HTTP gets that knows the service's class: the same."""
            # a root model's own comes by `model_validate`, and text or a file is no JSON
            if not issubclass(cls, IORootModel) and _is_verdict(value := json.loads(json_data)):
                return Verdict.model_validate(value)
            return super().model_validate_json(json_data, **options)

        @classmethod
        def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
            """The output's own, and the verdict's if it has the same status."""
            if status is not HTTPStatus.OK:
                return own.model_json_schema(*args, **options)
            is_local = options.get("ref_template", LOCAL_REF) == LOCAL_REF
            return (_either if is_local else _both)(own, *args, **options)

    Output.__name__ = Output.__qualname__ = own.__name__
    return Output


def _several(own: type[IODescriptor], item: Any) -> type[IODescriptor]:
    if issubclass(own, IORootModel):  # as BentoML reads and writes it
        root = own.model_fields["root"]
        item = Annotated[(root.annotation, *root.metadata)] if root.metadata else root.annotation

    class Outcome:
        """An output, read and written as if there were no gate, or a verdict."""

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
            kinds = {"verdict": Verdict, "output": item}
            return core_schema.tagged_union_schema(
                {kind: handler.generate_schema(type_) for kind, type_ in kinds.items()},
                lambda value: "verdict" if _is_verdict(value) else "output",
            )

    class Output(_Several, IORootModel[list[Outcome]]):  # type: ignore[misc]  # two bases of one kind
        pass

    Output.own = own
    return Output


class _Several(IODescriptor):
    """A list that has an output or a verdict at the place of each photo."""

    own: ClassVar[type[IODescriptor]]

    @classmethod
    async def to_http_response(cls, obj: Any, serde: Any) -> Response:
        """Answer with the list, or with the error of the first photo that has one."""
        for item in obj if isinstance(obj, list) else [obj]:
            if isinstance(item, BentoMLException):
                return refused_upload(item)
        return await super().to_http_response(obj, serde)

    @classmethod
    def mime_type(cls) -> str:
        """JSON, whatever each output would be alone."""
        return "application/json"

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """A list of either."""
        both = _both(cls.own, *args, **options)
        definitions = both.pop("$defs")
        return {"type": "array", "items": both, "$defs": definitions}


def _both(own: type[IODescriptor], *args: Any, **options: Any) -> dict[str, Any]:
    """Schema of a verdict or an output, each under its name.

    A verdict may be an output, too, by a schema that asks for no field: so it is `anyOf`. BentoML
    takes the first of an `anyOf` for the whole, and here the first is both.
    """
    definitions: dict[str, Any] = {}
    outcomes = []
    for model in (Verdict, own):
        schema = model.model_json_schema(*args, **options)
        schema = nullable(schema) if model is Verdict else schema
        definitions |= schema.pop("$defs", {})
        if schema.get("type") == "object" and "title" in schema:
            title = schema["title"].removesuffix("IODescriptor")
            definitions[title] = schema | {"title": title}
            ref_template: str = options.get("ref_template", LOCAL_REF)
            schema = {"$ref": ref_template.format(model=title)}
        outcomes.append(schema)
    return {"anyOf": [{"anyOf": outcomes}], "$defs": definitions}


def _either(own: type[IODescriptor], *args: Any, **options: Any) -> dict[str, Any]:
    """Schema by which BentoML's clients decode: the output's fields, then the verdict's.

    Of an object they take the fields that its schema has, and decode each by its own, which makes
    arrays of lists. They know no `anyOf`.
    """
    schema = own.model_json_schema(*args, **options)
    if not schema.get("properties"):
        return schema  # anything is taken as it is
    verdict = Verdict.model_json_schema(*args, **options)
    schema.pop("required", None)
    return schema | {
        "properties": verdict["properties"] | schema["properties"],
        "$defs": verdict.get("$defs", {}) | schema.get("$defs", {}),
    }


def _is_verdict(value: Any) -> bool:
    if isinstance(value, Verdict):
        return True
    # a newer gate's has further fields
    return isinstance(value, dict) and value.keys() >= Verdict.model_fields.keys()
