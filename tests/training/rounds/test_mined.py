from __future__ import annotations

from pathlib import Path

import pytest

from plantood.errors import RoundError
from plantood.model.parts.neighbours import Neighbour
from plantood.training.rounds.mined import read_mined, write_mined
from tests.training.rounds.photos import photo


def test_photos_are_read_as_written(tmp_path: Path) -> None:
    near = (Neighbour("plant", 'south; "field", ß', 0.41), Neighbour("other", "", 0.5))
    photos = [photo("a"), photo("b", nearest=near, reasons=(), source="north, field")]
    write_mined(tmp_path / "mined.csv", photos)
    assert read_mined(tmp_path / "mined.csv") == photos


def test_a_list_from_before_photos_were_compared_with_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "mined.csv"
    identity = "a" * 64
    file.write_text(
        "id,path,file,plant_probability,unfamiliarity,selected_by,verdict,reasons,sharpness,"
        "brightness,source\n"
        f"{identity},a.jpg,photos/aa/{identity}.jpg,0.25,1.5,unlike,retake,unfamiliar,0.5,0.5,\n"
    )
    (found,) = read_mined(file)
    assert (found.reasons, found.selected_by) == (("unfamiliar",), ("unlike",))
    assert found.nearest == ()


def test_a_damaged_list_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mined.csv"
    write_mined(file, [photo("a"), photo("b")])
    file.write_text(file.read_text().replace("b" * 64 + ".jpg,0.25", "b.jpg,much"))
    with pytest.raises(RoundError, match="Line 3 of"):
        read_mined(file)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (",photos/bb/", ",/etc/", "not within the round"),
        (",photos/bb/", ",photos/../../", "not within the round"),
        (",0.25,", ",nan,", "'nan' is no number"),
        (",0.5,", ",inf,", "'inf' is no number"),
        ("\n" + "b" * 64, "\nb", "not the SHA-256"),
        (",0.5,0.125,,", ",0.5,0.125,,[[1]]", "missing 2 required"),
        (",0.5,0.125,,", ",0.5,0.125,,[", "Expecting value"),
        (",0.5,0.125,,", ',0.5,0.125,"field,', "unexpected end of data"),
    ],
)
def test_a_list_by_somebody_else_is_checked(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    file = tmp_path / "mined.csv"
    write_mined(file, [photo("a"), photo("b")])
    lines = file.read_text().split("\n", 2)
    lines[2] = ("\n" + lines[2]).replace(before, after, 1).removeprefix("\n")
    file.write_text("\n".join(lines))
    with pytest.raises(RoundError, match=f"Line 3 of .*{message}"):
        read_mined(file)
