"""What a service has at its edge before it serves."""

from __future__ import annotations

from typing import Any

import bentoml
import pytest

from plantood.bento.errors import SetupError
from plantood.http.apps.edge import EdgeService


def timeout(**config: Any) -> Any:
    @bentoml.service(service_class=EdgeService, **config)
    class Detector:
        pass

    return Detector.config["traffic"]["timeout"]


def test_a_request_has_the_time_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert timeout() == 300
    monkeypatch.setenv("PLANTOOD_TIMEOUT_S", "7")
    assert timeout() == 7
    assert timeout(traffic={"max_concurrency": 3}) == 7


def test_what_the_service_names_goes_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTOOD_TIMEOUT_S", "7")
    named = {"timeout": 90, "max_concurrency": 3}
    assert timeout(traffic=named) == 90
    assert timeout(traffic=(shared := {"max_concurrency": 3})) == 7
    assert shared == {"max_concurrency": 3}


def test_a_setting_that_cannot_be_used_is_said_when_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTOOD_TIMEOUT_S", "soon")
    with pytest.raises(SetupError, match="PLANTOOD_TIMEOUT_S='soon' cannot be used"):
        timeout()
