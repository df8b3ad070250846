"""A photo, however it arrives, to upright RGB pixels at a bounded cost.

Everything wrong with a photo itself is :class:`UnreadablePhoto` (or its subclass
:class:`PhotoTooLarge`); wrong use by the caller, such as a float array, is a ``TypeError`` or
``ValueError``. Nothing global is changed, so that any number of threads may load at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pi_heif.heif import open_heif
from PIL import (  # the plugins register their formats when they are imported
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from plantood.errors import PhotoFileError, PhotoNotFound, PhotoTooLarge, UnreadablePhoto
from plantood.photo import cost, pixels
from plantood.photo.cost import SHORTER_SIDE, Admit, Limits
from plantood.photo.formats import exif, jpeg, signatures
from plantood.photo.formats.bare import Bare
from plantood.photo.strip import bare

__all__ = [
    "FORMATS",
    "SHORTER_SIDE",
    "Admit",
    "Limits",
    "LoadedImage",
    "Photo",
    "ensure_photo",
    "load_image",
    "load_whole",
    "to_model_input",
]

Photo: TypeAlias = (
    bytes | bytearray | memoryview | str | os.PathLike[str] | Image.Image | NDArray[np.uint8]
)

FORMATS = ("PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
"""What Pillow is allowed to open; it knows some forty more, each one more surface to attack."""
_TURNED_BY_METADATA = ("PNG", "WEBP")
"""Which were taken out; the others are turned by what their decoders say."""


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

    pixels: NDArray[np.uint8]
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
        PhotoNotFound: There is no file at the path; it is a `FileNotFoundError`, too.
        PhotoFileError: The file at the path may not be read; an `OSError`, too.
        TypeError: It is of none of these types.
        ValueError: It is an array of another shape.
    """
    rgb, width, height, format = _load(photo, limits or Limits(), admit or _anything)
    return LoadedImage(np.asarray(rgb), width, height, format)


def load_whole(
    photo: Photo, limits: Limits | None = None, admit: Admit | None = None
) -> Image.Image:
    """All of a photo, upright, RGB; arguments and errors as of :func:`load_image`.

    Of a JPEG whose pixels take more memory than the limits allow come as many as fit: half of its
    sides, a quarter or an eighth, as its decoder can reduce it.
    """
    full = replace(limits or Limits(), shorter_side=None)
    return _load(photo, full, admit or _anything)[0]


def ensure_photo(photo: Any) -> None:
    """Refuse what is no photo; whether it can be decoded is not asked.

    Raises:
        TypeError: It is of no type that is taken, or an array of another dtype.
        ValueError: It is an array of another shape.
    """
    if isinstance(photo, np.ndarray):
        pixels.ensure_array(photo)
    elif not isinstance(photo, (bytes, bytearray, memoryview, str, os.PathLike, Image.Image)):
        raise TypeError(
            "a photo is given as bytes, a path, a Pillow image or a NumPy array, "
            f"not as {type(photo).__name__}"
        )


def _anything(_: int) -> None:
    """Admit any photo."""


def _load(photo: Photo, limits: Limits, admit: Admit) -> tuple[Image.Image, int, int, str | None]:
    """The upright photo in RGB, its size before the reduction, and its format."""
    ensure_photo(photo)
    if isinstance(photo, np.ndarray):
        return _finish(pixels.from_array(photo), limits)
    if isinstance(photo, Image.Image):
        cost.ensure_pixels(photo.size, limits)
        with _broken_is_unreadable():
            photo.load()
        return _finish(photo, limits, exif.of_image(photo))
    if isinstance(photo, (bytes, bytearray, memoryview)):
        cost.ensure_size(memoryview(photo).nbytes, limits)
        return _decode(bytes(photo), limits, admit)
    path = Path(photo)
    try:
        return _decode(_read(path, limits), limits, admit)
    except UnreadablePhoto as error:
        raise type(error)(f"{path}: {error}") from error


def to_model_input(image: LoadedImage | NDArray[np.uint8], size: int = 224) -> NDArray[np.uint8]:
    """Stretch a photo to the model's square input, without a crop: all of it is judged.

    Args:
        image: A loaded photo, or uint8 RGB pixels ``[H, W, 3]``.
        size: Side of the square in pixels.

    Returns:
        uint8 ``[size, size, 3]``, by Pillow's bilinear filter, which averages when it reduces.
    """
    given = image.pixels if isinstance(image, LoadedImage) else image
    if given.shape[:2] == (size, size):
        return given
    resized = Image.fromarray(given).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _read(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            cost.ensure_size(os.fstat(file.fileno()).st_size, limits)
            data = file.read(limits.max_bytes + 1)  # a pipe or device has no size of its own
    except (OSError, ValueError) as error:
        raise file_error(error) from error
    cost.ensure_size(len(data), limits)
    return data


def file_error(error: OSError | ValueError) -> PhotoFileError:
    """What is to be raised for a path at which no file can be opened or read.

    Args:
        error: What Python raised; a `ValueError` for a null character in the name.
    """
    why = f"the file cannot be read: {getattr(error, 'strerror', None) or error}"
    nothing = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
    return PhotoNotFound(why) if nothing else PhotoFileError(why)


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
    except UnidentifiedImageError as error:
        found = signatures.named_other(data)
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
    cost.ensure_pixels(size, limits)
    factor = cost.factor(size, limits) or cost.factor_that_fits(photo.memory, limits)
    cost.ask(photo.memory(factor), size, limits, admit)
    decoded = photo.decode(factor)
    height, width = decoded.shape[:2]

    def band(top: int, bottom: int) -> Image.Image:
        return Image.fromarray(decoded[top:bottom])

    further = cost.factor((width, height), limits)
    rgb = pixels.to_rgb((width, height), band, further, photo.orientation)
    return rgb, *_upright(size, photo.orientation), "JPEG"


def _decode_other(
    data: bytes, limits: Limits, admit: Admit
) -> tuple[Image.Image, int, int, str | None]:
    photo = bare(data)
    if signatures.format_of(data) == "heic":
        return _decode_heif(photo, limits, admit)
    with Image.open(BytesIO(photo.data), formats=FORMATS) as image:
        format = image.format or ""
        a_pixel = cost.a_pixel(image.mode, format)
        cost.ask_for_bare(photo, a_pixel, image.size, limits, admit)
        image.load()  # before anything that would load it and swallow an error
        turned = photo.orientation if format in _TURNED_BY_METADATA else exif.of_image(image)
        return _finish(image, limits, turned)


def _decode_heif(
    photo: Bare, limits: Limits, admit: Admit
) -> tuple[Image.Image, int, int, str | None]:
    """Decode an HEIC; its decoder turns it upright by what the file itself says, not by Exif.

    Taken from the decoder in bands: a photo of 48 megapixels would be another 195 MB in Pillow.
    """
    heif = open_heif(BytesIO(photo.data))
    usual = heif.info.get("bit_depth") == 8 and heif.info.get("chroma") == 420
    a_pixel = cost.a_pixel_of_heif(usual and heif.mode == "RGB")
    cost.ask_for_bare(photo, a_pixel, heif.size, limits, admit)
    data_rows, stride, mode = memoryview(heif.data), heif.stride, heif.mode
    width, height = heif.size  # now for certain
    cost.ensure_pixels((width, height), limits)

    def band(top: int, bottom: int) -> Image.Image:
        rows = data_rows[top * stride : bottom * stride]
        size = width, bottom - top
        # Pillow takes any buffer, and says so only of some
        return Image.frombuffer(mode, size, rows, "raw", mode, stride, 1)  # type: ignore[arg-type]

    rgb = pixels.to_rgb((width, height), band, cost.factor((width, height), limits))
    return rgb, width, height, "HEIF"


def _finish(
    image: Image.Image, limits: Limits, orientation: int = 1
) -> tuple[Image.Image, int, int, str | None]:
    """Reduce, convert to RGB over white, and turn upright.

    Args:
        image: Decoded.
        limits: How far it may be reduced.
        orientation: How it is to be turned.
    """
    cost.ensure_pixels(image.size, limits)
    factor = cost.factor(image.size, limits)
    with _broken_is_unreadable():
        rgb = pixels.to_rgb(image.size, pixels.rows_of(image), factor, orientation)
    return rgb, *_upright(image.size, orientation), image.format


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of a picture when it is turned."""
    return (size[1], size[0]) if orientation >= 5 else size


@contextmanager
def _broken_is_unreadable() -> Iterator[None]:
    """Pillow decodes a picture when its pixels are first needed, and only then finds it broken."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadablePhoto(f"the photo cannot be decoded: {error}") from error
