"""The photos as a browser can show them: thumbnails, previews, and the file itself to zoom into."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image

from plantood.images import load_image
from plantood.runtime import usable_cpus
from training.rounds.layout import Round

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

    All of them are decoded as serving does, at a bounded cost, and carry no metadata.
    """

    def __init__(self, round_: Round) -> None:
        self.round = round_
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

    def file(self, photo: str) -> tuple[Path, str] | None:
        """The photo as it is, and its media type; None if not every browser can show it."""
        path = self.round.photo_path(photo)
        media_type = SHOWN.get(path.suffix.lower())
        return (path, media_type) if media_type else None

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
        kept = self.folder / photo[:2] / f"{photo}.jpg"
        with contextlib.suppress(OSError):
            if content := kept.read_bytes():
                return content
        image = Image.fromarray(load_image(self.round.photo_path(photo)).pixels)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
        content = _jpeg(image, quality=80)
        with contextlib.suppress(OSError):  # a full disk must not keep anybody from looking
            _keep(kept, content)
        return content

    def _preview(self, photo: str) -> bytes:
        pixels = load_image(self.round.photo_path(photo)).pixels
        return _jpeg(Image.fromarray(pixels), quality=90)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _keep(path: Path, content: bytes) -> None:
    """Write a file that can be made again: whole or not at all, but not forced to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
