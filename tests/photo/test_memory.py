"""What decoding a photo takes in memory is what it says before it takes it."""

from __future__ import annotations

import functools
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from plantood.errors import PhotoTooLarge
from plantood.photo.images import Limits, load_image, load_whole
from tests.photo.peak import peak
from tests.photos import encode, heic
from tests.security import payloads

WIDTH, HEIGHT = 4000, 2500


@functools.cache
def _picture(mode: str) -> Image.Image:
    """Soft colours that no encoder can leave out, and quick to encode."""
    noise = np.random.default_rng(0).integers(0, 256, (25, 40, 4), np.uint8)
    return Image.fromarray(noise).resize((WIDTH, HEIGHT)).convert(mode)


def _grey_16() -> Image.Image:
    return Image.fromarray(np.asarray(_picture("L")).astype(np.uint16) * 257)


def _heic(mode: str, **options: object) -> bytes:
    """Smaller than the others: its encoder takes its time."""
    size = WIDTH // 2, HEIGHT // 2
    if mode != "RGB;16":
        return heic(_picture(mode).resize(size), quality=40, **options)
    file, pixels = BytesIO(), np.asarray(_picture("RGB").resize(size)).astype(np.uint16) * 257
    pillow_heif.encode(mode, size, pixels.tobytes(), file, quality=40)
    return file.getvalue()


PHOTOS = {
    "jpeg": lambda: encode(_picture("RGB")),
    "jpeg progressive": lambda: encode(_picture("RGB"), progressive=True),
    "jpeg progressive 4:4:4": lambda: encode(_picture("RGB"), progressive=True, subsampling=0),
    "jpeg cmyk progressive": lambda: encode(_picture("CMYK"), progressive=True),
    "png rgb": lambda: encode(_picture("RGB"), "PNG", compress_level=1),
    "png rgba": lambda: encode(_picture("RGBA"), "PNG", compress_level=1),
    "png la": lambda: encode(_picture("LA"), "PNG", compress_level=1),
    "png l": lambda: encode(_picture("L"), "PNG", compress_level=1),
    "png palette": lambda: encode(_picture("P"), "PNG", compress_level=1),
    "png palette, transparent": lambda: encode(
        _picture("P"), "PNG", compress_level=1, transparency=3
    ),
    "png bits": lambda: encode(_picture("1"), "PNG"),
    "png 16 bits": lambda: encode(_grey_16(), "PNG", compress_level=1),
    "webp": lambda: encode(_picture("RGB"), "WEBP", method=0),
    "webp alpha": lambda: encode(_picture("RGBA"), "WEBP", method=0),
    "webp lossless": lambda: payloads.flat("WEBP", WIDTH, HEIGHT, lossless=True, method=0),
    "avif": lambda: encode(_picture("RGB"), "AVIF", speed=10),
    "avif 4:4:4": lambda: encode(_picture("RGB"), "AVIF", speed=10, subsampling="4:4:4"),
    "avif alpha": lambda: encode(_picture("RGBA"), "AVIF", speed=10),
    "gif": lambda: encode(_picture("P"), "GIF"),
    "bmp": lambda: encode(_picture("RGB"), "BMP"),
    "tiff": lambda: encode(_picture("RGB"), "TIFF"),
    "tiff lzw": lambda: encode(_picture("RGB"), "TIFF", compression="tiff_lzw"),
    "tiff jpeg, turned": lambda: encode(
        _picture("RGB"), "TIFF", compression="jpeg", tiffinfo={0x0112: 6}
    ),
    "tiff cmyk": lambda: encode(_picture("CMYK"), "TIFF", compression="tiff_deflate"),
    "tiff float": lambda: encode(_picture("F"), "TIFF", compression="tiff_deflate"),
    "tiff 32 bits": lambda: encode(_picture("I"), "TIFF", compression="tiff_deflate"),
    "heic": lambda: _heic("RGB"),
    "heic 4:4:4": lambda: _heic("RGB", chroma=444),
    "heic alpha": lambda: _heic("RGBA"),
    "heic 10 bits": lambda: _heic("RGB;16"),
    "a long strip": lambda: payloads.flat("PNG", 600, 11_000),
    "a long strip as jpeg": lambda: payloads.flat("JPEG", 26_860, 1343),
    "tiff in one strip, turned": lambda: encode(
        _picture("RGBA"), "TIFF", compression="tiff_deflate", tiffinfo={0x0112: 6, 278: HEIGHT}
    ),
    "tiff ycbcr": lambda: encode(
        _picture("YCbCr"), "TIFF", compression="tiff_deflate", tiffinfo={278: HEIGHT}
    ),
    "webp animation": lambda: encode(
        _picture("RGB"), "WEBP", method=0, save_all=True, append_images=[_picture("L")]
    ),
    "gif transparent": lambda: encode(_picture("P"), "GIF", transparency=3),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_takes_what_it_asked_for(name: str, tmp_path: Path) -> None:
    measured = peak(PHOTOS[name](), tmp_path)
    assert not measured.refused
    asked, taken = measured.asked, measured.taken
    assert taken <= asked, f"{taken / 1e6:.0f} MB taken, {asked / 1e6:.0f} asked for"
    assert asked < 4 * max(taken, 16 << 20), "far more is asked for than is taken"


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_all_pixels_of_a_jpeg_take_what_they_ask_for_turned_or_not(
    options: dict[str, bool], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # as of most phones
    measured = peak(encode(_picture("RGB"), exif=exif, **options), tmp_path, whole=True)
    assert not measured.refused
    assert measured.taken <= measured.asked
    assert measured.asked < 2 * measured.taken


def test_a_jpeg_whose_pixels_do_not_fit_comes_reduced_and_is_not_refused() -> None:
    photo = encode(_picture("RGB"))
    in_any_case, pixels = (16 << 20) + len(photo), 7 * WIDTH * HEIGHT
    for part, times in ((1, 1), (0.9, 2), (0.2, 4)):
        limits = Limits(max_memory=in_any_case + int(part * pixels))
        assert load_whole(photo, limits).size == (WIDTH // times, HEIGHT // times)
        assert load_image(photo, limits).width == WIDTH
    with pytest.raises(PhotoTooLarge):
        load_whole(photo, Limits(max_memory=16 << 20))


def test_a_phone_s_largest_photo_is_given_to_a_detector(shared: Path) -> None:
    photo = load_whole(shared / "cases" / "phone_64mp_9248x6936.jpg")
    assert photo.size in ((9248 // 2, 6936 // 2), (6936 // 2, 9248 // 2))
