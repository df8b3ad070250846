"""What pydantic finds wrong, in the words of one sentence."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str = "it") -> str:
    """The first thing that is wrong: ``field.0.part: what``.

    Args:
        error: What a model raised.
        whole: What to call the value itself, where no part of it is at fault.
    """
    first = error.errors(include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or whole
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
