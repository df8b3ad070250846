"""A server whose service cannot start says why and ends with status 1; one told to stop, with 0."""

from __future__ import annotations

from pathlib import Path

from tests.service.server import start

SERVICE = """
import os
import bentoml
from plantood import PlantoodError
from plantood.http.apps.edge import EdgeService

@bentoml.service(service_class=EdgeService, workers=2)
class Detector:
    def __init__(self) -> None:
        if os.environ["USABLE"] == "no":
            raise PlantoodError("The detector has no model.")

    @bentoml.api
    def diagnose(self) -> str:
        return "rust"
"""


def test_the_status_tells_a_failed_start_from_a_stop(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    home = tmp_path / "home"
    with start(home, "service:Detector", folder=tmp_path, USABLE="no") as server:
        assert server.supervisor.wait(60) == 1, server.output
    assert "The service cannot start: The detector has no model." in server.output
    assert "Traceback" not in server.output
    assert not list(home.rglob("cannot-start-*"))
    with start(home, "service:Detector", folder=tmp_path, USABLE="yes") as server:
        server.wait_until_ready()
        server.supervisor.terminate()
        assert server.supervisor.wait(60) == 0, server.output
