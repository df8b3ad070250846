from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.images import FORMATS, SHORTER_SIDE, Limits, load_image, to_model_input
from tests.photos import encode, heic, scene

JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "progressive 4:4:4": {"progressive": True, "subsampling": 0, "quality": 95},
    "restart every 7 blocks": {"restart_marker_blocks": 7},
    "restart every row": {"restart_marker_rows": 1},
    "optimised": {"optimize": True, "quality": 40},
}
CUTS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
END = b"\xff\xd9"


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return scene(900, 700)


def readable(data: bytes) -> bool:
    try:
        load_image(data)
    except UnreadablePhoto:
        return False
    return True


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


# --- what is accepted


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_pixels(picture: Image.Image, format: str) -> None:
    image = picture.resize((300, 200))
    loaded = load_image(encode(image, format))
    assert loaded.format == format
    assert (loaded.width, loaded.height) == (300, 200)
    assert loaded.pixels.dtype == np.uint8
    assert difference(loaded.pixels, np.asarray(image)) < 15


def test_heic_as_iphones_send_it(picture: Image.Image) -> None:
    image = picture.resize((320, 240))
    photo = heic(image, quality=90)
    loaded = load_image(photo)
    assert loaded.format == "HEIF"
    assert difference(loaded.pixels, np.asarray(image)) < 15
    assert not readable(photo[:-2000])


def test_bytes_path_image_and_array_are_the_same_photo(
    picture: Image.Image, tmp_path: Path
) -> None:
    data = encode(picture, "PNG")
    path = tmp_path / "photo.bin"  # the name does not matter
    path.write_bytes(data)
    expected = load_image(data).pixels
    for photo in (bytearray(data), memoryview(data), path, str(path), picture, np.asarray(picture)):
        assert np.array_equal(load_image(photo).pixels, expected)


def test_array_shapes(picture: Image.Image) -> None:
    grey = np.asarray(picture.convert("L").resize((320, 240)))  # too small to be reduced
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(load_image(grey).pixels, expected)
    assert np.array_equal(load_image(grey[:, :, None]).pixels, expected)
    transparent = np.zeros((120, 120, 4), np.uint8)
    assert (load_image(transparent).pixels == 255).all()


def test_misuse_is_not_an_unreadable_photo() -> None:
    with pytest.raises(TypeError, match="uint8"):
        load_image(np.zeros((9, 9, 3), np.float32))
    with pytest.raises(ValueError, match="shape"):
        load_image(np.zeros((9, 9, 5), np.uint8))
    with pytest.raises(TypeError, match="NoneType"):
        load_image(None)


def test_empty_array_is_unreadable() -> None:
    with pytest.raises(UnreadablePhoto):
        load_image(np.zeros((0, 5, 3), np.uint8))


# --- modes


def test_cmyk_white_is_white() -> None:
    assert (load_image(encode(Image.new("CMYK", (99, 99), (0, 0, 0, 0)))).pixels == 255).all()
    red = load_image(encode(Image.new("CMYK", (99, 99), (0, 255, 255, 0)))).pixels[50, 50]
    assert red[0] > 200
    assert red[1] < 60


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(99, axis=0)
    for format in ("PNG", "TIFF"):
        pixels = load_image(encode(Image.fromarray(ramp), format)).pixels[0, :, 0]
        assert np.abs(pixels.astype(int) - np.arange(256)).max() <= 1


def test_float_and_32_bit_tiff() -> None:
    for values in (
        np.float32([[0, 0.5, 1]]),
        np.int32([[0, 128, 255]]),
        np.int32([[0, 32768, 65535]]),
    ):
        pixels = load_image(encode(Image.fromarray(values.repeat(9, axis=0)), "TIFF")).pixels
        assert np.abs(pixels[0, :, 0].astype(int) - (0, 128, 255)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_is_white(mode: str) -> None:
    image = Image.new("RGBA", (120, 99), (200, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 60, 99))
    if mode == "P":
        photo: Image.Image | bytes = encode(image, "GIF")
    else:
        photo = encode(image.convert(mode), "PNG")
    pixels = load_image(photo).pixels
    assert (pixels[50, 100] == 255).all()
    assert (pixels[50, 20] == 0).all()


def test_transparent_colour_of_a_png_without_alpha() -> None:
    image = Image.new("RGB", (50, 50), (255, 0, 255))
    data = encode(image, "PNG", transparency=(255, 0, 255))
    assert (load_image(data).pixels == 255).all()


def test_one_bit_and_palette(picture: Image.Image) -> None:
    assert set(np.unique(load_image(encode(picture.convert("1"), "PNG")).pixels)) <= set(range(256))
    quantised = picture.resize((200, 150)).quantize(64)
    loaded = load_image(encode(quantised, "PNG")).pixels
    assert np.array_equal(loaded, np.asarray(quantised.convert("RGB")))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_first_frame_of_an_animation(format: str) -> None:
    first, second = Image.new("RGB", (99, 99), "red"), Image.new("RGB", (99, 99), "blue")
    data = encode(first, format, save_all=True, append_images=[second], duration=100)
    assert difference(load_image(data).pixels, np.asarray(first)) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, format: str) -> None:
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste((255, 0, 0), (0, 0, 30, 20))
    to_stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse Image.Transpose of each
    stored = upright.transpose(to_stored[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(encode(stored, format, exif=exif, **_lossless(format)))
    assert (loaded.width, loaded.height) == (60, 40)
    assert loaded.pixels.shape == (40, 60, 3)
    assert difference(loaded.pixels[2:17, 2:27], np.full((15, 25, 3), (255, 0, 0))) < 8
    assert difference(loaded.pixels[25:, 35:], np.full((15, 25, 3), 255)) < 8


def _lossless(format: str) -> dict:
    return {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})


def test_broken_exif_does_not_cost_the_photo(picture: Image.Image) -> None:
    assert readable(encode(picture, exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff"))


# --- reduction


def test_large_jpeg_is_reduced_and_keeps_its_size(picture: Image.Image) -> None:
    large = picture.resize((4000, 3000))
    loaded = load_image(encode(large))
    assert (loaded.width, loaded.height) == (4000, 3000)
    assert SHORTER_SIDE <= min(loaded.pixels.shape[:2]) < 2 * SHORTER_SIDE
    full = load_image(np.asarray(large))
    assert difference(to_model_input(loaded), to_model_input(full)) < 1.5


def test_nothing_is_enlarged_on_load() -> None:
    assert load_image(Image.new("L", (3, 5))).pixels.shape == (5, 3, 3)
    assert load_image(encode(Image.new("L", (1, 1)))).pixels.shape == (1, 1, 3)


def test_model_input_is_the_whole_photo_stretched() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 200:] = 255
    stretched = to_model_input(pixels, 90)
    assert stretched.shape == (90, 90, 3)
    assert (stretched[:, :55] == 0).all()
    assert (stretched[:, 65:] == 255).all()


# --- limits


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = b"IDAT" + zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", len(data) - 4) + data + bytes(4)


def test_limits_name_themselves(picture: Image.Image, tmp_path: Path) -> None:
    data = encode(picture)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    for photo in (data, path):
        with pytest.raises(PhotoTooLarge, match="limit of 1,000 bytes"):
            load_image(photo, Limits(max_bytes=1000))
    for photo in (data, picture, np.asarray(picture)):
        with pytest.raises(PhotoTooLarge, match=r"900 x 700 pixels .* limit of 1,000 pixels"):
            load_image(photo, Limits(max_pixels=1000))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_500, 20_000, 200_000])
def test_bombs_are_refused_before_decoding(side: int) -> None:
    with pytest.raises(PhotoTooLarge):
        load_image(png_header(side, side))


def test_bombs_cost_no_memory() -> None:
    webp = (
        b"RIFF\xff\xff\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"
        + (16382).to_bytes(3, "little") * 2
        + bytes(50)
    )
    code = f"""
        import resource
        from plantood.errors import UnreadablePhoto
        from plantood.photo.images import load_image
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for data in ({png_header(30_000, 30_000)!r}, {webp!r}):
            try:
                load_image(data)
            except UnreadablePhoto:
                pass
            else:
                raise SystemExit("it was loaded")
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 30  # MiB


def test_thousands_of_scans_are_refused() -> None:
    data = encode(scene(64, 64), progressive=True)
    scan = data.rindex(b"\xff\xda")
    bomb = data[:-2] + data[scan:-2] * 500 + END
    with pytest.raises(UnreadablePhoto, match="scans"):
        load_image(bomb)


def test_thousands_of_scans_of_a_sequential_jpeg_are_refused() -> None:
    data = encode(scene(64, 64))
    scan = data.rindex(b"\xff\xda")
    luma_only = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"  # one of its three components
    bomb = data[:scan] + (luma_only + data[scan + 14 : -2]) * 500 + END
    with pytest.raises(UnreadablePhoto, match="scans"):
        load_image(bomb)


def test_bytes_that_look_like_scans_in_a_usual_jpeg_are_let_through() -> None:
    data = encode(scene(64, 64), comment=b"\xff\xda" * 500)
    assert load_image(data).width == 64


# --- broken uploads


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS.keys())
def test_jpeg_that_broke_off_is_unreadable(picture: Image.Image, options: dict) -> None:
    data = encode(picture, **options)
    for cut in CUTS:
        assert not readable(data[: int(len(data) * cut)]), cut


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS.keys())
def test_jpeg_that_only_lacks_its_end_marker_is_whole(picture: Image.Image, options: dict) -> None:
    data = encode(picture, **options)
    assert data.endswith(END)
    expected = load_image(data).pixels
    for lacking in (
        data[:-2],
        data[:-1],
        data[:-2] + bytes(3000),
        data + b"trailer \xff\x00 of a phone",
    ):
        assert np.array_equal(load_image(lacking).pixels, expected)


@pytest.mark.parametrize("options", [JPEGS["baseline"], JPEGS["restart every row"]])
def test_cut_jpeg_with_an_end_marker_added_is_unreadable(
    picture: Image.Image, options: dict
) -> None:
    data = encode(picture, **options)
    for cut in (0.3, 0.6, 0.95):
        broken = data[: int(len(data) * cut)]
        assert not readable(broken + END), cut
        assert not readable(broken + bytes(5000)), cut


def test_jpeg_cut_exactly_at_a_restart_marker_is_unreadable(picture: Image.Image) -> None:
    data = encode(picture, restart_marker_rows=1)
    scan = data.index(b"\xff\xda")
    for marker in (b"\xff\xd0", b"\xff\xd3", b"\xff\xd7"):
        position = data.index(marker, scan)
        assert not readable(data[:position])
        assert not readable(data[: position + 2])


def test_grey_photo_ending_in_the_decoders_grey_is_whole() -> None:
    grey = Image.new("RGB", (300, 300), (128, 128, 128))
    grey.paste((10, 200, 30), (0, 0, 300, 150))
    assert readable(encode(grey, quality=100, subsampling=0))
    assert readable(encode(grey, quality=100, subsampling=0)[:-2])


def test_cut_jpeg_is_unreadable_whatever_pillow_was_told(
    picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode(picture)
    assert not readable(data[: len(data) // 2])
    assert readable(data[:-2])


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_other_formats_that_broke_off_are_unreadable(format: str, options: dict) -> None:
    data = encode(scene(300, 200), format, **options)
    assert readable(data)
    for cut in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        assert not readable(data[: int(len(data) * cut)]), cut


def test_real_broken_uploads_are_unreadable(shared: Path) -> None:
    photos = sorted((shared / "data" / "truncated").glob("*.jpg"))
    assert photos
    for photo in photos:
        with pytest.raises(UnreadablePhoto, match="broke off"):
            load_image(photo)


def test_real_originals_whole_and_cut(shared: Path) -> None:
    photos = sorted((shared / "data" / "originals").glob("*.jpg"))
    assert photos
    for photo in photos:
        data = photo.read_bytes()
        expected = load_image(data).pixels
        assert np.array_equal(load_image(data[:-2]).pixels, expected)
        for cut in (0.1, 0.5, 0.9, 0.999):
            assert not readable(data[: int(len(data) * cut)]), (photo, cut)


# --- whatever bytes


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"hello", b"<svg/>", b"%PDF-1.7", bytes(9999)],
)
def test_what_is_no_photo_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadablePhoto):
        load_image(data)


def test_formats_outside_the_list_are_unreadable(picture: Image.Image) -> None:
    for format in ("PPM", "TGA", "ICO", "PCX"):
        assert not readable(encode(picture.resize((64, 64)), format))


def test_files_that_cannot_be_read_are_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path, "nul\0l.jpg"):
        with pytest.raises(UnreadablePhoto, match="cannot be read"):
            load_image(path)


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_never_raise_anything_else() -> None:
    picture = scene(160, 120)
    rng = random.Random(4)
    files = [encode(picture, format) for format in FORMATS]
    files += [encode(picture, **options) for options in JPEGS.values()]
    files += [encode(picture.quantize(), "PNG"), encode(picture.convert("CMYK"))]
    for data in files:
        for _ in range(25):
            mutated = bytearray(data)
            for _ in range(rng.choice((1, 3, 30))):
                mutated[rng.randrange(min(len(data), rng.choice((40, 700, 10**9))))] = (
                    rng.randrange(256)
                )
            readable(bytes(mutated[: rng.randrange(len(data)) if rng.random() < 0.3 else None]))


def test_threads_do_not_disturb_each_other(picture: Image.Image) -> None:
    whole = encode(picture)
    broken = whole[: len(whole) // 2]
    start = threading.Barrier(4)

    def judge(_: int) -> list[bool]:
        start.wait()
        return [readable(data) for _ in range(10) for data in (whole, broken, whole[:-2])]

    with ThreadPoolExecutor(4) as pool:
        for outcomes in pool.map(judge, range(4)):
            assert outcomes == [True, False, True] * 10


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_a_damaged_png_is_unreadable(picture: Image.Image, mode: str, at: float) -> None:
    """Each chunk has a checksum; a decoder that goes on leaves the rest black."""
    photo = bytearray(encode(picture.convert(mode), "PNG"))
    start = photo.index(b"IDAT") + 4
    place = start + int(at * (len(photo) - start - 30))
    photo[place] ^= 0x10
    with pytest.raises(UnreadablePhoto):
        load_image(bytes(photo))
    without = bytes(photo[:place] + photo[place + 200 :])
    with pytest.raises(UnreadablePhoto):
        load_image(without)


def test_the_time_of_a_flood_behind_a_photo_is_bounded(picture: Image.Image) -> None:
    photo = encode(picture, "JPEG")
    flood = photo[:-2] + b"\xff\xfe\0\2" * 4_000_000
    started = time.perf_counter()
    with contextlib.suppress(UnreadablePhoto):
        load_image(flood)
    assert time.perf_counter() - started < 1
