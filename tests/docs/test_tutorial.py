"""The project of the tutorial runs as it stands on its page."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import yaml

from plantood.verdict import Verdict
from tests.docs.documents import ROOT, blocks
from tests.service.server import SAMPLES, start

PAGE = ROOT / "docs" / "tutorial-bento.md"


def test_the_three_files_serve_a_gated_detector(tmp_path: Path) -> None:
    project = tmp_path / "leaf_doctor"
    project.mkdir()
    for block in blocks("python", "yaml", files=[PAGE]):
        (project / block.title).write_text(block.text, encoding="utf-8")
    names = {path.name for path in project.iterdir()}
    assert names == {"detector.py", "service.py", "bentofile.yaml"}
    target = yaml.safe_load((project / "bentofile.yaml").read_text())["service"]

    with start(tmp_path / "home", target, folder=project) as server:
        server.wait_until_ready()
        leaf, soil, broken = (
            httpx.post(
                f"{server.url}/diagnose",
                files={"photo": (f"{name}.jpg", (SAMPLES / f"{name}.jpg").read_bytes())},
                timeout=60,
            )
            .raise_for_status()
            .text
            for name in ("maize_leaf", "bare_soil", "broken_upload")
        )
    page = PAGE.read_text(encoding="utf-8")
    assert leaf in page
    (shown,) = re.findall(r'^\{"verdict".*\}$', page, re.MULTILINE)
    on_page = Verdict.model_validate_json(shown.replace(",...,", ","))
    verdict = Verdict.model_validate_json(soil)
    assert on_page.plant_probability == pytest.approx(verdict.plant_probability, abs=1e-4)
    same = {"plant_probability": None, "quality": None, "timings_ms": {}}
    assert on_page.model_copy(update=same) == verdict.model_copy(update=same)
    assert Verdict.model_validate_json(broken).reasons[0].code == "unreadable"
