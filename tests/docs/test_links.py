"""No link between documents is broken, neither in the repository nor by its heading."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

from tests.docs.documents import FILES, ROOT, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")


def links() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), target)
        for path in FILES
        for target in LINK.findall(prose(path))
        if "://" not in target
    ]


@pytest.mark.parametrize(("file", "target"), links())
def test_a_link_leads_somewhere(file: str, target: str) -> None:
    place, _, anchor = target.partition("#")
    document = (ROOT / file).parent / place if place else ROOT / file
    assert document.exists()
    if anchor:
        assert anchor in anchors(document)


@cache
def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as the site and hosts of repositories make them."""
    headings = re.findall(r"^#+ (.*?)\s*$", prose(document), re.MULTILINE)
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in headings}
