"""What a program hands over, refused where it does so if it cannot be used.

What is wrong would otherwise be found by the first photo, if at all, and on a farmer's phone.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from numbers import Integral, Real
from typing import Any

from plantood.errors import SettingsError


def ensure_seconds(name: str, value: Any) -> None:
    """Refuse what is no time to wait; None is not given.

    Raises:
        SettingsError: It is no number, not above 0, or infinite.
    """
    fits = value is None or (_is(Real, value) and 0 < value < math.inf)
    _ensure(name, value, fits, "a number of seconds above 0")


def ensure_count(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number, or too small.

    Raises:
        SettingsError: It is not.
    """
    fits = _is(Integral, value) and value >= least
    _ensure(name, value, fits, f"a whole number of at least {least}")


def ensure_several(photos: Any) -> None:
    """Refuse one photo where several are asked for: its name would be taken letter by letter.

    Raises:
        TypeError: It is a path, or the bytes of a file.
    """
    if isinstance(photos, (str, os.PathLike, bytes, bytearray, memoryview)):
        raise TypeError(
            f"several photos are asked for, not one as {type(photos).__name__}; give [photo], or "
            "check it by check(photo)"
        )


def ensure_status_of_refusals(name: str, value: Any) -> None:
    """Refuse what no answer with a body may have, or what would be no refusal; None is not given.

    Raises:
        SettingsError: It is neither 200 nor an error status.
    """
    fits = value is None or (_is(Integral, value) and value in _REFUSALS)
    _ensure(name, value, fits, "200, or an error status that HTTP knows, from 400 to 599")


def ensure_headers(name: str, value: Any) -> None:
    """Refuse what no request can have among its headers (RFC 9110, section 5); None is not given.

    No value is told: it may be a secret.

    Raises:
        SettingsError: It is no mapping of texts, or one of them cannot be sent.
    """
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} cannot be used; allowed is a mapping of names to values.")
    for header, content in value.items():
        if not (isinstance(header, str) and _FIELD_NAME.fullmatch(header)):
            allowed = "a name of letters, digits and signs of ASCII, without a space"
        elif header.lower() in _OF_THE_BODY:
            allowed = "any header but those that tell where a photo ends"
        elif not (isinstance(content, str) and _FIELD_VALUE.fullmatch(content)):
            allowed = "a text of ASCII on one line, with no space or line's end around it"
        else:
            continue
        raise SettingsError(f"{name}[{header!r}] cannot be used; allowed is {allowed}.")


_FIELD_NAME = re.compile("[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile("([!-~]([\t -~]*[!-~])?)?")
_OF_THE_BODY = {"content-length", "transfer-encoding"}


_REFUSALS = {HTTPStatus.OK, *(one for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST)}


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _ensure(name: str, value: Any, fits: bool, allowed: str) -> None:
    if not fits:
        raise SettingsError(f"{name}={value!r} cannot be used; allowed is {allowed}.")
