"""What a gated method returns is what it returned without a gate, for every client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import numpy as np
import PIL.Image
import pytest

from plantood.compose import gated
from plantood.verdict import Verdict
from tests.compose.outputs import ITEMS, OBJECTS, OUTPUTS
from tests.service import openapi
from tests.service.server import SAMPLES, Server, serving

PLANT, SOIL = SAMPLES / "maize_leaf.jpg", SAMPLES / "bare_soil.jpg"
NAMES = list(OUTPUTS)
LISTS = [f"list_of_{name}" for name in ITEMS]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("kinds"), "tests.compose.outputs:Kinds") as server:
        yield server


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("caller"), "tests.compose.outputs:Caller") as server:
        yield server


def _post(server: Server, method: str, *photos: Path) -> httpx.Response:
    field = "image" if method.partition("_")[2] in NAMES else "images"
    files = [(field, ("photo.jpg", photo.read_bytes(), "image/jpeg")) for photo in photos]
    return httpx.post(f"{server.url}/{method}", files=files, timeout=60)


def _plain(value: Any) -> Any:
    """In a form that can be compared."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, PIL.Image.Image):
        return [value.size, value.getpixel((0, 0))]
    if isinstance(value, Path):
        return [value.suffix, value.read_bytes()]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", NAMES + LISTS)
def test_an_accepted_photo_is_answered_as_without_a_gate(name: str, kinds: Server) -> None:
    free, behind = (_post(kinds, f"{kind}_{name}", PLANT) for kind in ("free", "gated"))
    assert behind.status_code == free.status_code == 200, behind.text
    assert behind.headers["content-type"] == free.headers["content-type"]
    assert behind.content == free.content


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_photo_is_told_apart(name: str, kinds: Server) -> None:
    answer = _post(kinds, f"gated_{name}", SOIL)
    assert answer.status_code == (200 if name in OBJECTS else 422)
    assert answer.headers["content-type"].startswith("application/json")
    assert Verdict.model_validate(answer.json()).reasons[0].code == "not_a_plant"


@pytest.mark.parametrize("name", NAMES)
def test_bentoml_s_client_gets_what_it_got_without_a_gate(name: str, kinds: Server) -> None:
    with bentoml.SyncHTTPClient(kinds.url, timeout=60) as client:
        free, behind = (
            getattr(client, f"{kind}_{name}")(image=PLANT) for kind in ("free", "gated")
        )
        assert type(behind) is type(free)
        assert _plain(behind) == _plain(free)
        if name in OBJECTS:
            refused = getattr(client, f"gated_{name}")(image=SOIL)
            assert Verdict.model_validate(refused).reasons[0].code == "not_a_plant"
        else:
            with pytest.raises(bentoml.exceptions.BentoMLException, match="not_a_plant") as error:
                getattr(client, f"gated_{name}")(image=SOIL)
            assert error.value.error_code == 422


def _ask(server: Server, method: str, *photos: Path) -> dict[str, str]:
    """What another service of the bento gets."""
    files = [("images", ("photo.jpg", photo.read_bytes(), "image/jpeg")) for photo in photos]
    answer = httpx.post(f"{server.url}/ask", data={"method": method}, files=files, timeout=60)
    return answer.raise_for_status().json()


@pytest.mark.parametrize("name", NAMES + LISTS)
def test_another_service_of_the_bento_gets_what_it_got_without_a_gate(
    name: str, caller: Server
) -> None:
    free = _ask(caller, f"free_{name}", PLANT)
    assert free["type"] != "error", free
    assert _ask(caller, f"gated_{name}", PLANT) == free
    refused = _ask(caller, f"gated_{name}", SOIL)
    assert "not_a_plant" in refused["value"]
    if name in NAMES:
        assert refused["type"] == ("Verdict" if name in OBJECTS else "error"), refused
        assert name in OBJECTS or refused["value"].startswith("422")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_the_outputs_beside_the_verdicts(name: str, kinds: Server) -> None:
    (output,) = _post(kinds, f"free_{name}", PLANT).json()
    refused, accepted = _post(kinds, f"gated_{name}", SOIL, PLANT).json()
    assert Verdict.model_validate(refused).reasons[0].code == "not_a_plant"
    assert str(accepted) == str(output)  # NaN is not NaN
    with bentoml.SyncHTTPClient(kinds.url, timeout=60) as client:
        refused, accepted = getattr(client, f"gated_{name}")(images=[SOIL, PLANT])
    assert Verdict.model_validate(refused).reasons[0].code == "not_a_plant"
    assert str(accepted) == str(output)


def test_an_array_may_stand_for_the_list(kinds: Server) -> None:
    answer = _post(kinds, "scores", PLANT, PLANT)
    assert answer.json() == [0, 1]


def test_the_documents_describe_both(kinds: Server) -> None:
    document = httpx.get(f"{kinds.url}/docs.json").json()
    for name in NAMES:
        free, behind = (document["paths"][f"/{kind}_{name}"]["post"] for kind in ("free", "gated"))
        ok, other = behind["responses"]["200"]["content"], free["responses"]["200"]["content"]
        verdict = {"$ref": "#/components/schemas/Verdict"}
        if name in OBJECTS:
            assert verdict in ok["application/json"]["schema"]["anyOf"]
        else:
            assert ok == other
            assert behind["responses"]["422"]["content"]["application/json"]["schema"] == verdict
        for status in ("400", "408", "413", "415", "429", "503"):
            schema = behind["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Error"}
        assert {"language", "Accept-Language"} <= {p["name"] for p in behind["parameters"]}
        assert {"multipart/form-data", "image/*"} <= behind["requestBody"]["content"].keys()
    assert openapi.references(document) <= openapi.defined(document)


def test_a_refusal_that_could_be_taken_for_an_output_is_not_to_be_had() -> None:
    def text(self: Any, image: bytes) -> str: ...

    with pytest.raises(TypeError, match="could be taken for an output"):
        gated(retake_status=200)(text)
    gated(retake_status=409)(text)
