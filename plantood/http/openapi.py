"""The OpenAPI document: BentoML's, completed with what it cannot know.

BentoML derives one request body and one response from an API's types. Here come the raw body, the
language, the errors, examples, and ``GET /model``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from plantood import __version__
from plantood.http.timeout import HEADER, MOST_MS
from plantood.verdict import Quality, Reason, ReasonCode, Verdict

ACCEPT = Verdict(
    verdict="accept",
    plant_probability=0.97,
    threshold=0.5,
    quality=Quality(
        width=4000, height=3000, brightness=0.46, highlights=0.78, shadows=0.12, sharpness=0.71
    ),
    model="plantood-gate:example",
    timings_ms={"decode": 27.9, "quality": 1.2, "score": 31.4},
)
RETAKE = Verdict(
    verdict="retake",
    reasons=[
        Reason(code=ReasonCode.NOT_A_PLANT, message="Take the photo again with a plant in it.")
    ],
    plant_probability=0.08,
    threshold=0.5,
    quality=Quality(
        width=4000, height=3000, brightness=0.52, highlights=0.81, shadows=0.17, sharpness=0.64
    ),
    model="plantood-gate:example",
    timings_ms={"decode": 28.4, "quality": 1.1, "score": 30.8},
)
UNREADABLE = Verdict(
    verdict="retake",
    reasons=[
        Reason(
            code=ReasonCode.UNREADABLE,
            message="The photo could not be read. Take it again.",
            detail="the file is cut off",
        )
    ],
    threshold=0.5,
    model="plantood-gate:example",
)

SCHEMAS = "#/components/schemas/"
ABOUT = (
    "A gate in front of plant-disease detectors: a photo in, `accept` or `retake` out, with a "
    "reason that a farmer can act on."
)
BINARY = {"type": "string", "format": "binary"}
RAW_BODY = {kind: {"schema": BINARY} for kind in ("image/*", "application/octet-stream")}
ERRORS = {
    "400": "No photo was sent, or not in a way that can be read.",
    "408": "The upload was too slow, or stopped.",
    "413": "The upload has more bytes than the limit, which the message names.",
    "415": "The body is sent in a way that is not taken, such as compressed.",
    "429": "Too many photos at the moment; `Retry-After` says when to come again.",
    "503": "The photo could not be judged in time; `Retry-After` says when to come again.",
    "504": "It took longer than the service gives a request, or than whoever sent it waits.",
}
LANGUAGES = [
    {
        "name": "language",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
        "description": "Language of the messages; goes before `Accept-Language`.",
        "example": "fr",
    },
    {
        "name": "Accept-Language",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "Language of the messages.",
        "example": "sw, en;q=0.5",
    },
]
TIMEOUT = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_MS},
    "description": "Milliseconds that you wait for the answer, the upload with it. A photo that is "
    "not judged by then is given up, and answered 504. No time of the gate's own gets longer.",
    "example": 5000,
}


@dataclass(frozen=True)
class Gated:
    """What the document says of a gated API.

    Attributes:
        many: It takes several photos.
        retake_status: HTTP status of the answer to a photo that is refused.
    """

    many: bool
    retake_status: HTTPStatus


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Complete BentoML's document of the gate; the one given stays as it is."""
    document = _with_schemas(document)
    document["info"] = {"title": "plantood gate", "version": __version__, "description": ABOUT}
    check = document["paths"]["/check"]["post"]
    _photo_operation(
        check,
        "Judge one photo",
        {"$ref": SCHEMAS + "Verdict"},
        {"accept": ACCEPT, "retake": RETAKE, "unreadable": UNREADABLE},
    )
    check["requestBody"]["content"] |= RAW_BODY
    batch = document["paths"]["/check_batch"]["post"]
    _photo_operation(
        batch,
        "Judge several photos",
        {"type": "array", "items": {"$ref": SCHEMAS + "Verdict"}},
        {"verdicts, in order": [ACCEPT, RETAKE]},
    )
    document["paths"]["/model"] = {"get": _model_operation()}
    return document


def _photo_operation(
    operation: dict[str, Any], summary: str, schema: dict[str, Any], examples: dict[str, Any]
) -> None:
    operation["summary"] = summary
    # what comes after is for whoever calls it from Python
    operation["description"] = operation["description"].partition("Args:")[0].strip()
    operation["parameters"] = [*LANGUAGES, TIMEOUT]
    operation["requestBody"]["required"] = True
    operation["requestBody"]["content"]["multipart/form-data"].pop("encoding", None)
    examples = {name: {"value": _plain(value)} for name, value in examples.items()}
    operation["responses"] = {
        "200": {
            "description": "The verdict; also for a photo that cannot be read.",
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }
    } | _error_responses()


def complete_gated(document: dict[str, Any], gated: Mapping[str, Gated]) -> dict[str, Any]:
    """Complete BentoML's document of a service with gated APIs; the one given stays as it is.

    Args:
        document: BentoML's.
        gated: By the path of the API, what it takes and how it refuses.
    """
    document = _with_schemas(document)
    for path, api in gated.items():
        operation = document["paths"][path]["post"]
        operation["parameters"] = [*operation.get("parameters", []), *LANGUAGES]
        operation["requestBody"]["required"] = True
        content = operation["requestBody"]["content"]
        content.get("multipart/form-data", {}).pop("encoding", None)
        if not api.many:
            content |= RAW_BODY
        operation["responses"] |= _error_responses()
        if api.retake_status != HTTPStatus.OK:
            operation["responses"][str(api.retake_status.value)] = {
                "description": "The photo is refused: `retake`, and why.",
                "content": {"application/json": {"schema": {"$ref": SCHEMAS + "Verdict"}}},
            }
    return document


def _with_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of the document in which verdicts and errors are described."""
    document = copy.deepcopy(document)
    schema = nullable(Verdict.model_json_schema(ref_template=SCHEMAS + "{model}"))
    document["components"]["schemas"] |= schema.pop("$defs")
    document["components"]["schemas"] |= {
        "Verdict": schema,
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {"type": "string", "description": "What happened and what to do."}
            },
        },
    }
    return document


def _error_responses() -> dict[str, Any]:
    return {
        status: {
            "description": description,
            "content": {"application/json": {"schema": {"$ref": SCHEMAS + "Error"}}},
        }
        for status, description in ERRORS.items()
    }


def nullable(schema: Any) -> Any:
    """Pydantic's ``anyOf: [X, null]`` in the words of OpenAPI 3.0, which BentoML writes."""
    if isinstance(schema, list):
        return [nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: nullable(value) for key, value in schema.items()}
    options = schema.get("anyOf", [])
    if {"type": "null"} in options:
        del schema["anyOf"]
        (option,) = [option for option in options if option != {"type": "null"}]
        schema |= ({"allOf": [option]} if "$ref" in option else option) | {"nullable": True}
    return schema


def _plain(value: Verdict | list[Verdict]) -> Any:
    if isinstance(value, Verdict):
        return value.model_dump(mode="json")
    return [verdict.model_dump(mode="json") for verdict in value]


def _model_operation() -> dict[str, Any]:
    return {
        "summary": "The gate model that judges",
        "description": "Its tag, card, thresholds in force and measured figures.",
        "operationId": "PlantGate__model",
        "tags": ["Service APIs"],
        "responses": {
            "200": {
                "description": "The gate model.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        },
    }
