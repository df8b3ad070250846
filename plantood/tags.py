"""Tags of gate models, from text that anybody may have typed."""

from __future__ import annotations

import bentoml
from bentoml.exceptions import BentoMLException

from plantood.errors import GateModelError

LATEST = "latest"
FORMS = "name:version, name:latest or name"


def tag_of(text: str | bentoml.Tag) -> bentoml.Tag:
    """Read a tag; whether the store has such a model is not asked.

    Args:
        text: ``name:version``, ``name:latest`` or ``name``, which means the latest; or a tag.

    Returns:
        The tag, always with a version.

    Raises:
        GateModelError: It is no tag. BentoML has three kinds of errors for that, and none says what
            the text was meant to be.
    """
    try:
        if str(text) != str(text).lower():  # BentoML would look for another name, and log that
            raise ValueError
        tag = bentoml.Tag.from_taglike(text)
        return bentoml.Tag(tag.name, tag.version or LATEST)
    except (BentoMLException, ValueError) as error:
        raise GateModelError(
            f"{str(text)!r} is no tag of a gate model: a tag is {FORMS}, in lower-case letters, "
            "digits and . _ -, and a file is imported first (bentoml models import FILE)."
        ) from error
