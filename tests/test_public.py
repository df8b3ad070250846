"""What a user imports, from outside."""

from __future__ import annotations

from importlib import import_module
from inspect import signature

import pytest

import plantood
import plantood.compose
from plantood.training.review.client import ReviewClient, ReviewRefused


@pytest.mark.parametrize("package", ["plantood", "plantood.compose"])
def test_every_public_name_is_there(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = module.Nothing


def test_a_script_reviews_as_the_document_shows() -> None:
    """It is public beside those two; what it does is tested where the review is."""
    for name in ("photos", "label", "__enter__"):
        assert callable(getattr(ReviewClient, name))
    assert list(signature(ReviewClient).parameters)[:2] == ["url", "reviewer"]
    assert list(signature(ReviewClient.label).parameters)[1:4] == ["photo", "label", "kind"]


def test_whatever_a_caller_may_have_to_catch_is_one_family() -> None:
    raised = [
        *(getattr(plantood, name) for name in plantood.__all__),
        *(getattr(plantood.compose, name) for name in plantood.compose.__all__),
    ]
    raised.append(ReviewRefused)
    errors = {one for one in raised if isinstance(one, type) and issubclass(one, Exception)}
    assert plantood.GateUnavailable in errors
    assert all(issubclass(error, plantood.PlantoodError) for error in errors)
