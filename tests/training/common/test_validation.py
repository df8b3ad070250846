from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from plantood.training.common.validation import first_problem


class Part(BaseModel):
    size: int

    @field_validator("size")
    @classmethod
    def _even(cls, size: int) -> int:
        if size % 2:
            raise ValueError("an odd size")
        return size


class Whole(BaseModel):
    parts: list[Part]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('{"parts": [{"size": 2}, {"size": 3}, {"size": 5}]}', "parts.1.size: an odd size"),
        ("{}", "parts: Field required"),
        ("[]", "the body: Input should be an object"),
    ],
)
def test_the_first_problem_is_told_with_its_place(given: str, told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Whole.model_validate_json(given)
    assert first_problem(error.value, "the body") == told
