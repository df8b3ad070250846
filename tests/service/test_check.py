from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
from PIL import Image

from plantood.verdict import Verdict
from tests.photos import encode
from tests.service.server import SAMPLES, Server

MEBIBYTE = 1 << 20
Post = Callable[..., httpx.Response]


def multipart(http: httpx.Client, photo: bytes, **options: Any) -> httpx.Response:
    return http.post("/check", files={"image": ("photo.jpg", photo, "image/jpeg")}, **options)


def raw(
    http: httpx.Client, photo: bytes, kind: str = "image/jpeg", **options: Any
) -> httpx.Response:
    headers = {"Content-Type": kind} | options.pop("headers", {})
    return http.post("/check", content=photo, headers=headers, **options)


def verdict_of(response: httpx.Response) -> Verdict:
    assert response.status_code == 200, response.text
    return Verdict.model_validate_json(response.content)


@pytest.fixture(params=[multipart, raw], ids=["multipart", "raw"])
def post(request: pytest.FixtureRequest, http: httpx.Client) -> Post:
    return lambda photo, **options: request.param(http, photo, **options)


def test_a_plant_is_accepted(post: Post, plant: bytes) -> None:
    verdict = verdict_of(post(plant))
    assert verdict.verdict == "accept"
    assert verdict.reasons == []
    assert verdict.plant_probability >= verdict.threshold
    assert (verdict.quality.width, verdict.quality.height) == (256, 256)
    assert verdict.model == "plantood-gate:starter"
    assert {"decode", "score"} <= verdict.timings_ms.keys()


def test_bare_soil_is_not_a_plant(post: Post, soil: bytes) -> None:
    verdict = verdict_of(post(soil))
    assert verdict.verdict == "retake"
    assert [reason.code for reason in verdict.reasons] == ["not_a_plant"]
    assert verdict.plant_probability < verdict.threshold


def test_a_photo_refused_for_its_quality_costs_no_forward_pass(post: Post, server: Server) -> None:
    before = server.metrics()
    verdict = verdict_of(post((SAMPLES / "pocket.jpg").read_bytes()))
    after = server.metrics()
    assert verdict.verdict == "retake"
    assert verdict.plant_probability is None
    key = "plantood_plant_probability_count"
    assert after[key] == before[key]


@pytest.mark.parametrize(
    "kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", "x/y"]
)
def test_a_raw_body_may_claim_to_be_anything(http: httpx.Client, plant: bytes, kind: str) -> None:
    assert verdict_of(raw(http, plant, kind)).verdict == "accept"


def _photo(size: tuple[int, int], kind: str) -> bytes:
    return encode(Image.new("L", size, 128), kind)


UNREADABLE = {
    "empty": b"",
    "text": b"hello, this is no photo",
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "corrupt": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40,
    "zeros": bytes(100_000),
    "broken upload": (SAMPLES / "broken_upload.jpg").read_bytes(),
    "cut": (SAMPLES / "maize_leaf.jpg").read_bytes()[:6000],
}


@pytest.mark.parametrize("photo", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_bad_photo_is_unreadable_and_never_an_error(post: Post, photo: bytes) -> None:
    verdict = verdict_of(post(photo))
    assert verdict.verdict == "retake"
    assert [reason.code for reason in verdict.reasons] == ["unreadable"]
    assert verdict.plant_probability is None


def test_every_real_broken_upload_is_unreadable(post: Post, shared: Path) -> None:
    paths = sorted((shared / "data" / "truncated").glob("*.jpg"))
    assert paths
    for path in paths:
        assert verdict_of(post(path.read_bytes())).reasons[0].code == "unreadable", path.name


def test_a_photo_as_the_camera_wrote_it(post: Post, shared: Path) -> None:
    photo = next((shared / "data" / "originals").glob("chilli_field_3000x5355*.jpg"))
    verdict = verdict_of(post(photo.read_bytes()))
    assert (verdict.quality.width, verdict.quality.height) == (3000, 5355)
    assert verdict.plant_probability is not None


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_more_megapixels_than_the_limit_are_a_verdict_that_says_what_to_do(
    post: Post, kind: str
) -> None:
    verdict = verdict_of(post(_photo((11_000, 11_000), kind)))
    assert [reason.code for reason in verdict.reasons] == ["too_large"]
    assert "110" in verdict.reasons[0].detail
    assert "smaller picture size" in verdict.reasons[0].message


def _chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // MEBIBYTE):
        yield b"\xff\xd8" * (MEBIBYTE // 2)


def test_fifty_megabytes_are_413_before_they_are_read(server: Server) -> None:
    """The headers alone are answered: not one byte of the body has been sent."""
    connection = HTTPConnection(*server.address, timeout=5)
    connection.putrequest("POST", "/check")
    connection.putheader("Content-Length", str(50 * MEBIBYTE))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_fifty_megabytes_are_413_with_the_limit_in_the_message(post: Post) -> None:
    response = post(b"\xff\xd8" * (25 * MEBIBYTE))
    assert response.status_code == 413
    assert "20 MB" in response.json()["error"]


def test_fifty_megabytes_in_chunks_are_413(http: httpx.Client) -> None:
    response = http.post("/check", content=_chunks(50 * MEBIBYTE))
    assert "content-length" not in response.request.headers
    assert response.status_code == 413
    assert "20 MB" in response.json()["error"]


def test_huge_uploads_at_once_leave_memory_bounded_and_the_service_alive(
    server: Server, http: httpx.Client, plant: bytes
) -> None:
    server.reset_peak_memory()
    base = server.peak_memory("PlantGate")
    bomb = _photo((11_000, 11_000), "JPEG")
    padded = plant + bytes(19 * MEBIBYTE)

    def attack(number: int) -> int:
        content = [bomb, _chunks(50 * MEBIBYTE), padded][number % 3]
        return httpx.post(f"{server.url}/check", content=content, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(attack, range(24))) == {413, 200}
    # Two are read and decoded, with three copies of 20 MiB; eight arrive, 4 MiB each in memory. The
    # rest is what the allocator keeps of what was freed, which is up to 60 MiB, as it happens.
    assert server.peak_memory("PlantGate") - base < 200 * MEBIBYTE
    assert verdict_of(raw(http, plant)).verdict == "accept"


def test_eight_twelve_megapixel_photos_at_once(server: Server, plant: bytes) -> None:
    with Image.open(io.BytesIO(plant)) as image:
        large = encode(image.resize((4032, 3024)))
    server.reset_peak_memory()
    base = server.peak_memory("PlantGate")

    def post(_: int) -> Verdict:
        return verdict_of(httpx.post(f"{server.url}/check", content=large, timeout=60))

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(post, range(16)))
    assert len({verdict.plant_probability for verdict in verdicts}) <= 2  # batches may differ
    assert (
        max(v.plant_probability for v in verdicts) - min(v.plant_probability for v in verdicts)
        < 1e-4
    )
    assert server.peak_memory("PlantGate") - base < 150 * MEBIBYTE


def test_a_missing_photo_is_400_and_says_what_to_send(http: httpx.Client, plant: bytes) -> None:
    answers = [
        http.post("/check"),
        http.post("/check", json={"image": "http://example.org/a.jpg"}),
        http.post("/check", files={"photo": plant}),
        http.post("/check", data={"image": "photo.jpg"}, files={"other": plant}),
        http.post("/check", content=b"x", headers={"Content-Type": "multipart/form-data"}),
        http.post(
            "/check", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"}
        ),
        http.post("/check", files=[("image", plant), ("image", plant)]),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.json().keys() == {"error"}
    assert all("curl -F image=@photo.jpg" in answer.json()["error"] for answer in answers[:4])


def test_pickles_are_refused_unread(http: httpx.Client) -> None:
    answer = raw(http, b"\x80\x04.", "application/vnd.bentoml+pickle")
    assert answer.status_code == 415
    assert answer.json().keys() == {"error"}


def test_other_errors_are_json_too(http: httpx.Client) -> None:
    assert http.get("/nowhere").status_code == 404
    assert http.get("/check").status_code == 405
    for answer in (http.get("/nowhere"), http.get("/check")):
        assert answer.json()["error"].endswith(".")


def test_refusals_leave_no_stack_trace_in_the_log(
    server: Server, http: httpx.Client, plant: bytes
) -> None:
    http.post("/check")
    http.post("/check", content=_chunks(50 * MEBIBYTE))
    assert "Traceback" not in server.output


def _message(response: httpx.Response) -> str:
    return verdict_of(response).reasons[0].message


def test_the_message_is_in_the_language_asked_for(http: httpx.Client, soil: bytes) -> None:
    english = _message(raw(http, soil))
    french = _message(raw(http, soil, params={"language": "fr"}))
    assert french != english
    assert (
        _message(raw(http, soil, headers={"Accept-Language": "xx, fr;q=0.8, en;q=0.5"})) == french
    )
    assert _message(multipart(http, soil, data={"language": "fr"})) == french
    form_first = multipart(http, soil, data={"language": "fr"}, headers={"Accept-Language": "en"})
    assert _message(form_first) == french
    assert _message(raw(http, soil, params={"language": "xx"})) == english


def test_bentoml_clients_can_call_it(server: Server, plant: bytes) -> None:
    path = SAMPLES / "maize_leaf.jpg"
    with bentoml.SyncHTTPClient(server.url) as client:
        assert client.check(image=path)["verdict"] == "accept"
        assert client.check(image=str(SAMPLES / "bare_soil.jpg"), language="fr")["reasons"]
        answers = client.check_batch(images=[path, SAMPLES / "bare_soil.jpg"])
    assert [answer["verdict"] for answer in answers] == ["accept", "retake"]


MISTAKES = {
    "base64": (base64.b64encode, "image/jpeg", "base64"),
    "base64 of a png": (
        lambda _: base64.b64encode(_photo((9, 9), "PNG")),
        "text/plain",
        "base64",
    ),
    "data url": (
        lambda photo: b"data:image/jpeg;base64," + base64.b64encode(photo),
        "text/plain",
        "data URL",
    ),
    "gzip": (gzip.compress, "image/jpeg", "gzip"),
    "json": (lambda _: b'{"image": "a.jpg"}', "text/plain", "JSON"),
    "curl -d @photo": (
        lambda photo: photo.replace(b"\n", b"").replace(b"\r", b"") + b"\0",
        "application/x-www-form-urlencoded",
        "--data-binary",
    ),
    "curl -d image=@photo": (
        lambda _: b"image=@leaf.jpg",
        "application/x-www-form-urlencoded",
        "missing @",
    ),
    "another multipart": (
        lambda photo: b"--b\r\n\r\n" + photo + b"\r\n--b--\r\n",
        "multipart/mixed; boundary=b",
        "multipart/form-data",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_the_client_s_author_has_to_mend_is_not_told_to_the_farmer(
    http: httpx.Client, plant: bytes, mistake: str
) -> None:
    make, kind, says = MISTAKES[mistake]
    answer = raw(http, make(plant), kind)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]


def test_base64_in_a_form_is_named_too(http: httpx.Client, plant: bytes) -> None:
    answer = multipart(http, base64.b64encode(plant))
    assert (answer.status_code, "base64" in answer.json()["error"]) == (400, True)


def test_a_part_without_a_file_name_but_of_a_photo_s_type_is_a_file(
    http: httpx.Client, plant: bytes
) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="image"\r\nContent-Type: image/jpeg\r\n\r\n'
        + plant
        + b"\r\n--b--\r\n"
    )
    assert verdict_of(raw(http, body, "multipart/form-data; boundary=b")).verdict == "accept"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"FUJIFILMCCD-RAW ", "a raw photo"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "a video"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_a_format_that_no_phone_sends_is_named(http: httpx.Client, start: bytes, name: str) -> None:
    verdict = verdict_of(raw(http, start + bytes(100)))
    assert verdict.reasons[0].code == "unreadable"
    assert f"this is {name}" in verdict.reasons[0].detail
