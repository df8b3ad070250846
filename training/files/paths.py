r"""Names of files: one spelling for all texts, and the way back from it to the file.

Old archives hold names that are not UTF-8. Python gives each such byte as a lone surrogate, which
no text file, database or terminal takes. In texts the byte ``e9`` is spelled ``\udce9``; that is
how JSON writes it anyway, and :func:`existing` finds the file again.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SPELLING = "backslashreplace"
"""How to encode a text that may hold the name of a file: ``text.encode("utf-8", SPELLING)``."""

_SPELLED = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def spelled(name: str | os.PathLike[str]) -> str:
    """A name as texts spell it; itself, unless it holds bytes that are not UTF-8."""
    return os.fspath(name).encode("utf-8", SPELLING).decode()


def composed(name: str | os.PathLike[str]) -> str:
    """A name as it is compared with others of its kind: spelled, its accents composed (NFC).

    So are all sources and groups, wherever they are read: what is typed, written in a manifest, or
    the name of a folder that a Mac has copied means the same.
    """
    return unicodedata.normalize("NFC", spelled(name))


def unspelled(name: str) -> str:
    """A name as the file system has it."""
    return _SPELLED.sub(lambda found: chr(int(found[1], 16)), name)


def existing(path: str | os.PathLike[str]) -> Path:
    """The file that a text means; the path as it is, if there is none.

    If no file has just this name, one is looked for that is the same to whoever wrote it: spelled
    as above, with the backslashes of Windows, with its accents composed (NFC) or apart (NFD, as
    some copies from a Mac have them), or in the encoding of old Windows programs.
    """
    path = os.fspath(path)
    if os.path.lexists(path):
        return Path(path)
    for name in dict.fromkeys(_otherwise(path)):
        if (found := _in_parts(name)) is not None:
            return found
    return Path(path)


def _otherwise(path: str) -> Iterator[str]:
    yield path
    yield unspelled(path)
    yield unspelled(path).replace("\\", "/")
    with suppress(UnicodeError):
        yield os.fsencode(unspelled(path)).decode("cp1252")


def _in_parts(path: str) -> Path | None:
    """The file with this name, each part of which may be composed or apart."""
    at = Path(Path(path).anchor)
    for part in Path(path).parts[1 if at.anchor else 0 :]:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        try:
            at = next(at / form for form in forms if os.path.lexists(at / form))
        except (StopIteration, ValueError):
            return None
    return at
