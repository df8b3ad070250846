from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageOps

from plantood.photo import pixels
from tests.photos import scene

PICTURE = scene(203, 149)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
@pytest.mark.parametrize("factor", [0, 3])
@pytest.mark.parametrize("orientation", range(10))
def test_in_bands_it_is_the_same_as_at_once(
    orientation: int, factor: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "_BAND", 203 * 20)
    picture = PICTURE.convert(mode)
    expected = (picture.reduce(factor) if factor else picture).convert("RGB")
    expected.getexif()[0x0112] = orientation
    found = pixels.to_rgb(picture.size, pixels.rows_of(picture), factor, orientation)
    upright = np.asarray(ImageOps.exif_transpose(expected))
    assert found.size == (upright.shape[1], upright.shape[0])
    assert np.array_equal(np.asarray(found), upright)
