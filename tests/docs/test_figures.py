"""The README's figures are those of the tables that commands write."""

from __future__ import annotations

import re

from tests.docs.documents import README, ROOT

TOLD = " ".join(README.read_text(encoding="utf-8").split())


def cells(document: str, *first: str) -> list[str]:
    """The cells of the table's row that begins with these."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    begins = "| " + " | ".join(first) + " |"
    (row,) = [line for line in text.splitlines() if line.startswith(begins)]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_accuracy_is_that_of_sources_left_out_whatever_was_chosen() -> None:
    nested = "the same, judged by a rule of gates that had not learned from the unit either"
    _, kept, accepted, *_ = cells("starter.md", nested)
    said = [re.fullmatch(r"([\d.]+)% (\(.*\))", share) for share in (kept, accepted)]
    assert f"{said[0][1]} % of the plants kept {said[0][2]}" in TOLD
    assert f"{said[1][1]} % of the others let through {said[1][2]}" in TOLD


def test_speed_is_that_of_eight_clients() -> None:
    row = cells("measurements.md", "plantood, float32", "2 MP", "8")
    assert f"{float(row[3]):.0f} photos a second, {row[4]} times a service" in TOLD


def test_what_twenty_photos_change_is_that_of_the_hard_sources() -> None:
    text = (ROOT / "docs" / "adapt.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- adapting-plants-and-others -->(.*?)<!-- /", text, re.DOTALL)[1]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    places = [rows[0].index(f" {name} photos ") for name in ("0 + 0", "20 + 20")]
    before, after = (
        [int(re.match(r" (\d+)%", row[place])[1]) for row in rows[2:]] for place in places
    )
    assert len(before) == 4
    assert (
        f"it then kept {min(after)} to {max(after)} % of the plants instead of {min(before)} to "
        f"{max(before)} %" in TOLD
    )


def test_size_is_that_of_the_bento() -> None:
    parts = (
        "code, description, locked requirements",
        "gate model: what serving reads",
        "gate model: `model.keras`, left out of the image",
    )
    bento = sum(float(cells("containers.md", part)[1]) for part in parts)
    packages = float(cells("containers.md", "Python packages, installed and compiled")[1])
    heavy = float(cells("containers.md", "the same with TensorFlow")[1])
    assert f"a bento of {bento:.0f} MB; {packages:.0f} MB with all packages installed" in TOLD
    assert f"with TensorFlow it would be {heavy / 1000:.1f} GB" in TOLD
