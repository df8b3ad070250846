"""Where kept photos go: a folder of this machine, or one at an fsspec URL.

A file is created exclusively, whole or not at all, so that of all processes that share a
destination a name belongs to one. They are photos of strangers' farms: what is written into a
folder of this machine can be read by nobody but the user who serves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plantood.defaults import with_extra
from plantood.errors import SettingsError
from plantood.settings import Settings, variable

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""What of plantood has the package for a kind of URL."""
_PRECONDITION_FAILED = 412
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What file systems answer that know no hard links."""


def ensure_usable(settings: Settings) -> None:
    """Find out before any process starts whether photos can be kept where the settings say.

    Raises:
        SettingsError: Nothing can be written there.
    """
    if settings.capture:
        open_destination(settings.capture)


def open_destination(place: str) -> Folder | Remote:
    """A folder of this machine, or one at an fsspec URL.

    Raises:
        SettingsError: Nothing can be written there.
    """
    from fsspec.core import url_to_fs

    try:
        filesystem, root = url_to_fs(place, use_listings_cache=False)
        return Folder(Path(root)) if "file" in filesystem.protocol else Remote(filesystem, root)
    except ImportError as error:
        extra = EXTRAS.get(place.partition("://")[0])
        raise SettingsError(
            f"{variable('capture')}={place!r} needs a package that is missing ({error}): "
            f"{with_extra(extra) if extra else 'install it'}."
        ) from error
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{variable('capture')}={place!r} cannot be written to ({error}); give the "
            "absolute path of a folder, or a URL such as s3://bucket/captured."
        ) from error


class Folder:
    """A folder of this machine. Names are those of a day's folder and of a file in it."""

    def __init__(self, root: Path) -> None:
        """Make the folder if it is missing.

        Raises:
            OSError: Nothing can be written there, or somebody else decides where it leads.
        """
        self._root = root
        _make_private(root)
        if root.is_symlink() and root.lstat().st_uid not in (os.geteuid(), 0):
            raise PermissionError("it is a link that another user made")
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError("no permission to write")

    def first_free(self, day: str) -> int:
        """The number after the highest one of a day."""
        try:
            with self._opened(day) as folder:
                return _first_free(os.listdir(folder))  # noqa: PTH208 (not by its path)
        except FileNotFoundError:
            return 1

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that nobody else has, whole or not at all; False if somebody has it."""
        day, last = name.split("/")
        with self._opened(day, make=True) as folder, _unfinished(folder, content) as unfinished:
            try:
                os.link(unfinished, last, src_dir_fd=folder, dst_dir_fd=folder)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _claim_without_link(folder, last, unfinished)
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        day, last = name.split("/")
        with self._opened(day, make=True) as folder, _unfinished(folder, content) as unfinished:
            os.replace(unfinished, last, src_dir_fd=folder, dst_dir_fd=folder)

    def remove(self, name: str) -> None:
        """Remove a file."""
        day, last = name.split("/")
        with self._opened(day) as folder:
            os.unlink(last, dir_fd=folder)

    @contextlib.contextmanager
    def _opened(self, day: str, make: bool = False) -> Iterator[int]:
        """The folder of a day. A link in its place, which could lead anywhere, is not followed."""
        if make:
            _make_private(self._root / day)
        at = os.open(self._root / day, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield at
        finally:
            os.close(at)


def _make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, that nobody else can look into."""
    if folder.is_dir():
        return
    _make_private(folder.parent)
    try:
        folder.mkdir(0o700)
        folder.chmod(0o700)  # whatever the umask
    except FileExistsError:
        if not folder.is_dir():  # another process may have made it
            raise


@contextlib.contextmanager
def _unfinished(folder: int, content: bytes) -> Iterator[str]:
    """A file under a name of its own, which is gone at the end unless it was renamed."""
    name = f".{secrets.token_hex(8)}.tmp"
    # A name that is random: others that share the folder may have the same process number.
    opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        with os.fdopen(opened, "wb") as file:
            os.fchmod(opened, 0o600)  # whatever the umask
            file.write(content)
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _claim_without_link(folder: int, name: str, unfinished: str) -> bool:
    """The same on file systems without hard links: a kill may leave an empty file."""
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder))
    except FileExistsError:
        return False
    try:
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise
    return True


class Remote:
    """A folder at an fsspec URL, whose storage says who may read it."""

    def __init__(self, filesystem: Any, root: str) -> None:
        """Write below ``root`` of an fsspec file system."""
        self._fs = filesystem
        self._root = root

    def first_free(self, day: str) -> int:
        """The number after the highest one of a day."""
        try:
            found = self._fs.ls(f"{self._root}/{day}", detail=False)
        except FileNotFoundError:
            return 1
        return _first_free(path.rstrip("/").rpartition("/")[2] for path in found)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that nobody else has; False if somebody has it."""
        try:
            self._fs.pipe_file(f"{self._root}/{name}", content, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            if getattr(error, "code", None) == _PRECONDITION_FAILED:  # as gcsfs says it
                return False
            raise
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write a file; an object is there when all of it is."""
        self._fs.pipe_file(f"{self._root}/{name}", content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._fs.rm_file(f"{self._root}/{name}")


def _first_free(names: Iterable[str]) -> int:
    stems = (name.partition(".")[0] for name in names)
    return 1 + max((int(stem) for stem in stems if stem.isdecimal()), default=0)
