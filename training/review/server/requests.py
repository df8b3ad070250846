"""What a browser or a script may send, and reading it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request

from plantood.training.common.validation import first_problem
from plantood.training.review.names import clean_name
from plantood.training.rounds.labels import Kind, Label

MAX_BODY = 64 * 1024
"""Bytes; a decision has some hundred."""

MAX_NUMBER = 2**53 - 1
"""Of a decision: the largest that JavaScript counts to."""

Body = TypeVar("Body", bound=BaseModel)


class _Request(BaseModel):
    """What a change to a reviewer's decision on a photo has in common.

    Attributes:
        reviewer: Name.
        id: Of the photo.
        seen: Number of the decision that was seen standing, 0 for none; None for whatever stands.
        after: The answer shall hold all decisions with a higher number, everybody's.
    """

    model_config = ConfigDict(extra="forbid")

    reviewer: str
    id: str
    seen: int | None = Field(default=None, ge=0, le=MAX_NUMBER)
    after: int | None = Field(default=None, ge=0, le=MAX_NUMBER)

    @field_validator("reviewer")
    @classmethod
    def _clean(cls, name: str) -> str:
        return clean_name(name)


class LabelRequest(_Request):
    """Body of ``POST /api/labels``."""

    label: Label
    kind: Kind | None = None

    @model_validator(mode="after")
    def _kind_of_other(self) -> LabelRequest:
        if self.kind and self.label != "other":
            raise ValueError("only an other has a kind")
        return self


class UndoRequest(_Request):
    """Body of ``POST /api/undo``."""


async def read_body(request: Request, model: type[Body]) -> Body:
    """The JSON body of a request, checked.

    Only ``application/json`` is taken: a form of another site's page cannot send it.

    Args:
        request: With the body still to come.
        model: What the body is to be.

    Raises:
        HTTPException: 415 for another content type, 413 above `MAX_BODY` bytes, 400 if it is no
            such JSON.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the decision as JSON.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is no decision.")
    try:
        return model.model_validate_json(bytes(body))  # its parser bounds depth and digits
    except ValidationError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, first_problem(error, "the body")) from error
