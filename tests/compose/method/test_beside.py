"""What a stranger may send beside a photo: no path, and no picture that costs more than a photo."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple, NewType, TypedDict

import PIL.Image
import pytest
from PIL import ImageOps
from pydantic import AliasChoices, BaseModel, Field, FilePath, create_model
from pydantic.fields import FieldInfo

from plantood.compose.method.beside import decode, ensure_no_path
from plantood.compose.method.request import GatedInput, Sent, input_of
from plantood.compose.method.signature import read_signature
from plantood.http.room import uploads_of_process
from plantood.refusals import RequestRefused
from tests.security import payloads
from tests.strangers import request

pytestmark = pytest.mark.filterwarnings("ignore:@gated on")  # what is not judged is meant here

JPEG = b"\xff\xd8 whatever it is"


class Report(BaseModel):
    file: Path


class Nested(BaseModel):
    inside: list[Report]
    others: list[Nested] = []


@dataclass
class Record:
    file: Path


class Typed(TypedDict):
    file: Path


class Named(NamedTuple):
    file: Path


Renamed = NewType("Renamed", Path)
A_PATH = "as mask would become a path of this machine; take text"


def _input(mask: Any, leaf: Any = bytes, default: Any = None) -> type[GatedInput]:
    """The input of a method with a photo, and one parameter beside it."""

    def diagnose(self: Any, leaf: Any, mask: Any) -> list[str]: ...

    diagnose.__annotations__ = {"leaf": leaf, "mask": mask, "return": list[str]}
    diagnose.__defaults__ = (default,) if default is not None else None
    return input_of(read_signature(diagnose, "leaf"))


@pytest.mark.parametrize(
    "annotation",
    [
        Report,
        Nested,
        Record,
        Named,
        Renamed,
        list[Report],
        Report | None,
        Sequence[Path],
        tuple[Path, ...],
        set[Path],
        dict[str, Path],
        list[list[Path]],
        Path | str,
        os.PathLike,
        os.PathLike[str],
        Annotated[tuple[Path, int], Field(description="a file")],
    ],
)
def test_no_text_becomes_a_path(annotation: Any) -> None:
    with pytest.raises(TypeError, match=A_PATH):
        _input(annotation)


def test_no_text_becomes_a_path_in_a_typed_dict() -> None:
    """Pydantic takes one of these from Python 3.12 on."""
    with pytest.raises(TypeError, match=A_PATH):
        ensure_no_path("diagnose", "mask", list[Typed])


@pytest.mark.parametrize(
    "annotation",
    [Path, Path | None, list[Path], list[Path] | None, PurePosixPath, PIL.Image.Image, FilePath],
)
def test_a_file_is_a_file(annotation: Any) -> None:
    input_ = _input(annotation)
    for text in (b"/etc/passwd", b'["/etc/passwd"]', b'{"file": "/etc/passwd"}', b"null"):
        refused = _given(input_, _form(("leaf", "a", JPEG), ("mask", None, text))).leaf
        assert "holds text, not a file" in str(refused)


CHOICES = AliasChoices("other", "leaf", "mask")


@pytest.mark.parametrize(
    ("parameter", "leaf", "mask", "default"),
    [
        ("leaf", Annotated[bytes, Field(validation_alias=CHOICES)], str, None),
        ("leaf", Annotated[bytes, Field(alias="other")], str, None),
        ("leaf", Annotated[list[bytes], Field(alias="other")], str, None),
        ("mask", bytes, Annotated[Path, Field(alias="other")], None),
        ("mask", bytes, PIL.Image.Image, Field(validation_alias=CHOICES)),
        ("mask", bytes, list[Path], Field(alias="other")),
    ],
)
def test_a_file_has_one_name(
    parameter: str, leaf: Any, mask: Any, default: FieldInfo | None
) -> None:
    with pytest.raises(TypeError, match=f"takes {parameter} by no other name; leave the alias out"):
        _input(mask, leaf, default)


def test_a_text_may_have_another_name() -> None:
    sent = _form(("leaf", "a", JPEG), ("other", None, b"of maize"))
    assert _given(_input(Annotated[str, Field(alias="other")]), sent).mask == "of maize"


def test_whatever_a_field_does_a_photo_is_what_was_sent() -> None:
    aliased = create_model("Input", __base__=_input(str), leaf=(Any, Field(alias="other")))
    aliased.photo_fields, aliased.multipart_fields = ("leaf",), ["leaf"]
    texts = ("other", None, b"/etc/passwd"), ("mask", None, b"x")
    refused = _given(aliased, _form(("leaf", "a", JPEG), *texts)).leaf
    assert (refused.error_code, str(refused)) == (400, "The field `leaf` is no photo.")


def _form(*parts: tuple[str, str | None, bytes], kind: bytes = b"") -> Any:
    """A request with fields: each a name, the name of its file if it is one, and its content.

    The files beside the photo have a content type.
    """
    body = b""
    for name, file, content in parts:
        body += b'--b\r\nContent-Disposition: form-data; name="%b"' % name.encode()
        body += b'; filename="%b"' % file.encode() if file else b""
        body += b"\r\nContent-Type: " + kind if kind and file and name != "leaf" else b""
        body += b"\r\n\r\n%b\r\n" % content
    return request(body + b"--b--\r\n", b"multipart/form-data; boundary=b", [])


def _given(input_: type[GatedInput], sent: Any) -> Any:
    return asyncio.run(input_.from_http_request(sent, None))


@pytest.fixture(scope="module")
def takes_a_picture() -> type[GatedInput]:
    return _input(PIL.Image.Image)


def _picture(format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    PIL.Image.new("L", (40, 30), 7).save(buffer, format, **options)
    return buffer.getvalue()


KINDS = [b"", b"image/png", b"image/nonsense", b"image/eps", b"IMAGE/*", b"text/plain", b"image/"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_is_read_by_what_it_is(
    takes_a_picture: type[GatedInput], format: str, kind: bytes
) -> None:
    sent = _form(("leaf", "a", JPEG), ("mask", "m.eps", _picture(format)), kind=kind)
    given = _given(takes_a_picture, sent)
    assert isinstance(given.leaf, Sent)
    assert (given.mask.format, given.mask.size) == (format, (40, 30))
    assert abs(given.mask.convert("L").getpixel((3, 3)) - 7) < 4


def test_several_pictures_come_in_their_order_and_leave_room() -> None:
    before = uploads_of_process().bytes
    files = [("mask", "m", _picture(format)) for format in ("PNG", "GIF", "JPEG")]
    given = _given(_input(list[PIL.Image.Image]), _form(("leaf", "a", JPEG), *files))
    assert [mask.format for mask in given.mask] == ["PNG", "GIF", "JPEG"]
    assert uploads_of_process().bytes > before
    given.leaf.photo.file.close()
    del given
    assert uploads_of_process().bytes == before


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_ever(takes_a_picture: type[GatedInput], format: str) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 6
    sent = _form(("leaf", "a", JPEG), ("mask", "m", _picture(format, exif=exif)))
    mask = _given(takes_a_picture, sent).mask
    assert ImageOps.exif_transpose(mask).size == (30, 40)


def test_no_decoder_sees_what_is_no_picture(takes_a_picture: type[GatedInput]) -> None:
    tiff = payloads.tiff_with_directory(300, 1_000_000)
    mask = _given(takes_a_picture, _form(("leaf", "a", JPEG), ("mask", "m", tiff))).mask
    assert len(mask.tag_v2) < 20


def test_a_broken_picture_is_refused_before_the_method_decodes_it(
    takes_a_picture: type[GatedInput],
) -> None:
    noise = BytesIO()
    PIL.Image.effect_noise((40, 30), 50).save(noise, "JPEG")
    broken = noise.getvalue()[:700]
    mask = _given(takes_a_picture, _form(("leaf", "a", JPEG), ("mask", "m", broken))).mask
    asked: list[int] = []
    with pytest.raises(RequestRefused, match="beside the photo is broken") as refused:
        decode(mask, asked.append)
    assert refused.value.error_code == 400
    assert asked == [40 * 30]


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
NONE, LARGE = "beside the photo cannot be read as JPEG, PNG", "beside the photo is too large"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mask", "status", "why"),
    [
        pytest.param(b"no picture", 400, NONE, id="text"),
        pytest.param(b"", 400, NONE, id="empty"),
        pytest.param(EPS, 400, NONE, id="eps"),
        pytest.param(_picture("PPM"), 400, NONE, id="ppm"),
        pytest.param(_picture("PNG")[:30], 400, NONE, id="cut off"),
        pytest.param(payloads.flat("PNG", 14_000, 14_000), 413, LARGE, id="a bomb"),
        pytest.param(payloads.flat("WEBP", 6000, 6000, method=0), 413, LARGE, id="memory"),
    ],
)
def test_a_picture_that_is_none_is_a_sentence(
    takes_a_picture: type[GatedInput], kind: bytes, mask: bytes, status: int, why: str
) -> None:
    before = uploads_of_process().bytes
    gc.disable()  # no circle keeps the room of what is refused
    try:
        refused = _given(
            takes_a_picture, _form(("leaf", "a", JPEG), ("mask", "m.png", mask), kind=kind)
        ).leaf
        refused.with_traceback(None)
        assert uploads_of_process().bytes == before
    finally:
        gc.enable()
    assert isinstance(refused, RequestRefused)
    assert (refused.error_code, why in str(refused)) == (status, True), str(refused)
    assert "\n" not in str(refused)
