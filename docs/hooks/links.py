"""Links between documents, so that they lead somewhere in the repository and on the site alike.

In the repository documents lie at the top, in ``docs/`` and beside what they describe. The site has
those of ``docs/``, and those of :data:`OUTSIDE` under ``project/``. A link to any other file of the
repository becomes its text.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = "docs"
OUTSIDE = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "examples/maize_disease/README.md",
    "examples/maize_disease/model/card.md",
    "examples/maize_disease/photos/ATTRIBUTION.md",
    "plantood/model/starter/NOTICE.md",
    "plantood/model/starter/gate/card.md",
    "plantood/model/starter/samples/ATTRIBUTION.md",
)
"""Documents of the repository, outside of ``docs/``, that the site has too."""

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents outside of ``docs/``; mkdocs calls this."""
    for path in OUTSIDE:
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, f"project/{path}", content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to where their targets are on the site; mkdocs calls this."""
    source = in_repository(page.file.src_uri)
    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(lambda link: _led(link, source), part) for part in parts[::2]]
    return "".join(parts)


def in_repository(page: str) -> str:
    """Path of a page of the site in the repository."""
    outside = page.removeprefix("project/")
    return outside if outside in OUTSIDE else f"{DOCS}/{page}"


def site_path(path: str) -> str | None:
    """Path on the site of a file of the repository; None if the site has it not."""
    if path in OUTSIDE:
        return f"project/{path}"
    return path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else None


def _led(link: re.Match[str], source: str) -> str:
    image, text, target = link.groups()
    place, hash_, anchor = target.partition("#")
    if not place or "://" in place or place.startswith("mailto:"):
        return link[0]
    meant = normpath(str(PurePosixPath(source).parent / place))
    there, here = site_path(meant), site_path(source)
    if there is None or here is None:
        return text
    return f"{image}[{text}]({relpath(there, str(PurePosixPath(here).parent))}{hash_}{anchor})"
