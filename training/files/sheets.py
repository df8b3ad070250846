"""Tables that a user gives, as spreadsheets and scripts write them; all commands read them here.

Commas, semicolons, tabs or bars separate; column names may have capitals; the text is UTF-8 or
UTF-16, with or without a mark, and names in it may be in whatever encoding the file system has.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NoReturn

from plantood.errors import PlantoodError
from plantood.training.files.paths import spelled

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LOOKED_AT = 4096
_LONGEST_LINE = 1 << 20
"""Characters; no table has as many in a row, and a file without any end of a line may be large."""
_LIMIT = "field limit"
"""In what the `csv` module says of a cell that is too long; one that nothing closes is, too."""
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class LongLine(ValueError):
    """A line is too long for a table."""


Row = dict[str, str]
"""By the name of the column in small letters; empty where the table says nothing."""
Missing = Callable[[Sequence[str]], str]
"""What is missing among the columns, in words that go on after "lacks"; empty if nothing is."""


def columns(*needed: str) -> Missing:
    """All of these have to be there."""

    def missing(found: Sequence[str]) -> str:
        names = [name for name in needed if name not in found]
        return f"the column {' and '.join(names)}" if names else ""

    return missing


def read_table(
    file: IO[bytes], name: object, error: type[PlantoodError], missing: Missing, remedy: str
) -> Iterator[tuple[int, Row]]:
    """The number of its line in the file, and its cells, for each row.

    Args:
        file: From its beginning.
        name: Of the table, for messages.
        error: To raise.
        missing: Looks at the columns.
        remedy: Sentence to end with if one is missing.

    Raises:
        PlantoodError: ``error``: it is no table, lacks a column, or has a row that does not fit.
    """
    text = open_text(file)
    begins = 1
    try:
        header = next(lines_of(text), "")
        text.seek(0)
        delimiter = max(DELIMITERS, key=header.count)
        rows = csv.reader(lines_of(text), delimiter=delimiter, strict=True)
        names = [cell.strip().lower() for cell in next(rows, [])]
        what = missing(names)
        if what and not _is_text(header):
            _refuse(name, error, "its first line is no text")
        if not what and (twice := sorted({n for n in names if n and names.count(n) > 1})):
            what = f"one meaning, as it has the column {twice[0]} twice"
        if what:
            found = ", ".join(_shown(n) for n in names if n) or "none"
            by = f", split at {DELIMITERS[delimiter]}" if delimiter in header else ""
            raise error(f"{name} lacks {what} (it has: {found}){by}; {remedy}")
        begins = rows.line_num + 1
        for cells in rows:
            line, begins = begins, rows.line_num + 1
            if not cells:
                continue
            if len(cells) < len(names) and not _is_text("".join(cells)):
                _refuse(name, error, f"line {line} is neither text nor a row")
            if any(map(str.strip, cells[len(names) :])):
                raise error(
                    f"Line {line} of {name} has {len(cells)} cells for the {len(names)} columns of "
                    f"the first line, split at {DELIMITERS[delimiter]}; put a cell that holds such "
                    "a character into quotation marks."
                )
            row = dict.fromkeys(names, "") | dict(zip(names, map(str.strip, cells), strict=False))
            yield line, row
    except csv.Error as reason:
        if rows.line_num == begins and _LIMIT in str(reason):
            _refuse(name, error, f"line {begins}: {reason}", reason)
        raise error(
            f"Line {begins} of {name} has a quotation mark too many or too few; a cell that begins "
            "with one ends with one, and within it each is written twice."
        ) from reason
    except (LongLine, UnicodeError) as reason:
        _refuse(name, error, str(reason), reason)


def lines_of(text: io.TextIOBase) -> Iterator[str]:
    """The lines of a text, with their ends.

    Raises:
        LongLine: One is longer than any table has.
    """
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise LongLine(f"a line has more than {_LONGEST_LINE:,} characters")
        yield line


def open_text(file: IO[bytes]) -> io.TextIOWrapper:
    """A text file in whichever encoding it is; bytes that are not UTF-8 stay what they are."""
    head = file.read(_LOOKED_AT)
    file.seek(0)
    if head.startswith(_MARKS):
        return io.TextIOWrapper(file, "utf-16", newline="")
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if 4 * zeros.count(0) > len(head):  # more than half of them: letters of ASCII
            return io.TextIOWrapper(file, encoding, newline="")
    return io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")


def _refuse(
    name: object, error: type[PlantoodError], why: str, reason: Exception | None = None
) -> NoReturn:
    raise error(f"{name} is not a CSV file ({why}).") from reason


def _is_text(text: str) -> bool:
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def _shown(name: str) -> str:
    return spelled(name if len(name) <= 40 else f"{name[:40]}...")
