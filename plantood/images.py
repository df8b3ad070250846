"""A photo, however it arrives, to upright RGB pixels at a bounded cost.

Everything wrong with a photo itself is :class:`UnreadablePhoto` (or its subclass
:class:`PhotoTooLarge`); wrong use by the caller, such as a float array, is a ``TypeError`` or
``ValueError``. Nothing global is changed, so that any number of threads may load at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import (  # the plugins register their formats when they are imported
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from plantood import jpeg
from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.segments import ensure_few_segments

Photo: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike | Image.Image | np.ndarray

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
"""What Pillow is allowed to open; it knows some forty more, each one more surface to attack."""

SHORTER_SIDE = 336
"""Photos are reduced on load, but never below this shorter side: one and a half times the model's
input, so that 12 megapixels are decoded at an eighth of their scale. At 224 pixels that differs
from a full decode by 0.5 to 1 of 255 on average."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Limits:
    """What a photo may cost; it is refused before it is decoded.

    Attributes:
        max_bytes: Size of the file, in bytes. Pixels in memory have no file and no such limit.
        max_pixels: Width times height. Pillow's own limit of 179 million pixels stays above it.
        shorter_side: The photo is reduced on load, but not below this, in pixels.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 64_000_000
    shorter_side: int = SHORTER_SIDE


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


def load_image(photo: Photo, limits: Limits | None = None) -> LoadedImage:
    """Load a photo.

    Args:
        photo: The bytes of a file, its path, a Pillow image, or a uint8 array ``[H, W]``,
            ``[H, W, 1]``, ``[H, W, 3]`` (RGB) or ``[H, W, 4]`` (RGBA). Float arrays are refused,
            since their range would have to be guessed.
        limits: Bounds on bytes and pixels, by default ``Limits()``.

    Raises:
        PhotoTooLarge: It exceeds a limit; it was not decoded.
        UnreadablePhoto: It is corrupt, cut off, empty, or of an unknown format.
        TypeError: ``photo`` is of another type, or an array of another dtype.
        ValueError: An array of another shape.
    """
    limits = limits or Limits()
    if isinstance(photo, np.ndarray):
        return _reduce(_from_array(photo), limits)
    if isinstance(photo, Image.Image):
        return _reduce(photo, limits)
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return _decode(bytes(photo) if _fits(memoryview(photo).nbytes, limits) else b"", limits)
    if isinstance(photo, (str, os.PathLike)):
        return _load_file(Path(photo), limits)
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


def _fits(size: int, limits: Limits) -> bool:
    if size > limits.max_bytes:
        raise PhotoTooLarge(f"{size:,} bytes are more than the limit of {limits.max_bytes:,} bytes")
    return True


def _load_file(path: Path, limits: Limits) -> LoadedImage:
    try:
        return _decode(_read(path, limits), limits)
    except UnreadablePhoto as error:
        raise type(error)(f"{path}: {error}") from error


def _read(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            _fits(os.fstat(file.fileno()).st_size, limits)
            data = file.read(limits.max_bytes + 1)  # a pipe or device has no size of its own
    except OSError as error:
        raise UnreadablePhoto(f"the file cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a null character in the name
        raise UnreadablePhoto(f"the file cannot be read: {error}") from error
    _fits(len(data), limits)
    return data


def _decode(data: bytes, limits: Limits) -> LoadedImage:
    """Decode the bytes of a file; whatever a decoder raises becomes ``UnreadablePhoto``."""
    if not data:
        raise UnreadablePhoto("the file is empty")
    ensure_few_segments(data)
    try:
        if _is_heif(data):
            return _reduce(_open_heif(data), limits, "HEIF")
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.format in ("JPEG", "MPO"):  # MPO: two JPEGs in a row, the first is the photo
                return _decode_jpeg(image, data, limits)
            return _reduce(image, limits)
    except UnreadablePhoto:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoTooLarge(f"more pixels than the limit of {limits.max_pixels:,}") from error
    except Image.UnidentifiedImageError as error:
        raise UnreadablePhoto(
            f"not a photo in a supported format ({', '.join(FORMATS)}, HEIC)"
        ) from error
    except Exception as error:
        # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error, IndexError and
        # others on broken bytes; all of them mean the same to whoever sent the photo.
        raise UnreadablePhoto(f"the photo cannot be decoded: {error}") from error


def _decode_jpeg(image: Image.Image, data: bytes, limits: Limits) -> LoadedImage:
    _check_pixels(image, limits)
    whole = jpeg.ensure_whole(data)
    if whole is not data:
        image = Image.open(BytesIO(whole), formats=("JPEG",))
    width, height = image.size
    if factor := _factor(image, limits):
        image.draft(None, (width // factor, height // factor))
    loaded = _reduce(image, limits, "JPEG", (width, height))
    jpeg.ensure_no_filler(
        whole, np.asarray(image.crop((image.width - 1, image.height - 1, *image.size)))
    )
    return loaded


def _is_heif(data: bytes) -> bool:
    """Tell HEIF from AVIF by the brands in the first box (ISO/IEC 14496-12, section 4.3)."""
    if data[4:8] != b"ftyp":
        return False
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _open_heif(data: bytes) -> Image.Image:
    try:
        from pi_heif import HeifImageFile
    except ImportError as error:
        raise UnreadablePhoto(
            'HEIC photos need a package that the server lacks: pip install "plantood[heif]"'
        ) from error
    # Opened directly, not through register_heif_opener(): that would change Pillow for everybody.
    return HeifImageFile(BytesIO(data))


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


def _check_pixels(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise PhotoTooLarge(
            f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,} pixels"
        )
    if not width * height:
        raise UnreadablePhoto("the photo has no pixels")


def _factor(image: Image.Image, limits: Limits) -> int:
    """By how much a photo may be reduced; 0 if it may not."""
    factor = min(image.size) // limits.shorter_side
    return factor if factor > 1 else 0


def _reduce(
    image: Image.Image,
    limits: Limits,
    format: str | None = None,
    size: tuple[int, int] | None = None,
) -> LoadedImage:
    """Decode, reduce, convert to RGB over white, and turn upright."""
    _check_pixels(image, limits)
    width, height = size or image.size
    orientation = _orientation(image)
    try:
        image.load()
        rgb = _to_rgb(image, _factor(image, limits))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadablePhoto(f"the photo cannot be decoded: {error}") from error
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
        if orientation >= 5:
            width, height = height, width
    return LoadedImage(np.asarray(rgb), width, height, format or image.format)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a photo with broken metadata is still a photo
        return 1


def _to_rgb(image: Image.Image, factor: int) -> Image.Image:
    """Any Pillow mode to RGB, alpha over white, reduced by an integer factor (box filter)."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_grey(image)
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")  # spare a copy
    elif image.mode not in ("RGB", "L", "CMYK", "YCbCr"):
        image = image.convert("RGB")  # before the reduction: palettes cannot be averaged
    if factor:
        image = image.reduce(factor)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits; the range of the latter two is not written down."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
    white = 65535.0
    if not image.mode.startswith("I;16") and (highest := float(values.max())) <= 255:
        white = 1.0 if image.mode == "F" and highest <= 1 else 255.0
    return Image.fromarray((np.clip(values / white, 0, 1) * 255 + 0.5).astype(np.uint8))
