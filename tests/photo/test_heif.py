"""HEIC: read by a decoder alone, and by every install that can serve."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from plantood.photo.images import Limits, load_image
from tests.photos import encode, heic
from tests.service.server import ROOT, SAMPLES


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    with Image.open(SAMPLES / "bean_plant.jpg") as image:
        return image.convert("RGB").resize((1280, 960))


def difference(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.abs(left.astype(int) - right).mean())


def test_what_serving_installs_decodes_heic_and_encodes_nothing() -> None:
    import pi_heif

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {Requirement(line).name for line in project["dependencies"]}
    assert "pi-heif-decoder" in named
    assert "pillow-heif" not in named
    info = pi_heif.libheif_info()
    assert set(info["encoders"]) <= {"mask"}  # of libheif itself, for region masks
    assert any("libde265" in name for name in info["decoders"])


def test_tiles_as_phones_write_them(picture: Image.Image) -> None:
    expected = np.asarray(picture.reduce(2))
    limits = Limits(shorter_side=480)
    tiled = heic(picture, tile_size=512)
    assert b"grid" in tiled
    assert b"grid" not in heic(picture)
    loaded = load_image(tiled, limits)
    assert (loaded.width, loaded.height) == picture.size
    assert difference(loaded.pixels, expected) < 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_upright_as_jpeg_is(picture: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = picture.resize((320, 240))
    upright = load_image(encode(small, quality=95, exif=exif))
    loaded = load_image(heic(small, exif=exif.tobytes()))
    assert (loaded.width, loaded.height) == (upright.width, upright.height)
    assert difference(loaded.pixels, upright.pixels) < 5


def test_alpha_is_over_white() -> None:
    clear = Image.new("RGBA", (320, 240), (0, 128, 0, 0))
    assert load_image(heic(clear)).pixels.min() > 250
