"""A service with the gate in front has the bounds of the gate's own."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.service.server import serving

SLOW = """
import time
import bentoml
from plantood.compose import GatedService, Verdict, gated

class Gate:
    async def check(self, photo: object, language: str | None) -> Verdict:
        return Verdict(verdict="accept")

@bentoml.service(service_class=GatedService{named})
class Detector:
    gate = Gate()

    @bentoml.api
    @gated
    def diagnose(self, image: bytes) -> str:
        time.sleep(4)
        return "rust"
"""


@pytest.mark.parametrize(
    ("named", "status"), [("", 504), (", traffic={'timeout': 60}", 200)], ids=["settings", "named"]
)
def test_a_request_has_the_time_of_the_settings_unless_the_service_names_another(
    named: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "service.py").write_text(SLOW.format(named=named))
    home, short = tmp_path / "home", {"PLANTOOD_TIMEOUT_S": "2"}
    with serving(home, "service:Detector", folder=tmp_path, **short) as server:
        answer = httpx.post(f"{server.url}/diagnose", content=b"photo", timeout=60)
    assert answer.status_code == status
