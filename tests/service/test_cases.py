"""Photos that were judged wrongly once, in every way that a photo comes in."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from plantood.judging.gate import Gate
from plantood.verdict import Verdict
from tests.service.server import ROOT, Server

UNREADABLE = (
    "heic_cut_20pct.heic",
    "png_bitflip_accepted.png",
    "jpeg_96_empty_scans_no_eoi.jpg",
    "cmyk_half_plus_eoi.jpg",
    "progressive_third_plus_eoi.jpg",
)
JUDGED = {
    "phone_64mp_9248x6936.jpg": (9248, 6936),
    "png16_grey_63mp_127kB.png": (8000, 7900),
    "tiff_orientation6_jpeg.tif": (900, 600),
    "jpeg_intact_all_grey_713B.jpg": (320, 240),
}
"""What can be read, and its size when it stands upright."""


def _multipart(server: Server, photo: Path) -> Any:
    files = {"image": (photo.name, photo.read_bytes(), "application/octet-stream")}
    return httpx.post(f"{server.url}/check", files=files, timeout=60).raise_for_status().json()


def _raw(server: Server, photo: Path) -> Any:
    answer = httpx.post(f"{server.url}/check", content=photo.read_bytes(), timeout=60)
    return answer.raise_for_status().json()


def _batch(server: Server, photo: Path) -> Any:
    files = [("images", (photo.name, photo.read_bytes()))]
    answer = httpx.post(f"{server.url}/check_batch", files=files, timeout=60)
    return answer.raise_for_status().json()[0]


def _in_process(_: Server, photo: Path) -> Any:
    return Gate.load().check(photo).model_dump(mode="json")


def _command(_: Server, photo: Path) -> Any:
    command = [sys.executable, "-m", "plantood", "check", "--json", str(photo)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    verdict = json.loads(done.stdout)
    del verdict["photo"]
    return verdict


Way = Callable[[Server, Path], Any]
WAYS: list[Way] = [_multipart, _raw, _batch, _in_process, _command]


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    return shared / "cases"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_broken_is_unreadable_and_cheap(
    way: Way, name: str, server: Server, cases: Path
) -> None:
    started = time.perf_counter()
    verdict = Verdict.model_validate(way(server, cases / name))
    seconds = time.perf_counter() - started
    assert [reason.code for reason in verdict.reasons] == ["unreadable"]
    assert seconds < (10 if way is _command else 2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JUDGED)
def test_what_is_whole_is_judged_upright(way: Way, name: str, server: Server, cases: Path) -> None:
    verdict = Verdict.model_validate(way(server, cases / name))
    assert "unreadable" not in [reason.code for reason in verdict.reasons]
    assert (verdict.quality.width, verdict.quality.height) == JUDGED[name]


def test_every_case_is_one_of_these(cases: Path) -> None:
    assert {path.name for path in cases.iterdir()} - {"README.md"} == {*UNREADABLE, *JUDGED}
