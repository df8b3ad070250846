"""Which photo of a round a file of labels means.

A label on the wrong photo is worse than one that finds none. So whatever the file says of the photo
has to fit: a digest or a path that belongs to another photo finds nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from plantood.training.files.paths import existing, spelled
from plantood.training.rounds.mined import MinedPhoto

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""
_UPLOADS = re.compile(r"(^|/)upload/\d+/")


class _Known(NamedTuple):
    """A path of a photo of the round, and how much of its end a hint has to have."""

    photo: str
    parts: tuple[str, ...]
    needed: int
    on_web: bool


class _Hint(NamedTuple):
    parts: tuple[str, ...]
    on_web: bool


class PhotoFinder:
    """Finds photos by their digest, their path, or the end of their path.

    The longest end decides. A path fits if one of the two is the end of the other. If both go on
    and differ there, it is another photo, unless they are the same below the folder that was mined:
    the same folders may lie elsewhere on the machine where the labels were given.

    Args:
        photos: Of the round, by id.
        source: What was mined, a folder or URL.
    """

    def __init__(self, photos: Mapping[str, MinedPhoto], source: str = "") -> None:
        self._photos = photos
        self._by_name: dict[str, list[_Known]] = defaultdict(list)
        root = source if "://" in source or not source else spelled(existing(source).resolve())
        for photo in photos.values():
            for path in filter(None, (photo.path, photo.file)):
                parts = _parts(path)
                needed = len(parts)
                if root and parts[: len(_parts(root))] == _parts(root):
                    needed = min(needed, max(2, needed - len(_parts(root))))
                known = _Known(photo.id, parts, needed, _on_web(path))
                self._by_name[parts[-1]].append(known)

    def find(self, *hints: str | None) -> str | None:
        """Id of the one photo that all hints allow; None if there is none, or they disagree."""
        given = [self._hint(hint.strip()) for hint in hints if hint and hint.strip()]
        digests = {digest for hint in given for digest in self._digests(hint)}
        if len(digests) > 1 or not digests <= self._photos.keys():
            return None
        found = digests or None
        excluded: set[str] = set()
        for hint in given:
            of_this_name = self._by_name.get(hint.parts[-1], []) if hint.parts else []
            fitting = _fitting(hint, of_this_name)
            if fitting:
                found = fitting if found is None else found & fitting
            if not digests:
                excluded |= {known.photo for known in of_this_name} - fitting
        found = (found or set()) - excluded
        return found.pop() if len(found) == 1 else None

    def _digests(self, hint: _Hint) -> set[str]:
        """The SHA-256 that a hint is; or the one of a photo here, if a file is named by it."""
        name = hint.parts[-1].lower() if hint.parts else ""
        within = set(_DIGEST.findall(name))
        return within if name in within else within & self._photos.keys()

    def _hint(self, text: str) -> _Hint:
        """The path that a hint is, freed of what servers add to it."""
        if not _is_served(text) and (parts := _parts(text)) and parts[-1] in self._by_name:
            return _Hint(parts, on_web=False)  # it may well hold a question mark
        address = _address(text) if _is_served(text) or "?" in text else None
        path = f"{address.netloc}/{unquote(address.path)}" if address else text
        if address and (local := parse_qs(address.query).get("d")):
            return _Hint(_parts(local[-1]), on_web=False)
        parts = _parts(path)
        if parts and parts[-1] not in self._by_name:
            parts = (*parts[:-1], _UPLOADED.sub("", parts[-1], count=1))
        if _UPLOADS.search(path):  # the folder is one of the server's own
            parts = parts[-1:]
        return _Hint(parts, _on_web(text))


def _address(text: str) -> SplitResult | None:
    """A hint as an address; None if it is none that can be read."""
    try:
        return urlsplit(text.replace("\\", "/"))
    except ValueError:  # half a bracket, as of an IPv6 address
        return None


def _fitting(hint: _Hint, known: list[_Known]) -> set[str]:
    """The photos that a path may mean: of those that fit, the ones with the longest end."""
    lengths: dict[str, int] = {}
    for one in known:
        length = 0
        for ours, theirs in zip(reversed(one.parts), reversed(hint.parts), strict=False):
            if ours != theirs:
                break
            length += 1
        # The name of a web server says nothing of a photo that is from elsewhere.
        enough = len(hint.parts) - (hint.on_web and not one.on_web)
        if length >= min(one.needed, enough):
            lengths[one.photo] = max(length, lengths.get(one.photo, 0))
    longest = max(lengths.values(), default=0)
    return {photo for photo, length in lengths.items() if length == longest}


def _is_served(text: str) -> bool:
    return "://" in text or text.startswith("/data/") or "?d=" in text


def _on_web(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path or URL, in the one form that names are compared in."""
    path = unicodedata.normalize("NFC", path.replace("\\", "/"))
    path = path.partition("://")[2] if "://" in path else path
    return tuple(part for part in path.split("/") if part not in ("", "."))
