from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from plantood.judging.capture.queue import Capture
from tests.photos import encode, scene


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    exif = Image.Exif()
    exif[0x010F] = "Ann's phone"
    return [encode(scene(120, 100, seed), exif=exif) for seed in range(12)]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    opened = []

    def make(place: object = tmp_path / "captured", per_day: int = 100) -> Capture:
        opened.append(Capture(str(place), margin=0.1, per_day=per_day))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
