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
from tests.compose.outputs import OBJECTS, OUTPUTS
from tests.service import openapi
from tests.service.server import SAMPLES, Server, serving

PLANT, SOIL = SAMPLES / "maize_leaf.jpg", SAMPLES / "bare_soil.jpg"
NAMES = list(OUTPUTS)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("kinds"), "tests.compose.outputs:Kinds") as server:
        yield server


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("caller"), "tests.compose.outputs:Caller") as server:
        yield server


def _post(server: Server, method: str, photo: Path) -> httpx.Response:
    files = {"image": ("photo.jpg", photo.read_bytes(), "image/jpeg")}
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
    return value


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_another_service_of_the_bento_gets_what_it_got_without_a_gate(
    name: str, caller: Server
) -> None:
    def ask(kind: str, photo: Path) -> dict[str, str]:
        files = {"image": ("photo.jpg", photo.read_bytes(), "image/jpeg")}
        data = {"method": f"{kind}_{name}"}
        answer = httpx.post(f"{caller.url}/ask", data=data, files=files, timeout=60)
        return answer.raise_for_status().json()

    free = ask("free", PLANT)
    assert free["type"] != "error", free
    assert ask("gated", PLANT) == free
    refused = ask("gated", SOIL)
    assert refused["type"] == ("Verdict" if name in OBJECTS else "error"), refused
    assert "not_a_plant" in refused["value"]
    if name not in OBJECTS:
        assert refused["value"].startswith("422")


def test_the_documents_describe_both(kinds: Server) -> None:
    document = httpx.get(f"{kinds.url}/docs.json").json()
    for name in NAMES:
        free, behind = (document["paths"][f"/{kind}_{name}"]["post"] for kind in ("free", "gated"))
        ok, other = behind["responses"]["200"]["content"], free["responses"]["200"]["content"]
        verdict = {"$ref": "#/components/schemas/Verdict"}
        if name in OBJECTS:
            assert verdict in ok["application/json"]["schema"]["oneOf"]
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
