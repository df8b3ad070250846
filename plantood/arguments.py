"""What a program hands over, refused where it does so if it cannot be used.

What is wrong would otherwise be found by the first photo, if at all, and on a farmer's phone.
"""

from __future__ import annotations

import math
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


def ensure_status_of_refusals(name: str, value: Any) -> None:
    """Refuse what no answer with a body may have, or what would be no refusal; None is not given.

    Raises:
        SettingsError: It is neither 200 nor an error status.
    """
    fits = value is None or (_is(Integral, value) and value in _REFUSALS)
    _ensure(name, value, fits, "200, or an error status that HTTP knows, from 400 to 599")


_REFUSALS = {HTTPStatus.OK, *(one for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST)}


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _ensure(name: str, value: Any, fits: bool, allowed: str) -> None:
    if not fits:
        raise SettingsError(f"{name}={value!r} cannot be used; allowed is {allowed}.")
