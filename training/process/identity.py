"""What tells one run from another. Needs nothing that serving lacks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(identity: Mapping[str, Any]) -> str:
    """Short name of a set of choices, 12 hexadecimal digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
