from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from plantood.errors import UnreadablePhoto
from plantood.photo.images import load_image
from plantood.photo.metadata import without_metadata
from tests.damage import damaged
from tests.photos import encode, heic, scene
from tests.security import payloads

SECRET = b"Farm of Ann Example"
SAMPLES = Path(__file__).parents[2] / "plantood" / "model" / "starter" / "samples"


def exif(orientation: int = 1) -> Image.Exif:
    """As a phone writes it: maker, owner, time, position, orientation."""
    tags = Image.Exif()
    tags[0x010F] = SECRET.decode()
    tags[0x0112] = orientation
    tags[0x9003] = "2026:03:01 12:00:00"
    gps = tags.get_ifd(0x8825)
    gps[1], gps[2] = "S", (1.0, 17.0, 12.5)
    gps[3], gps[4] = "E", (36.0, 49.0, 0.25)
    return tags


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def pixels(photo: bytes) -> np.ndarray:
    with Image.open(BytesIO(photo)) as image:
        return np.asarray(image)


def loaded_metadata(photo: bytes) -> tuple[dict[int, object], set[str]]:
    with Image.open(BytesIO(photo)) as image:
        image.load()
        return dict(image.getexif()), set(image.info)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 5}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_keeps_its_pixels_and_nothing_else(options: dict[str, int], mode: str) -> None:
    photo = encode(
        scene().convert(mode), exif=exif(), xmp=b"<x>" + SECRET + b"</x>", comment=SECRET, **options
    )
    assert photo.count(SECRET) == 3
    stripped, suffix = without_metadata(photo)
    assert suffix == ".jpg"
    assert SECRET not in stripped
    assert np.array_equal(pixels(stripped), pixels(photo))
    tags, info = loaded_metadata(stripped)
    assert tags == {}
    assert not info & {"exif", "xmp", "comment", "photoshop"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_photo_is_still_turned_the_right_way(format: str, orientation: int) -> None:
    photo = encode(scene(), format, exif=exif(orientation))
    stripped, _ = without_metadata(photo)
    assert SECRET not in stripped
    before, after = load_image(photo), load_image(stripped)
    assert (after.width, after.height) == (before.width, before.height)
    assert np.array_equal(after.pixels, before.pixels)
    tags, _ = loaded_metadata(stripped)
    assert tags == ({0x0112: orientation} if orientation > 1 else {})


def test_every_application_segment_goes_but_those_that_say_what_the_numbers_mean() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = encode(scene(), icc_profile=profile)
    hidden = b"".join(segment(0xE0 + i, b"X" + SECRET) for i in range(16))
    hidden += segment(0xE0, b"JFXX\0\x10" + SECRET) + segment(0xFE, SECRET)
    hidden += segment(0xE2, b"MPF\0" + SECRET) + segment(0xF0, SECRET)
    stripped, _ = without_metadata(photo[:2] + hidden + photo[2:])
    assert stripped == without_metadata(photo)[0] == photo
    assert loaded_metadata(stripped)[1] >= {"icc_profile", "jfif"}


def test_the_thumbnail_of_a_jfif_segment_goes() -> None:
    photo = encode(scene())
    length = struct.unpack_from(">H", photo, 4)[0]
    thumbnail = segment(0xE0, photo[6:18] + b"\x02\x01" + SECRET[:6])
    stripped, _ = without_metadata(photo[:2] + thumbnail + photo[4 + length :])
    assert stripped == photo


def test_what_hides_behind_the_photo_or_between_its_segments_goes() -> None:
    """A motion photo's video, a second picture with EXIF of its own, padding before the scan."""
    photo = encode(scene(), exif=exif())
    second = encode(scene(seed=1), exif=exif())
    padded = photo[:2] + SECRET + photo[2:]
    for hiding in (photo + SECRET, photo + second, padded):
        stripped, _ = without_metadata(hiding)
        assert stripped == without_metadata(photo)[0]


def test_a_jpeg_without_end_marker_gets_one() -> None:
    photo = encode(scene())
    stripped, _ = without_metadata(photo[:-2] + bytes(64))
    assert np.array_equal(load_image(stripped).pixels, load_image(photo).pixels)


def test_the_samples_keep_their_pixels() -> None:
    for file in sorted(SAMPLES.glob("*.jpg")):
        if file.name != "broken_upload.jpg":
            stripped, _ = without_metadata(file.read_bytes())
            assert np.array_equal(pixels(stripped), pixels(file.read_bytes()))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_a_png_keeps_its_pixels_and_nothing_else(mode: str) -> None:
    image = scene(160, 120)
    image = (
        Image.fromarray(np.arange(160 * 120, dtype=np.uint16).reshape(120, 160))
        if (mode == "I;16")
        else image.convert(mode)
    )
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", SECRET.decode())
    text.add_itxt("GPS", SECRET.decode())
    text.add(b"tIME", bytes(7))
    text.add(b"prVt", SECRET, after_idat=True)
    photo = encode(image, "PNG", pnginfo=text, exif=exif()) + SECRET
    stripped, suffix = without_metadata(photo)
    assert suffix == ".png"
    assert SECRET not in stripped
    assert np.array_equal(pixels(stripped), pixels(photo))
    assert loaded_metadata(stripped)[0] == {}


def test_the_chunks_of_a_png_are_sound() -> None:
    stripped, _ = without_metadata(encode(scene(), "PNG", exif=exif(6)))
    position = 8
    while position < len(stripped):
        (length,) = struct.unpack_from(">I", stripped, position)
        body = stripped[position + 4 : position + 8 + length]
        assert zlib.crc32(body) == struct.unpack_from(">I", stripped, position + 8 + length)[0]
        position += 12 + length
    assert position == len(stripped)


def test_a_png_without_an_end_gets_one() -> None:
    photo = encode(scene(), "PNG")
    stripped, _ = without_metadata(photo[:-12])
    assert stripped == without_metadata(photo)[0]
    assert np.array_equal(load_image(photo[:-12]).pixels, load_image(photo).pixels)


@pytest.mark.parametrize("format", ["WEBP", "TIFF", "AVIF", "GIF", "BMP"])
def test_other_formats_are_saved_anew(format: str) -> None:
    options = {} if format in ("GIF", "BMP") else {"exif": exif(6)}
    photo = encode(scene(), format, **options)
    stripped, suffix = without_metadata(photo)
    assert suffix == ".jpg"
    assert SECRET not in stripped
    before, after = load_image(photo), load_image(stripped)
    assert (after.width, after.height) == (before.width, before.height)
    difference = np.abs(after.pixels.astype(int) - before.pixels)
    assert difference.mean() < 4
    assert loaded_metadata(stripped)[0] == {}


def test_heic_is_saved_anew() -> None:
    stripped, suffix = without_metadata(heic(scene(), exif=exif(6).tobytes()))
    assert suffix == ".jpg"
    assert SECRET not in stripped
    assert loaded_metadata(stripped)[0] == {}


@pytest.mark.parametrize(
    "photo", [b"", b"no photo", b"\xff\xd8\xff\xe1\x00\x10abc", encode(scene(), "PNG")[:5000]]
)
def test_what_is_no_photo_is_refused(photo: bytes) -> None:
    with pytest.raises((UnreadablePhoto, ValueError)):
        without_metadata(photo)


JPEGS = [encode(scene(80, 60)), encode(scene(80, 60), progressive=True)]
PNGS = [encode(scene(80, 60), "PNG"), encode(scene(80, 60).convert("P"), "PNG")]


def assert_bare(photo: bytes) -> None:
    """It holds nothing of its camera but how it is to be turned."""
    tags, info = loaded_metadata(photo)
    assert tags.keys() <= {0x0112}
    assert not info & {"xmp", "comment", "photoshop", "Author", "XML:com.adobe.xmp"}
    assert SECRET not in photo


@given(
    st.sampled_from(JPEGS),
    st.lists(st.tuples(st.sampled_from([*range(0xE0, 0xF0), 0xFE]), st.binary(max_size=60))),
    st.integers(1, 8),
    st.binary(max_size=60),
)
def test_a_jpeg_with_any_segments_is_bare_and_keeps_its_pixels(
    photo: bytes, hidden: list[tuple[int, bytes]], orientation: int, behind: bytes
) -> None:
    kept = (b"Adobe", b"JFIF\0", b"ICC_PROFILE\0")  # they say what the numbers mean
    parts = [segment(marker, SECRET + content) for marker, content in hidden]
    parts += [
        segment(marker, content) for marker, content in hidden if not content.startswith(kept)
    ]
    with_all = payloads.jpeg_with_exif(photo, exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
    with_all = with_all[:2] + b"".join(parts) + with_all[2:] + behind + SECRET
    stripped, _ = without_metadata(with_all)
    assert_bare(stripped)
    assert np.array_equal(pixels(stripped), pixels(photo))
    assert np.array_equal(load_image(stripped).pixels, load_image(with_all).pixels)


@given(
    st.sampled_from(PNGS),
    st.lists(
        st.tuples(st.sampled_from([b"tEXt", b"tIME", b"prVt", b"eXIf"]), st.binary(max_size=60))
    ),
    st.binary(max_size=60),
)
def test_a_png_with_any_chunks_is_bare_and_keeps_its_pixels(
    photo: bytes, hidden: list[tuple[bytes, bytes]], behind: bytes
) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    chunks = b"".join(chunk(kind, SECRET + b"\0" + content) for kind, content in hidden)
    for place in (33, len(photo) - 12):  # behind the header, and before the end
        stripped, _ = without_metadata(photo[:place] + chunks + photo[place:] + behind)
        assert_bare(stripped)
        assert np.array_equal(pixels(stripped), pixels(photo))


@given(st.sampled_from([*JPEGS, *PNGS, encode(scene(80, 60), "WEBP")]), st.data())
def test_a_damaged_photo_is_stripped_or_refused(photo: bytes, data: st.DataObject) -> None:
    broken = data.draw(damaged(photo, data.draw(st.sampled_from(JPEGS + PNGS))))
    try:
        before = load_image(broken)
    except UnreadablePhoto:
        with suppress(UnreadablePhoto, ValueError):  # only what was read is ever kept
            without_metadata(broken)
        return
    stripped, _ = without_metadata(broken)
    after = load_image(stripped)
    assert (after.width, after.height) == (before.width, before.height)
    if not broken.startswith(b"RIFF"):
        assert np.array_equal(after.pixels, before.pixels)
