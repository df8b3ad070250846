"""Takes out of a file what is not its picture, whatever its format is."""

from __future__ import annotations

from PIL import UnidentifiedImageError

from plantood.errors import UnreadablePhoto
from plantood.photo.formats import gif_bmp, png, signatures, tiff, webp
from plantood.photo.formats.bare import Bare
from plantood.photo.formats.heif import isobmff


def bare(data: bytes) -> Bare:
    """What the decoder of a file that is no JPEG is given.

    Raises:
        UnreadablePhoto: It is no photo, or would take its decoder far more time than any photo.
        UnidentifiedImageError: Its format is none of those that are decoded.
    """
    match signatures.format_of(data):
        case "png":
            taken_apart = png.read(data)
            return Bare(taken_apart.with_chunks(png.PICTURE), taken_apart.orientation)
        case "webp":
            return webp.bare(data)
        case "tiff":
            return tiff.bare(data)
        case "gif":
            gif_bmp.ensure_short_gif(data)
            return Bare(data)
        case "bmp":
            gif_bmp.ensure_plain_bmp(data)
            return Bare(data)
        case "heic" | "avif" as format:
            if not signatures.brands(data) & (signatures.HEIF_BRANDS | signatures.AVIF_BRANDS):
                raise UnidentifiedImageError("a video, or the like")
            photo = isobmff.bare(data)
            if format == "avif" and (data[8:12] == b"avis" or not photo.pixels):
                raise UnreadablePhoto("the AVIF is an animation, not a photo")
            return photo
    raise UnidentifiedImageError("none of these")
