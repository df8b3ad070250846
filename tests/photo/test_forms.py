"""The file of an accepted photo, where a detector takes a path."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from starlette.datastructures import UploadFile

from plantood.photo.cost import Limits
from plantood.photo.forms import Form, as_wanted
from tests.photos import encode, heic, scene

PICTURE = scene(160, 120)
JPEG, HEIC, PNG = encode(PICTURE), heic(PICTURE), encode(PICTURE, "PNG")
TIFF = encode(PICTURE, "TIFF")


@pytest.mark.parametrize(
    ("name", "data", "suffix"),
    [
        ("leaf.jpg", JPEG, ".jpg"),
        ("LEAF.JPEG", JPEG, ".jpeg"),
        ("leaf", JPEG, ".jpeg"),
        ("leaf.dcm", JPEG, ".jpeg"),
        ("leaf.png", JPEG, ".jpeg"),
        ("leaf.jpg", PNG, ".png"),
        ("leaf.mp4", HEIC, ".heic"),
        ("leaf.heif", HEIC, ".heif"),
        ("leaf.tif", TIFF, ".tif"),
        ("leaf.py", b"no photo at all", ""),
    ],
)
def test_no_name_of_a_stranger_s_chooses_what_opens_the_file(
    tmp_path: Path, name: str, data: bytes, suffix: str
) -> None:
    """Libraries choose their decoder by it: another one than the gate's would look at it."""
    upload = UploadFile(BytesIO(data), filename=name)
    path = as_wanted(upload, Form.PATH, None, Limits(), folder=tmp_path)
    assert (path.suffix, path.read_bytes()) == (suffix, data)
