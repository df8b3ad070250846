"""The documentation's site is built strictly, from the documents and the code alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from signal import SIGINT

import pytest

from plantood import __all__ as public
from plantood.cli import COMMANDS
from plantood.cli.check import EXIT_NOT_JUDGED
from plantood.compose import __all__ as composing
from plantood.errors import PlantoodError
from plantood.judging.prometheus import COMPOSED_METRICS, METRICS
from plantood.verdict import Verdict
from tests.docs.documents import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "-d", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_reference_has_what_the_code_has(site: Path) -> None:
    def page(name: str) -> str:
        return (site / "reference" / name).read_text(encoding="utf-8")

    assert not [name for name in public if f'id="plantood.{name}"' not in page("plantood.html")]
    compose = page("compose.html").replace("compose.gated.gated", "compose.gated")
    assert not [
        name
        for name in set(composing) - set(public)
        if f'id="plantood.compose.{name}"' not in compose
    ]
    commands = page("commands.html")
    assert not [name for name in COMMANDS if f"Usage: plantood {name}" not in commands]
    metrics = [family.name for one in METRICS + COMPOSED_METRICS for family in one.describe()]
    assert not [name for name in metrics if name not in page("metrics.html")]
    errors = [error.__name__ for error in PlantoodError.__subclasses__()]
    assert not [name for name in errors if name not in page("errors.html")]
    statuses = f"<code>plantood check</code>: {EXIT_NOT_JUDGED}; after Ctrl-C: {128 + SIGINT}"
    assert statuses in page("errors.html")
    http = page("http.html")
    assert not [field for field in Verdict.model_fields if field not in http]
    assert '"/check"' in page("openapi.json")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"""(?:<script[^>]+src|<img[^>]+src|<link[^>]+href)=["']?(https?:[^"'\s>]+)"""
    )
    found = {
        url
        for page in site.rglob("*.html")
        for url in loaded.findall(page.read_text(encoding="utf-8"))
    }
    assert not found
