"""Tags of gate models, from text that anybody may have typed."""

from __future__ import annotations

import bentoml
from bentoml.exceptions import BentoMLException

from plantood.errors import GateModelError

FORMS = "name:version, name:latest or name"


def tag_of(text: str | bentoml.Tag) -> bentoml.Tag:
    """Read a tag; whether the store has such a model is not asked.

    Args:
        text: ``name:version``, ``name:latest`` or ``name``; or a tag, which is given back.

    Raises:
        GateModelError: It is no tag. BentoML has three kinds of errors for that, and none says what
            the text was meant to be.
    """
    try:
        return bentoml.Tag.from_taglike(text)
    except (BentoMLException, ValueError) as error:
        raise GateModelError(
            f"{str(text)!r} is no tag of a gate model: a tag is {FORMS}, in lower-case letters, "
            "digits and . _ -, and a file is imported first (bentoml models import FILE)."
        ) from error
