"""What @gated accepts to stand on, and what it says otherwise; nothing is served here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
import PIL.Image
import pytest
from bentoml.validators import ContentType
from PIL.Image import Image
from pydantic import BaseModel, Field

from plantood import Gate
from plantood.bento.errors import SetupError
from plantood.compose import ComposedGate, GatedService, RemoteGate, Verdict, gated
from plantood.compose.method.signature import read_signature
from plantood.errors import PhotoNotFound, SettingsError, UnreadablePhoto
from plantood.judging.failures import GateUnavailable
from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from plantood.photo.forms import Form, as_wanted
from plantood.photo.images import Limits, LoadedImage, load_image
from tests.conftest import SAMPLES

PLANT, SOIL = SAMPLES / "maize_leaf.jpg", SAMPLES / "bare_soil.jpg"
GATE = Gate(open_gate(starter_dir()))


class Takes:
    def pil(self, a: PIL.Image.Image) -> str: ...
    def imported(self, a: Image) -> str: ...
    def path(self, a: Path) -> str: ...
    def raw(self, a: bytes) -> str: ...
    def loaded(self, a: LoadedImage) -> str: ...
    def annotated(self, a: Annotated[Path, Field(description="A leaf."), "a note"]) -> str: ...
    def many(self, a: list[Image]) -> list[str]: ...
    def many_annotated(self, a: Annotated[list[bytes], Field(max_length=3)]) -> list[str]: ...
    def sequence(self, a: Sequence[LoadedImage]) -> list[str]: ...
    def without_output(self, a: list[Path]): ...  # noqa: ANN201


@pytest.mark.parametrize(
    ("name", "form", "many"),
    [
        ("pil", Form.PIL, False),
        ("imported", Form.PIL, False),
        ("path", Form.PATH, False),
        ("raw", Form.BYTES, False),
        ("loaded", Form.LOADED, False),
        ("annotated", Form.PATH, False),
        ("many", Form.PIL, True),
        ("many_annotated", Form.BYTES, True),
        ("sequence", Form.LOADED, True),
        ("without_output", Form.PATH, True),
    ],
)
def test_the_photo_is_found_by_its_annotation(name: str, form: Form, many: bool) -> None:
    signature = read_signature(getattr(Takes, name))
    assert (signature.photos, signature.many) == ({"a": form}, many)


def test_the_other_parameters_are_told_apart() -> None:
    class Service:
        def method(
            self,
            image: Path,
            verdict: Verdict | None,
            ctx: bentoml.Context,
            language: str = "sw",
            leaves: int = Field(default=2, ge=1),
        ) -> str: ...

    signature = read_signature(Service.method)
    assert (signature.verdict, signature.context, signature.language) == (
        "verdict",
        "ctx",
        "language",
    )
    assert list(signature.fields) == ["image", "language", "leaves"]
    given = signature.given(("a.jpg",), {"ctx": None})
    assert given == {"image": "a.jpg", "ctx": None, "language": "sw", "leaves": 2}
    assert signature.language_named(("a.jpg",), {"ctx": None}) is None
    assert signature.language_named(("a.jpg", "fr"), {}) == "fr"
    assert signature.language_named((), {"language": "fr"}) == "fr"
    with pytest.raises(TypeError, match="misses image"):
        signature.given((), {})
    with pytest.raises(TypeError, match="does not take leafs"):
        signature.given(("a.jpg",), {"leafs": 3})


class Report(BaseModel):
    photo: Path


def _two(self: Any, leaf: Path, mask: Path) -> str: ...
def _none(self: Any, leaf: str, pixels: np.ndarray) -> str: ...
def _rest(self: Any, image: Path, *more: Path) -> str: ...
def _words(self: Any, image: Path, **more: Any) -> str: ...
def _one_answer(self: Any, images: list[Path]) -> str: ...
def _unknown(self: Any, image: NotImported) -> str: ...  # noqa: F821
def _maybe(self: Any, image: PIL.Image.Image | None = None) -> str: ...
def _within(self: Any, report: Report) -> str: ...
def _of_two_types(self: Any, image: Path | bytes) -> str: ...
def _fixed(self: Any, images: tuple[PIL.Image.Image, ...]) -> list[str]: ...
def _unordered(self: Any, images: set[bytes]) -> list[str]: ...
def _named(self: Any, images: dict[str, bytes]) -> list[str]: ...
def _iterable(self: Any, images: Iterable[Path]) -> list[str]: ...
def _nested(self: Any, images: list[list[bytes]]) -> list[str]: ...
def _with_gaps(self: Any, images: list[bytes | None]) -> list[str]: ...
def _maybe_many(self: Any, images: Annotated[list[bytes] | None, "all"]) -> list[str]: ...
def _validated(self: Any, image: Annotated[Path, ContentType("image/png")]) -> str: ...
def _each(self: Any, images: list[Annotated[Path, ContentType("image/png")]]) -> list[str]: ...
def _bounded(self: Any, image: bytes = Field(max_length=9)) -> str: ...
def _many_verdicts(self: Any, image: Path, verdict: list[Verdict]) -> str: ...
def _one_verdict(self: Any, images: list[Path], verdicts: Verdict) -> list[str]: ...
def _streams(self: Any, image: Path) -> Iterator[str]:
    yield ""


async def _streams_async(self: Any, image: Path) -> Any:
    yield ""


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (_two, 'it has leaf, mask. Name the one: @gated(photo="..."), or all'),
        (_maybe, "image may be missing"),
        (_maybe_many, "images may be missing"),
        (_with_gaps, "images may be missing"),
        (_of_two_types, "image may be of several types, of which a photo has one; choose one"),
        (_fixed, "images holds photos in another way than a list; use list[...]."),
        (_unordered, "use list[...]."),
        (_named, "use list[...]."),
        (_iterable, "use list[...]."),
        (_nested, "use list[...]."),
        (_validated, "reads image by itself, and does not ask ContentType(content_type='image/png"),
        (_each, "reads images by itself, and does not ask ContentType"),
        (_bounded, "does not ask MaxLen(max_length=9)"),
        (_within, "a photo within a model (report.photo) is not seen"),
        (_many_verdicts, "annotate verdict as Verdict"),
        (_one_verdict, "annotate verdicts as list[Verdict]"),
        (_none, "bytes or plantood.LoadedImage, or a list of them; it has none"),
        (_rest, "name its parameters, instead of *more"),
        (_words, "name its parameters, instead of **more"),
        (_one_answer, "to return a list"),
        (_unknown, "import what they name"),
        (_streams, "which streams"),
        (_streams_async, "which streams"),
    ],
)
def test_a_method_that_cannot_be_gated_is_refused_with_a_sentence(
    method: Any, sentence: str
) -> None:
    with pytest.raises(TypeError) as caught:
        gated(method)
    assert sentence in str(caught.value)
    assert method.__qualname__ in str(caught.value)


def test_one_of_several_photos_can_be_named() -> None:
    with pytest.warns(UserWarning, match=r"lets any mask through.*photo=\['leaf', 'mask'\]"):
        assert read_signature(_two, "leaf").photos == {"leaf": Form.PATH}
    with pytest.raises(TypeError, match=r"no parameter lief takes a photo; it has leaf, mask\."):
        read_signature(_two, "lief")


def test_several_photos_can_be_named() -> None:
    signature = read_signature(_two, ["leaf", "mask"])
    assert signature.photos == {"leaf": Form.PATH, "mask": Form.PATH}
    assert not signature.many
    with pytest.raises(TypeError, match="no parameter phto takes a photo"):
        read_signature(_two, ["leaf", "phto"])
    with pytest.raises(TypeError, match="and no list"):
        read_signature(_list_beside, ["leaf", "more"])


def _list_beside(self: Any, leaf: Path, more: list[Path]) -> str: ...


def test_the_wrong_order_says_how_to_write_it() -> None:
    with pytest.raises(TypeError, match=r"write @bentoml\.api first, and @gated below it"):

        class Service:
            @gated
            @bentoml.api
            def diagnose(self, image: Path) -> str: ...

    with pytest.raises(TypeError, match="stands on a method"):
        gated(Path())
    with pytest.raises(SettingsError, match="accept or retake or raise"):
        gated(on_gate_error="refuse")(Detector.one)


def _service(**options: Any) -> Any:
    """A service whose gated method has these options of BentoML's."""

    class Mistaken:
        gate = GATE

        @bentoml.api(**options)
        @gated
        def one(self, photo: Path) -> dict: ...

    return bentoml.service(Mistaken)


@pytest.mark.parametrize("option", ["input_spec", "output_spec"])
def test_what_a_method_takes_and_returns_is_said_below_the_decorator(option: str) -> None:
    with pytest.raises(
        SetupError, match=rf"api\({option}=\.\.\.\) on Mistaken\.one .*; leave it out"
    ):
        _service(**{option: Report})


def test_only_a_method_of_a_list_is_batchable() -> None:
    with pytest.raises(SetupError, match=r"on Mistaken\.one needs a method that takes a list"):
        _service(batchable=True)

    class Beside:
        gate = GATE

        @bentoml.api(batchable=True)
        @gated
        def several(self, photos: list[Path], crop: str = "maize") -> list[dict]: ...

    with pytest.raises(SetupError, match="and nothing else of the request"):
        bentoml.service(Beside)


def test_a_service_that_inherits_is_told_how_to_write_it() -> None:
    with pytest.raises(SetupError, match=r"write @bentoml\.service\(service_class=GatedService\)"):

        class Heir(GatedService):
            gate = GATE

            @bentoml.api
            @gated
            def one(self, photo: Path) -> dict: ...


class Diagnosis(BaseModel):
    disease: str


class Detector:
    """Not served: its gated methods can be called as they are, as in a unit test of a team."""

    def __init__(self, gate: Any) -> None:
        self.gate = gate

    @gated
    def one(self, image: PIL.Image.Image, leaves: int = Field(default=2)) -> Diagnosis:
        return Diagnosis(disease=f"rust on {leaves} leaves of {image.size}")

    @gated
    def spoken(self, image: bytes, language: str = "sw") -> Diagnosis:
        return Diagnosis(disease=language)

    @gated(on_gate_error="retake")
    async def several(self, images: list[LoadedImage], verdicts: list[Verdict]) -> list[Diagnosis]:
        return [Diagnosis(disease=verdict.verdict) for verdict in verdicts]


@pytest.mark.parametrize("photo", [PLANT, str(PLANT), PLANT.read_bytes(), bytearray(b"photo")])
def test_one_photo_is_not_several(photo: Any) -> None:
    with pytest.raises(TypeError, match=r"several photos are asked for.*give \[photo\]"):
        GATE.check_many(photo)
    with pytest.raises(TypeError, match=r"several photos are asked for.*give \[photo\]"):
        asyncio.run(ComposedGate(GATE).check_many(photo))


def test_a_gated_method_can_be_called_without_a_server() -> None:
    detector = Detector(GATE)
    assert asyncio.run(detector.one(PLANT)).disease == "rust on 2 leaves of (256, 256)"
    assert asyncio.run(detector.one(image=PLANT.read_bytes(), leaves=3)).disease.startswith("rust")
    with PIL.Image.open(SOIL) as soil:
        assert not asyncio.run(Detector(GATE).one(soil)).accepted
    answers = asyncio.run(Detector(GATE).several([SOIL, PLANT, np.asarray(PIL.Image.open(PLANT))]))
    assert [type(answer) for answer in answers] == [Verdict, Diagnosis, Diagnosis]


def test_a_call_names_its_language_or_none() -> None:
    def message(**language: str) -> str:
        answer = asyncio.run(Detector(GATE).spoken(SOIL, **language))
        return answer.reasons[0].message

    assert message() == message(language="en") != message(language="sw")
    assert asyncio.run(Detector(GATE).spoken(PLANT)).disease == "sw"


def test_a_path_without_a_photo_is_the_callers_mistake(tmp_path: Path) -> None:
    lost = tmp_path / "lost.jpg"
    for gate in (GATE, Broken()):
        with pytest.raises(PhotoNotFound, match=r"lost\.jpg: the file cannot be read"):
            asyncio.run(Detector(gate).one(lost))
        answers = asyncio.run(Detector(gate).several([PLANT, lost]))
        assert [type(answer) for answer in answers] == [Diagnosis, Verdict]


class Broken:
    """A gate of one's own that fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def check(self, photo: Any, language: str | None = None) -> Verdict:
        if self.error:
            raise self.error
        return Verdict(verdict="accept", model="own")


def test_any_object_that_checks_is_a_gate() -> None:
    assert asyncio.run(ComposedGate(Broken()).check(b"photo")).model == "own"
    assert asyncio.run(Detector(Broken()).one(PLANT)).disease


def test_a_failure_is_an_exception_where_there_is_no_request_to_answer() -> None:
    detector = Detector(Broken(RuntimeError("out of order")))
    with pytest.raises(GateUnavailable, match="the gate failed"):
        asyncio.run(detector.one(PLANT))
    answers = asyncio.run(detector.several([PLANT, SOIL]))
    assert [answer.reasons[0].code for answer in answers] == ["gate_unavailable"] * 2


def test_an_answer_that_is_no_verdict_is_a_failure() -> None:
    class Confused:
        async def check(self, photo: Any, language: str | None = None) -> Any:
            return {"verdict": "accept"}

    with pytest.raises(GateUnavailable) as caught:
        asyncio.run(ComposedGate(Confused()).check(PLANT))
    assert (caught.value.kind, "dict" in caught.value.detail) == ("wrong_answer", True)


def test_what_the_gate_has_decoded_is_not_decoded_again() -> None:
    seen = load_image(PLANT)
    assert as_wanted(b"no photo at all", Form.LOADED, seen, Limits(), folder=None) is seen
    with pytest.raises(UnreadablePhoto):
        as_wanted(b"no photo at all", Form.LOADED, None, Limits(), folder=None)


@pytest.mark.parametrize(
    ("data", "suffix"), [(PLANT.read_bytes(), ".jpeg"), (b"no photo at all", "")]
)
def test_a_file_has_the_suffix_of_its_format(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = as_wanted(data, Form.PATH, None, Limits(), folder=tmp_path)
    assert (path.suffix, path.read_bytes()) == (suffix, data)
    assert as_wanted(path, Form.PATH, None, Limits(), folder=tmp_path) == path


@pytest.mark.parametrize("photo", [3, None, np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8)])
def test_what_is_no_photo_at_all_is_the_callers_error(photo: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="a photo") as known:
        GATE.check(photo)
    composed = (ComposedGate(gate, on_gate_error="accept") for gate in (GATE, Broken()))
    for gate in (*composed, RemoteGate("http://127.0.0.1:1")):
        with pytest.raises(known.type) as caught:
            asyncio.run(gate.check(photo))
        assert str(caught.value) == str(known.value)


def test_what_is_no_gate_is_refused_with_the_list_of_those_that_are() -> None:
    for nothing in ("http://localhost:3000", None, object(), Gate):
        with pytest.raises(SettingsError, match=r"is no gate; give bentoml\.depends\(PlantGate\)"):
            ComposedGate(nothing)


def test_the_setting_is_inherited_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ComposedGate(GATE).on_gate_error == "raise"
    monkeypatch.setenv("PLANTOOD_ON_GATE_ERROR", "retake")
    monkeypatch.setenv("PLANTOOD_GATE_TIMEOUT_S", "7")
    first = ComposedGate(GATE)
    assert (first.on_gate_error, first.timeout_s) == ("retake", 7)
    second = ComposedGate(first, on_gate_error="accept", timeout_s=1.5)
    assert (second.on_gate_error, second.timeout_s) == ("accept", 1.5)
    assert second.door is first.door
    assert ComposedGate(second).on_gate_error == "accept"
    with pytest.raises(SettingsError, match="accept or retake or raise"):
        ComposedGate(GATE, on_gate_error="refuse")
