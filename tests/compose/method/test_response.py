"""What a client that knows the method's type reads from an answer; nothing is served here."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from bentoml import IODescriptor
from pydantic import BaseModel

from plantood.compose.method.response import output_of, own_output
from plantood.verdict import Verdict

RETAKE = Verdict(verdict="retake", model="plantood-gate:later").model_dump(mode="json")
NEWER = RETAKE | {"score_interval": [0.1, 0.2]}


class Guess(BaseModel):
    """An output that anything can be read as."""

    disease: str | None = None


def _output(annotation: Any, *, many: bool = False) -> type[IODescriptor]:
    def returns() -> Any: ...

    returns.__annotations__ = {"return": annotation}
    return output_of(own_output(returns), annotation, many, HTTPStatus.OK)


def _by_json(output: type[IODescriptor], answer: Any) -> Any:
    return output.model_validate_json(json.dumps(answer))


def _by_python(output: type[IODescriptor], answer: Any) -> Any:
    return output.model_validate(answer)


Read = Callable[[type[IODescriptor], Any], Any]
BOTH = pytest.mark.parametrize("read", [_by_json, _by_python])
"""A client over HTTP has JSON; another service of the bento has what was pickled."""


@BOTH
@pytest.mark.parametrize("answer", [RETAKE, NEWER], ids=["today's", "newer"])
@pytest.mark.parametrize("annotation", [Guess, dict[str, Any], Any])
def test_a_verdict_is_no_output(annotation: Any, answer: dict[str, Any], read: Read) -> None:
    read_ = read(_output(annotation), answer)
    assert getattr(read_, "root", read_) == Verdict.model_validate(answer)


@BOTH
def test_a_list_has_verdicts_beside_outputs(read: Read) -> None:
    answers = [{"disease": "rust"}, RETAKE, NEWER]
    rust, *verdicts = read(_output(Guess, many=True), answers).root
    assert rust.disease == "rust"
    assert verdicts == [Verdict.model_validate(RETAKE)] * 2


@BOTH
def test_an_output_is_an_output(read: Read) -> None:
    assert read(_output(Guess), {"disease": "rust"}).disease == "rust"
    assert read(_output(Guess), {"verdict": "retake"}).disease is None  # a field of its own
