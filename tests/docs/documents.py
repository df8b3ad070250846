"""The documents, and what is shown in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TOP = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
FILES = [*TOP, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples/maize_disease/README.md"]
TEXT = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (README, *(path for path in FILES if ROOT / "docs" in path.parents))
)
"""The README and docs/, in which whatever a user may meet is named."""

FENCED = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a document."""

    file: str
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text.strip().splitlines()[0][:40]}"


def blocks(*languages: str, files: list[Path] = FILES) -> list[Block]:
    """The blocks of some languages, in the order of the documents."""
    return [
        Block(
            str(path.relative_to(ROOT)),
            language,
            rest.partition('title="')[2].rstrip('"'),
            textwrap.dedent(text),
        )
        for path in files
        for _, language, rest, text in FENCED.findall(path.read_text(encoding="utf-8"))
        if language in languages
    ]


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return FENCED.sub("", path.read_text(encoding="utf-8"))
