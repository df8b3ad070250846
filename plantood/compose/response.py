"""The response of a gated API: what the method returns, or the verdict on a refused photo."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from _bentoml_sdk.io_models import IODescriptor, IORootModel, ensure_io_descriptor
from bentoml.exceptions import BentoMLException
from pydantic import field_validator
from starlette.responses import JSONResponse, Response

from plantood.openapi import nullable
from plantood.refusals import RequestRefused, error
from plantood.uploads import refused_upload
from plantood.verdict import Verdict

VerdictOutput = ensure_io_descriptor(Verdict)
LOCAL_REF = "#/$defs/{model}"


class GatedOutput(IORootModel[Any]):
    """Base of the outputs of gated APIs: a verdict, or the method's own output; or a list of them.

    In place of it, a call from HTTP may give the exception that is to be answered.
    """

    own: ClassVar[type[IODescriptor]]
    many: ClassVar[bool] = False
    retake_status: ClassVar[HTTPStatus] = HTTPStatus.OK

    @field_validator("root", mode="plain")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """What a client of BentoML gets: a `Verdict`, or an output as of the method itself."""
        if not cls.many or not isinstance(value, list):
            return cls._read_one(value)
        return [cls._read_one(item) for item in value]

    @classmethod
    def _read_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == Verdict.model_fields.keys():
            return Verdict.model_validate(value)
        if not isinstance(value, (dict, list, str, int, float, type(None))):
            return value
        own = cls.own.model_validate(value)
        return own.root if isinstance(own, IORootModel) else own

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **kwargs: Any) -> GatedOutput:
        """Read an answer: JSON, or else what the method's own output is."""
        try:
            value = json.loads(json_data)
        except ValueError:
            return cls(cls.own.model_validate_json(json_data, **kwargs).root)
        return cls.model_validate(value)

    @classmethod
    async def to_http_response(cls, obj: Any, serde: Any) -> Response:
        """Answer with an output, a verdict, or an error."""
        for item in obj if cls.many and isinstance(obj, list) else [obj]:
            if isinstance(item, BentoMLException):
                if isinstance(item, RequestRefused):
                    return refused_upload(item)
                return error(str(item), item.error_code)
        if isinstance(obj, Verdict) and not obj.accepted:
            if cls.retake_status is HTTPStatus.OK:
                return await VerdictOutput.to_http_response(obj, serde)
            return JSONResponse(obj.model_dump(mode="json"), cls.retake_status)
        if cls.many:
            return await super().to_http_response(obj, serde)
        return await cls.own.to_http_response(obj, serde)

    @classmethod
    def mime_type(cls) -> str:
        """JSON; an output that is a file or text has its own type, but a verdict never has."""
        return "application/json"

    @classmethod
    def model_json_schema(
        cls, *args: Any, ref_template: str = LOCAL_REF, **kwargs: Any
    ) -> dict[str, Any]:
        """Both outcomes, each under its name."""
        definitions: dict[str, Any] = {}
        outcomes = []
        for model in (Verdict, cls.own):
            schema = model.model_json_schema(*args, ref_template=ref_template, **kwargs)
            schema = nullable(schema) if model is Verdict else schema
            definitions |= schema.pop("$defs", {})
            if schema.get("type") == "object" and "title" in schema:
                title = schema["title"].removesuffix("IODescriptor")
                definitions[title] = schema | {"title": title}
                schema = {"$ref": ref_template.format(model=title)}
            outcomes.append(schema)
        schema = {"oneOf": outcomes}
        if cls.many:
            schema = {"type": "array", "items": schema}
        return schema | {"$defs": definitions}


def output_of(
    returns: Callable[..., Any], many: bool, retake_status: HTTPStatus
) -> type[GatedOutput]:
    """The descriptor of a gated method's response.

    Args:
        returns: A function annotated to return what the method returns, of a list: each item.
        many: It is a list.
        retake_status: Status of the answer that is the verdict on a refused photo.
    """

    class Output(GatedOutput):
        pass

    Output.own = IODescriptor.from_output(returns)
    Output.many = many
    Output.retake_status = retake_status
    return Output
