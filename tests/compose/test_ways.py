"""Six ways to the gate, one verdict for a photo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import bentoml
import httpx
import pytest

from plantood import Gate, Verdict
from plantood.compose import ComposedGate
from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from tests.compose.conftest import PHOTOS
from tests.service.server import ROOT, Server

Ask = Callable[[bytes], Verdict]


def undecorated(way: str) -> Callable[..., Ask]:
    def of(detector: Server, _: Server) -> Ask:
        def ask(photo: bytes) -> Verdict:
            files = {"photo": ("a.jpg", photo, "image/jpeg")}
            answer = httpx.post(
                f"{detector.url}/verdict", files=files, data={"way": way}, timeout=90
            )
            return Verdict.model_validate_json(answer.raise_for_status().content)

        return ask

    return of


def decorated(api: str) -> Callable[..., Ask]:
    def of(detector: Server, _: Server) -> Ask:
        def ask(photo: bytes) -> Verdict:
            answer = httpx.post(f"{detector.url}/{api}", content=photo, timeout=90)
            body = answer.raise_for_status().json()
            assert ("form" in body) == (body.get("verdict") not in ("accept", "retake"))
            return Verdict.model_validate(body["verdict"] if "form" in body else body)

        return ask

    return of


def by_runner(_: Server, legacy: Server) -> Ask:
    def ask(photo: bytes) -> Verdict:
        headers = {"Content-Type": "image/jpeg"}  # BentoML's older services need one
        answer = httpx.post(f"{legacy.url}/verdict", content=photo, headers=headers, timeout=90)
        return Verdict.model_validate_json(answer.raise_for_status().content)

    return ask


WAYS = {
    "1 service": undecorated("service"),
    "2 scorer": undecorated("scorer"),
    "3 decorator, scorer": decorated("by_scorer"),
    "3 decorator, service": decorated("by_service"),
    "3 decorator, url": decorated("by_url"),
    "4 url": undecorated("url"),
    "4 client": undecorated("client"),
    "5 runner": by_runner,
    "6 decorator, gate_model": decorated("by_model"),
    "in process": undecorated("process"),
}


@pytest.fixture(scope="module")
def expected(photos: dict[str, bytes]) -> dict[str, Verdict]:
    gate = Gate(open_gate(starter_dir()))
    return {name: gate.check(photo) for name, photo in photos.items()}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_verdict(
    way: str,
    detector: Server,
    legacy: Server,
    photos: dict[str, bytes],
    expected: dict[str, Verdict],
) -> None:
    ask = WAYS[way](detector, legacy)
    assert {expected[name].verdict for name in PHOTOS} == {"accept", "retake"}
    for name, photo in photos.items():
        verdict, known = ask(photo), expected[name]
        own = {"plant_probability", "timings_ms", "model"}
        assert verdict.model_dump(exclude=own) == known.model_dump(exclude=own), name
        assert verdict.model == "plantood-gate:starter"
        assert verdict.plant_probability == pytest.approx(known.plant_probability, abs=1e-4), name


@pytest.mark.parametrize("way", ["service", "scorer", "url", "client", "process"])
def test_several_photos_keep_their_order(
    way: str, detector: Server, photos: dict[str, bytes], expected: dict[str, Verdict]
) -> None:
    names = [*PHOTOS, *reversed(PHOTOS)]
    files = [("photos", ("a.jpg", photos[name], "image/jpeg")) for name in names]
    answer = httpx.post(f"{detector.url}/verdicts", files=files, data={"way": way}, timeout=90)
    codes = [[reason["code"] for reason in verdict["reasons"]] for verdict in answer.json()]
    assert codes == [[reason.code for reason in expected[name].reasons] for name in names]


@pytest.mark.parametrize("way", ["service", "scorer", "url", "client"])
def test_the_message_is_in_the_language_asked_for(
    way: str, detector: Server, photos: dict[str, bytes]
) -> None:
    def message(language: str) -> str:
        files = {"photo": ("a.jpg", photos["bare_soil"], "image/jpeg")}
        data = {"way": way, "language": language}
        answer = httpx.post(f"{detector.url}/verdict", files=files, data=data, timeout=90)
        return answer.json()["reasons"][0]["message"]

    assert message("en") != message("fr")
    assert message("fr") == message("xx, fr;q=0.5")


@pytest.mark.parametrize("way", ["service", "scorer", "url", "client", "process"])
def test_a_photo_above_the_limits_is_too_large(way: str, detector: Server) -> None:
    files = {"photo": ("a.jpg", b"\xff\xd8" * (11 << 20), "image/jpeg")}
    answer = httpx.post(f"{detector.url}/verdict", files=files, data={"way": way}, timeout=90)
    verdict = Verdict.model_validate_json(answer.raise_for_status().content)
    assert [reason.code for reason in verdict.reasons] == ["too_large"]
    assert "limit" in verdict.reasons[0].detail


def test_a_sync_method_asks_from_its_thread(detector: Server, photos: dict[str, bytes]) -> None:
    files = {"photo": ("a.jpg", photos["bare_soil"], "image/jpeg")}
    answer = httpx.post(f"{detector.url}/verdict_in_a_thread", files=files, timeout=90)
    assert answer.json()["reasons"][0]["code"] == "not_a_plant"


def test_a_loop_of_ones_own_is_told_what_to_do_and_harms_no_other(
    detector: Server, photos: dict[str, bytes]
) -> None:
    files = {"photo": ("a.jpg", photos["bare_soil"], "image/jpeg")}
    for _ in range(2):
        own = httpx.post(f"{detector.url}/verdict_in_a_loop_of_its_own", files=files, timeout=90)
        assert "anyio.from_thread.run(gate.check, photo)" in own.text, own.text
        answer = httpx.post(f"{detector.url}/verdict_in_a_thread", files=files, timeout=90)
        assert answer.json()["reasons"][0]["code"] == "not_a_plant", answer.text


def test_a_client_of_bentoml_leads_to_its_gate(
    elsewhere: Server, photos: dict[str, bytes], expected: dict[str, Verdict]
) -> None:
    with bentoml.SyncHTTPClient(elsewhere.url) as client:
        verdict = asyncio.run(ComposedGate(client).check(photos["maize_leaf"]))
    known = expected["maize_leaf"]
    assert verdict.plant_probability == pytest.approx(known.plant_probability, abs=1e-4)


def test_the_runner_packs_its_gate_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bentoml build` of a service with the runner, without a word about the model in it."""
    bentofile = tmp_path / "bentofile.yaml"
    bentofile.write_text(
        "service: tests.compose.legacy:service\n"
        "include: [plantood/, tests/__init__.py, tests/compose/__init__.py, "
        "tests/compose/legacy.py]\n"
    )
    bento = bentoml.bentos.build_bentofile(str(bentofile), build_ctx=str(ROOT))
    try:
        packed = [str(model.tag) for model in bento.info.all_models]
        assert packed == ["plantood-gate:starter"]
        assert [runner.name for runner in bento.info.runners] == ["plant-scorer"]
    finally:
        bentoml.bentos.delete(bento.tag)
