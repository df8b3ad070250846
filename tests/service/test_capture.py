"""The service keeps what it is unsure about, and `mine` reads it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from plantood.training.mining.sources import entries
from plantood.verdict import Verdict
from tests.photos import encode, scene
from tests.service.server import SAMPLES, Server, serving, start

PER_DAY = 6
OWNER = "Ann Example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captured")


@pytest.fixture(scope="module")
def capturing(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    settings = {
        "PLANTOOD_CAPTURE": str(folder),
        "PLANTOOD_CAPTURE_PER_DAY": str(PER_DAY),
        "PLANTOOD_CAPTURE_MARGIN": "0.02",
        "PLANTOOD_WORKERS": "2",
    }
    with serving(tmp_path_factory.mktemp("bentoml"), **settings) as server:
        yield server


def with_owner(file: Path, number: int) -> bytes:
    """A sample as a phone would send it: with owner and position, and bytes of its own."""
    exif = Image.Exif()
    exif[0x010F] = OWNER
    exif.get_ifd(0x8825)[2] = (1.0, 17.0, 12.5 + number)
    with Image.open(file) as image:
        return encode(image, exif=exif, quality=90)


def captured(server: Server) -> dict[str, float]:
    prefix = 'plantood_captured_total{outcome="'
    return {
        name.removeprefix(prefix).removesuffix('"}'): value
        for name, value in server.metrics().items()
        if name.startswith(prefix)
    }


def until(server: Server, total: int) -> dict[str, float]:
    """The counts, as soon as so many photos are dealt with."""
    for _ in range(600):
        if sum((counts := captured(server)).values()) >= total:
            return counts
    raise AssertionError(counts)


def test_what_is_refused_is_kept_for_mining(capturing: Server, folder: Path) -> None:
    soil, plant = SAMPLES / "bare_soil.jpg", SAMPLES / "bean_plant.jpg"
    assert set(captured(capturing)) == {"kept", "over_cap", "dropped", "failed"}

    def check(photo: bytes) -> Verdict:
        answer = httpx.post(f"{capturing.url}/check", files={"image": photo}, timeout=60)
        return Verdict.model_validate(answer.raise_for_status().json())

    # Accepted, and not near the threshold; unreadable: nothing to keep.
    assert check(plant.read_bytes()).accepted
    assert not check(b"no photo").accepted

    photos = [with_owner(soil, number) for number in range(2 * PER_DAY)]
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(check, photos))
    assert not any(verdict.accepted for verdict in verdicts)
    counts = until(capturing, len(photos))
    assert counts == {"kept": PER_DAY, "over_cap": PER_DAY, "dropped": 0, "failed": 0}

    kept = sorted(Path(entry.path) for entry in entries(str(folder)))
    assert [file.name for file in kept] == [f"{n:05}.jpg" for n in range(1, PER_DAY + 1)]
    for file in kept:
        content = file.read_bytes()
        assert OWNER.encode() not in content
        with Image.open(file) as image:
            assert not image.getexif()
        verdict = Verdict.model_validate_json(file.with_suffix(".json").read_bytes())
        assert verdict.plant_probability == pytest.approx(verdicts[0].plant_probability, abs=0.01)
        assert [reason.code for reason in verdict.reasons] == ["not_a_plant"]
    assert OWNER.encode() in photos[0]


def test_a_destination_that_breaks_fails_no_request(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "captured"
    with serving(tmp_path / "bentoml", PLANTOOD_CAPTURE=str(folder)) as server:
        shutil.rmtree(folder)
        folder.write_bytes(b"in the way")
        dark = encode(scene().point(lambda value: value // 20))
        for url, field in (
            (server.url + "/check", "image"),
            (server.url + "/check_batch", "images"),
        ):
            answer = httpx.post(url, files=[(field, dark)], timeout=60)
            assert answer.status_code == 200
            assert "too_dark" in answer.text
        assert until(server, 2)["failed"] == 2
        assert "could not be kept" in server.output


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("captured", "allowed is an absolute path, or a URL"),
        ("/proc/captured", "cannot be written to"),
    ],
)
def test_a_place_that_cannot_be_used_stops_the_start(tmp_path: Path, place: str, says: str) -> None:
    with start(tmp_path, PLANTOOD_CAPTURE=place) as server:
        assert server.supervisor.wait(90) != 0
    assert f"PLANTOOD_CAPTURE='{place}'" in server.output
    assert says in server.output
    assert "Traceback" not in server.output
