"""A photo, however it arrives, to upright RGB pixels at a bounded cost.

Everything wrong with a photo itself is :class:`UnreadablePhoto` (or its subclass
:class:`PhotoTooLarge`); wrong use by the caller, such as a float array, is a ``TypeError`` or
``ValueError``. Nothing global is changed, so that any number of threads may load at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from pi_heif import open_heif
from PIL import (  # the plugins register their formats when they are imported
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.photo.formats import exif, isobmff, jpeg
from plantood.photo.formats.segments import ensure_few_segments

Photo: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike | Image.Image | np.ndarray

FORMATS = ("PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
"""What Pillow is allowed to open; it knows some forty more, each one more surface to attack."""

SHORTER_SIDE = 336
"""Photos are reduced on load, but never below this shorter side: one and a half times the model's
input, so that 12 megapixels are decoded at an eighth of their scale. At 224 pixels that differs
from a full decode by 0.5 to 1 of 255 on average."""

MOST_ELONGATED = 20
"""Longer side by shorter side. A panorama has 10; a strip of 300 by 200,000 pixels is no photo, and
could not be reduced."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
"""What a picture takes in Pillow, by its mode; 4 in all others."""
_BYTES_A_PIXEL_MORE = {"WEBP": 12.5, "AVIF": 10, "TIFF": 5}
"""What the decoders of some formats take beside it, measured; `tests/test_memory.py` holds them."""
_HEIF_BYTES_A_PIXEL, _HEIF_BYTES_A_PIXEL_AT_MOST = 5.5, 10.5
"""As phones write it (8 bits, colours at half the size), and otherwise; measured, too."""
_BYTES_IN_ANY_CASE = 16 << 20
"""Bands in other modes, the reduced picture, and what decoders keep."""
_BAND = 1 << 20
"""Pixels that are converted and reduced at a time."""

Admit: TypeAlias = Callable[[int], None]
"""Asked with a number of bytes before they are taken for decoding; raises if they may not be."""


@dataclass(frozen=True)
class Limits:
    """What a photo may cost; it is refused before it is decoded.

    Attributes:
        max_bytes: Size of the file, in bytes. Pixels in memory have no file and no such limit.
        max_pixels: Width times height. Pillow's own limit of 179 million pixels stays above it.
        max_memory: What decoding may take, in bytes. A JPEG hardly takes any; of the formats that
            are decoded as a whole this is the stricter limit.
        shorter_side: The photo is reduced on load, but not below this, in pixels; None for all of
            its pixels, which then come on top of `max_memory`: at most 8 bytes for each.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 110_000_000
    max_memory: int = 384 * 2**20
    shorter_side: int | None = SHORTER_SIDE


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An upright photo, already reduced.

    Attributes:
        pixels: uint8 ``[H, W, 3]`` RGB. Its shorter side is at least that of the limits where the
            photo has that many pixels; nothing is ever enlarged.
        width: Width of the upright photo before the reduction, in pixels.
        height: Height of the upright photo before the reduction, in pixels.
        format: ``JPEG``, ``PNG``, ..., ``HEIF``; None for an array.
    """

    pixels: np.ndarray
    width: int
    height: int
    format: str | None = None


def load_image(
    photo: Photo, limits: Limits | None = None, admit: Admit | None = None
) -> LoadedImage:
    """Load a photo.

    Args:
        photo: The bytes of a file, its path, a Pillow image, or a uint8 array ``[H, W]``,
            ``[H, W, 1]``, ``[H, W, 3]`` (RGB) or ``[H, W, 4]`` (RGBA). Float arrays are refused,
            since their range would have to be guessed.
        limits: Bounds on bytes and pixels, by default ``Limits()``.
        admit: Called with the bytes of memory that decoding a file will take, before it does.

    Raises:
        UnreadablePhoto: It is not a whole photo.
        PhotoTooLarge: It is above a limit.
        TypeError: It is of none of these types.
        ValueError: It is an array of another shape.
    """
    pixels, width, height, format = _load(photo, limits or Limits(), admit or _anything)
    return LoadedImage(np.asarray(pixels), width, height, format)


def load_whole(photo: Photo, limits: Limits | None = None) -> Image.Image:
    """All of a photo, upright, RGB; arguments and errors as of :func:`load_image`."""
    full = replace(limits or Limits(), shorter_side=None)
    return _load(photo, full, _anything)[0]


def _anything(_: int) -> None:
    """Admit any photo."""


def _load(photo: Photo, limits: Limits, admit: Admit) -> tuple[Image.Image, int, int, str | None]:
    """The upright photo in RGB, its size before the reduction, and its format."""
    if isinstance(photo, np.ndarray):
        return _finish(_from_array(photo), limits)
    if isinstance(photo, Image.Image):
        _ensure_pixels(photo.size, limits)
        try:
            photo.load()
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise UnreadablePhoto(f"the photo cannot be decoded: {error}") from error
        return _finish(photo, limits, exif.of_image(photo))
    if isinstance(photo, (bytes, bytearray, memoryview)):
        _ensure_size(memoryview(photo).nbytes, limits)
        return _decode(bytes(photo), limits, admit)
    if isinstance(photo, (str, os.PathLike)):
        path = Path(photo)
        try:
            return _decode(_read(path, limits), limits, admit)
        except UnreadablePhoto as error:
            raise type(error)(f"{path}: {error}") from error
    raise TypeError(
        "a photo is given as bytes, a path, a Pillow image or a NumPy array, "
        f"not as {type(photo).__name__}"
    )


def to_model_input(image: LoadedImage | np.ndarray, size: int = 224) -> np.ndarray:
    """Stretch a photo to the model's square input, without a crop: all of it is judged.

    Args:
        image: A loaded photo, or uint8 RGB pixels ``[H, W, 3]``.
        size: Side of the square in pixels.

    Returns:
        uint8 ``[size, size, 3]``, by Pillow's bilinear filter, which averages when it reduces.
    """
    pixels = image.pixels if isinstance(image, LoadedImage) else image
    if pixels.shape[:2] == (size, size):
        return pixels
    resized = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _ensure_size(size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise PhotoTooLarge(f"{size:,} bytes are more than the limit of {limits.max_bytes:,} bytes")


def _read(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            _ensure_size(os.fstat(file.fileno()).st_size, limits)
            data = file.read(limits.max_bytes + 1)  # a pipe or device has no size of its own
    except OSError as error:
        raise UnreadablePhoto(f"the file cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a null character in the name
        raise UnreadablePhoto(f"the file cannot be read: {error}") from error
    _ensure_size(len(data), limits)
    return data


def _decode(data: bytes, limits: Limits, admit: Admit) -> tuple[Image.Image, int, int, str | None]:
    """Decode the bytes of a file; whatever a decoder raises becomes ``UnreadablePhoto``."""
    if not data:
        raise UnreadablePhoto("the file is empty")
    try:
        if data.startswith(jpeg.START_OF_IMAGE):
            return _decode_jpeg(jpeg.read(data), limits, admit)
        return _decode_other(data, limits, admit)
    except UnreadablePhoto:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoTooLarge(f"more pixels than the limit of {limits.max_pixels:,}") from error
    except Image.UnidentifiedImageError as error:
        found = next((name for start, name in _OTHERS.items() if start in data[:32]), "")
        raise UnreadablePhoto(
            (f"this is {found}, " if found else "")
            + f"not a photo in a supported format (JPEG, HEIC, {', '.join(FORMATS)})"
        ) from error
    except Exception as error:
        # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error, IndexError and
        # others on broken bytes; all of them mean the same to whoever sent the photo.
        raise UnreadablePhoto(f"the photo cannot be decoded: {error}") from error


def _decode_jpeg(
    photo: jpeg.Jpeg, limits: Limits, admit: Admit
) -> tuple[Image.Image, int, int, str | None]:
    size = photo.width, photo.height
    _ensure_pixels(size, limits)
    factor = _factor(size, limits)
    _admit(photo.memory, size, limits, admit)
    image = Image.fromarray(photo.decode(factor))
    return _finish(image, limits, photo.orientation, "JPEG", size)


def _decode_other(
    data: bytes, limits: Limits, admit: Admit
) -> tuple[Image.Image, int, int, str | None]:
    ensure_few_segments(data)
    inside = 0
    if data[:2] in (b"II", b"MM"):  # a TIFF is a directory as Exif is one
        exif.ensure_modest(data)
    elif data[4:8] == b"ftyp":
        if not _brands(data) & (_HEIF_BRANDS | _AVIF_BRANDS):
            raise Image.UnidentifiedImageError("a video, or the like")
        inside = isobmff.ensure_whole(data)
        if _is_heif(data):
            return _decode_heif(data, limits, admit)
        if data[8:12] == b"avis" or not inside:
            raise UnreadablePhoto("the AVIF is an animation, not a photo")
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        _ensure_pixels(image.size, limits)
        pixels = max(inside, image.width * image.height)
        a_pixel = _BYTES_A_PIXEL.get(image.mode, 4) + _BYTES_A_PIXEL_MORE.get(image.format, 0)
        _admit(len(data) + int(a_pixel * pixels), image.size, limits, admit)
        image.load()  # before anything that would load it and swallow an error
        return _finish(image, limits, exif.of_image(image))


def _decode_heif(
    data: bytes, limits: Limits, admit: Admit
) -> tuple[Image.Image, int, int, str | None]:
    """Decode an HEIC; its decoder turns it upright by what the file itself says, not by Exif.

    Taken from the decoder in bands: a photo of 48 megapixels would be another 195 MB in Pillow.
    """
    heif = open_heif(BytesIO(data))
    _ensure_pixels(heif.size, limits)
    usual = heif.info.get("bit_depth") == 8 and heif.info.get("chroma") == 420
    a_pixel = _HEIF_BYTES_A_PIXEL if usual and heif.mode == "RGB" else _HEIF_BYTES_A_PIXEL_AT_MOST
    _admit(len(data) + int(a_pixel * heif.size[0] * heif.size[1]), heif.size, limits, admit)
    pixels, stride, mode = memoryview(heif.data), heif.stride, heif.mode
    width, height = heif.size  # now for certain
    _ensure_pixels((width, height), limits)

    def band(top: int, bottom: int) -> Image.Image:
        rows = pixels[top * stride : bottom * stride]
        return Image.frombuffer(mode, (width, bottom - top), rows, "raw", mode, stride, 1)

    rgb = _reduce((width, height), band, _factor((width, height), limits))
    return rgb, width, height, "HEIF"


def _admit(memory: int, size: tuple[int, int], limits: Limits, admit: Admit) -> None:
    """Ask for the memory that decoding takes, in bytes.

    Raises:
        PhotoTooLarge: It is more than any photo may take.
    """
    memory += _BYTES_IN_ANY_CASE
    if limits.shorter_side is not None and not _factor(size, limits):
        memory += 12 * size[0] * size[1]  # it stays as large, with some copies
    if memory > limits.max_memory:
        raise PhotoTooLarge(
            f"{size[0]} x {size[1]} pixels take more memory in this format than the limit of "
            f"{limits.max_memory >> 20} MB; send it as a JPEG"
        )
    admit(memory)


_OTHERS = {
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\n": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xffO\xffQ": "JPEG 2000",
    b"8BPS": "a Photoshop file",
    b"FUJIFILMCCD": "a raw photo",
    b"ftypcrx": "a raw photo",
    b"IIU\0": "a raw photo",
    b"IIRO": "a raw photo",
    b"ftypisom": "a video",
    b"ftypmp4": "a video",
    b"ftypqt": "a video",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"<svg": "a drawing (SVG)",
    b"<html": "a web page",
    b"<!DOCTYPE": "a web page",
}
"""What else is sent in the place of a photo, by what stands at its beginning."""

_SIGNATURES = {
    jpeg.START_OF_IMAGE: "jpeg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
}


def format_of(data: bytes) -> str:
    """Of the bytes of a file, by its first ones alone: ``jpeg``, ``png``, ...; empty if unknown."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "heic" if _is_heif(data) else "avif"
    return next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), "")


def _brands(data: bytes) -> set[bytes]:
    """What a file of boxes says in its first box that it is (ISO/IEC 14496-12, section 4.3)."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return {box[i : i + 4] for i in range(0, len(box), 4)}


def _is_heif(data: bytes) -> bool:
    """Tell HEIF from AVIF."""
    brands = _brands(data)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8:
        raise TypeError(f"a photo as an array must be uint8 (0 to 255), not {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ValueError(f"a photo as an array has shape [H, W], or [H, W, 1|3|4]: {array.shape}")
    if not array.size:
        raise UnreadablePhoto("the array has no pixels")
    return Image.fromarray(array)


def _ensure_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise PhotoTooLarge(
            f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,} pixels"
        )
    if not width * height:
        raise UnreadablePhoto("the photo has no pixels")
    if max(size) > MOST_ELONGATED * max(min(size), 16):
        raise UnreadablePhoto(f"{width} x {height} pixels are a strip, not a photo")


def _factor(size: tuple[int, int], limits: Limits) -> int:
    """By how much a photo may be reduced; 0 if it may not."""
    if limits.shorter_side is None:
        return 0
    factor = min(size) // limits.shorter_side
    return factor if factor > 1 else 0


def _finish(
    image: Image.Image,
    limits: Limits,
    orientation: int = 1,
    format: str | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Image.Image, int, int, str | None]:
    """Reduce, convert to RGB over white, and turn upright.

    Args:
        image: Decoded.
        limits: How far it may be reduced.
        orientation: How it is to be turned.
        format: Of its file.
        size: Before the decoder reduced it, if it has.
    """
    _ensure_pixels(image.size, limits)
    width, height = size or image.size
    try:
        to_grey = _to_grey(image) if image.mode == "F" or image.mode.startswith("I") else None
        rgb = _reduce(image.size, _rows_of(image), _factor(image.size, limits), to_grey)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadablePhoto(f"the photo cannot be decoded: {error}") from error
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
        if orientation >= 5:
            width, height = height, width
    return rgb, width, height, format or image.format


def _rows_of(image: Image.Image) -> Callable[[int, int], Image.Image]:
    """Cuts some rows out of a picture."""
    return lambda top, bottom: image.crop((0, top, image.width, bottom))


def _reduce(
    size: tuple[int, int],
    rows: Callable[[int, int], Image.Image],
    factor: int,
    to_grey: Callable[[Image.Image], Image.Image] | None = None,
) -> Image.Image:
    """Any Pillow mode to RGB, alpha over white, reduced by an integer factor (box filter).

    It is done with some rows at a time, so that only few are in memory in another mode.

    Args:
        size: Of the picture.
        rows: Gives those from one to before another.
        factor: 0 to leave the size as it is.
        to_grey: From its mode to 8 bits, if it has more.
    """
    height = size[1]
    if not factor:
        return _over_white(_averageable(rows(0, height), to_grey))
    reduced = None
    for top, bottom in _bands(size, factor):
        band = _averageable(rows(top, bottom), to_grey).reduce(factor)
        if reduced is None:
            reduced = Image.new(band.mode, (band.width, -(-height // factor)))
        reduced.paste(band, (0, top // factor))
    return _over_white(reduced)


def _bands(size: tuple[int, int], multiple: int = 1) -> Iterator[tuple[int, int]]:
    """From which row to before which other, from the top, some at a time."""
    rows = max(1, _BAND // (size[0] * multiple)) * multiple
    for top in range(0, size[1], rows):
        yield top, min(top + rows, size[1])


def _averageable(
    image: Image.Image, to_grey: Callable[[Image.Image], Image.Image] | None
) -> Image.Image:
    """In a mode whose pixels can be averaged: not 16 bits, not a palette."""
    if to_grey:
        image = to_grey(image)
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("RGB", "L", "CMYK", "YCbCr") else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_grey(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """From 16-bit, 32-bit or float grey to 8 bits; the latter two do not say their range."""
    white = 65535.0
    if not image.mode.startswith("I;16"):
        rows = _rows_of(image)
        highest = max(float(_numbers(rows(*band)).max()) for band in _bands(image.size))
        if highest <= 255:
            white = 1.0 if image.mode == "F" and highest <= 1 else 255.0

    def convert(part: Image.Image) -> Image.Image:
        scaled = np.clip(_numbers(part) / white, 0, 1) * 255 + 0.5
        grey = Image.fromarray(scaled.astype(np.uint8))
        grey.info = part.info  # which value is transparent
        return grey

    return convert


def _numbers(image: Image.Image) -> np.ndarray:
    """Its pixels, float32 ``[H, W]``; what is no number is 0."""
    return np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
