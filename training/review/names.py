"""Names of reviewers."""

from __future__ import annotations

import unicodedata

LONGEST = 64
LONGEST_GIVEN = 1024
"""Before its spaces and accents are put in order, which takes long for many thousand accents."""


def clean_name(name: str) -> str:
    """A reviewer's name in the one form in which it is stored.

    Raises:
        ValueError: It is empty, too long, does not begin with a letter or digit, or holds a
            character that cannot be seen.
    """
    if len(name) <= LONGEST_GIVEN:
        name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > LONGEST:
        raise ValueError(f"a reviewer's name has 1 to {LONGEST} characters")
    if not name[0].isalnum():  # a spreadsheet takes =, +, - and @ for the start of a formula
        raise ValueError("a reviewer's name begins with a letter or a digit")
    if not name.isprintable() or "+" in name:  # + separates names in labels.csv
        raise ValueError("a reviewer's name holds letters, digits, spaces and signs other than +")
    return name
