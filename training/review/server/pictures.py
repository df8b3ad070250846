"""The photos as a browser can show them: thumbnails, previews, and the file itself to zoom into."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import IO

from PIL import Image

from plantood.errors import PhotoTooLarge
from plantood.model.runtime import usable_cpus
from plantood.photo.images import Limits, load_image
from plantood.training.files.atomic import write_bytes
from plantood.training.rounds.layout import Round
from plantood.training.rounds.plain import MOST_BYTES, open_plain

THUMBNAILS = ".thumbnails"
"""Folder within the round; it may be deleted at any time."""

SIDE = 320
"""Longest side of a thumbnail, in pixels: 160 on the page, on screens of double density."""

SHOWN = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
}
"""Media types of the formats that every browser shows. Others (HEIC, TIFF) get their preview."""


class Pictures:
    """Makes thumbnails and previews in threads; thumbnails are kept on disk by the photo's digest.

    All of them are decoded as serving does, at a bounded cost, and carry no metadata. Nothing but
    files within the round is opened.
    """

    def __init__(self, round_: Round, limits: Limits | None = None) -> None:
        self.round = round_
        self.limits = limits or Limits()
        self.folder = round_.path / THUMBNAILS
        self.threads = usable_cpus()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="pictures")
        self._closed = threading.Event()
        self.ahead: threading.Thread | None = None

    def thumbnail(self, photo: str) -> Future[bytes]:
        """A JPEG of at most ``SIDE`` pixels. Raises ``RoundError``, ``UnreadablePhoto``."""
        return self._pool.submit(self._thumbnail, photo)

    def preview(self, photo: str) -> Future[bytes]:
        """A JPEG of the size that the gate looks at: shorter side 336 pixels or some more."""
        return self._pool.submit(self._preview, photo)

    def file(self, photo: str) -> tuple[IO[bytes], str] | None:
        """The photo's own file, open, and its media type; None if not every browser shows it."""
        media_type = SHOWN.get(self.round.photo_path(photo).suffix.lower())
        return (self.round.open_photo(photo), media_type) if media_type else None

    def make_ahead(self, photos: Iterable[str]) -> None:
        """Make the thumbnails in this order beside everything else, so that none is waited for."""
        self.ahead = threading.Thread(target=self._make_ahead, args=(list(photos),), daemon=True)
        self.ahead.start()

    def close(self) -> None:
        """Stop; what is under way is finished."""
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    def _make_ahead(self, photos: list[str]) -> None:
        for photo in photos:
            if self._closed.is_set():
                return
            with contextlib.suppress(Exception):  # whoever asks for this one gets the error
                self._thumbnail(photo)

    def _thumbnail(self, photo: str) -> bytes:
        name = f"{photo}.jpg"
        with (
            contextlib.suppress(OSError),
            open_plain(self.round.path, THUMBNAILS, photo[:2], name) as file,
        ):
            if content := file.read(MOST_BYTES):
                return content
        image = self._load(photo)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
        content = _jpeg(image, quality=80)
        folder = self.folder / photo[:2]
        if not (self.folder.is_symlink() or folder.is_symlink()):  # they could lead anywhere
            with contextlib.suppress(OSError):  # a full disk must not keep anybody from looking
                folder.mkdir(parents=True, exist_ok=True)
                write_bytes(folder / name, content, to_disk=False)
        return content

    def _preview(self, photo: str) -> bytes:
        return _jpeg(self._load(photo), quality=90)

    def _load(self, photo: str) -> Image.Image:
        """The pixels of a photo, already reduced."""
        limits = self.limits
        with self.round.open_photo(photo) as file:
            if (size := os.fstat(file.fileno()).st_size) > limits.max_bytes:
                raise PhotoTooLarge(f"The photo has {size:,} bytes, too many to be shown.")
            return Image.fromarray(load_image(file.read(limits.max_bytes), limits).pixels)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
