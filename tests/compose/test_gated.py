"""The decorator on real services, by HTTP and by BentoML's own clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
from PIL import Image

from plantood.verdict import Verdict
from tests.photos import encode
from tests.service.server import SAMPLES, Server

FORMS = ("as_path", "as_loaded", "as_loaded_twice", "by_scorer", "by_service")
Photos = dict[str, bytes]


def multipart(http: httpx.Client, api: str, photo: bytes, **options: Any) -> httpx.Response:
    return http.post(f"/{api}", files={"image": ("leaf.jpg", photo, "image/jpeg")}, **options)


def raw(http: httpx.Client, api: str, photo: bytes, **options: Any) -> httpx.Response:
    return http.post(f"/{api}", content=photo, **options)


def code_of(body: dict[str, Any]) -> str:
    return Verdict.model_validate(body).reasons[0].code.value


def calls(http: httpx.Client) -> int:
    return http.post("/how_often", json={}).json()


@pytest.mark.parametrize("post", [multipart, raw])
@pytest.mark.parametrize("api", FORMS)
def test_only_accepted_photos_reach_the_method(
    http: httpx.Client, photos: Photos, api: str, post: Any
) -> None:
    accepted = post(http, api, photos["maize_leaf"])
    assert accepted.status_code == 200, accepted.text
    assert "form" in accepted.json()
    refused = {name: post(http, api, photos[name]) for name in photos if name != "maize_leaf"}
    status = 422 if api == "as_loaded_twice" else 200
    assert {answer.status_code for answer in refused.values()} == {status}
    assert {name: code_of(answer.json()) for name, answer in refused.items()} == {
        "bare_soil": "not_a_plant",
        "pocket": "too_dark",
        "broken_upload": "unreadable",
    }


JUNK = [b"", b"\xff\xd8\xff\xe0" + bytes(9000), b"<html>", bytes(5000)]


@pytest.mark.parametrize("junk", JUNK, ids=["empty", "cut", "html", "zeros"])
@pytest.mark.parametrize("api", FORMS)
def test_what_is_no_photo_is_a_verdict(http: httpx.Client, api: str, junk: bytes) -> None:
    jpeg = {"Content-Type": "image/jpeg"}
    assert code_of(multipart(http, api, junk).json()) == "unreadable"
    assert code_of(raw(http, api, junk, headers=jpeg).json()) == "unreadable"


def rotated(size: tuple[int, int] = (1200, 900)) -> bytes:
    """A phone's photo: stored lying, with the note that it stands."""
    with Image.open(SAMPLES / "maize_leaf.jpg") as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        return encode(image.resize(size), exif=exif, quality=95)


def test_a_pillow_image_is_whole_and_upright(http: httpx.Client) -> None:
    answer = multipart(http, "as_pil", rotated(), data={"crop": "maize"})
    assert answer.json() | {"verdict": None} == {
        "form": "RGB",
        "size": [900, 1200],
        "note": "maize 1",
        "together": 1,
        "verdict": None,
    }


@pytest.mark.parametrize("api", ["as_loaded", "as_loaded_twice"])
def test_a_loaded_image_is_upright_and_reduced(http: httpx.Client, api: str) -> None:
    seen = multipart(http, api, rotated()).json()
    assert seen["form"] == "900x1200"
    assert seen["size"] == [450, 600]


def test_a_path_is_a_file_of_the_request_and_gone_afterwards(
    http: httpx.Client, photos: Photos
) -> None:
    seen = multipart(http, "as_path", photos["maize_leaf"]).json()
    assert (seen["size"], seen["note"]) == ([256, 256], ".jpg")
    assert not Path(seen["form"]).exists()
    assert not Path(seen["form"]).parent.exists()
    with Image.open(SAMPLES / "maize_leaf.jpg") as image:
        png = encode(image, "PNG")
    assert raw(http, "as_path", png).json()["note"] == ".png"


def test_other_parameters_come_from_the_form_or_the_query(
    http: httpx.Client, photos: Photos
) -> None:
    plant = photos["maize_leaf"]
    for crop, text in {"maize": "maize", "5": "5", "true": "true", '"maize"': "maize"}.items():
        given = {"crop": crop, "leaves": "3"}
        form = multipart(http, "as_pil", plant, data=given)
        query = raw(http, "as_pil", plant, params=given)
        assert form.json()["note"] == query.json()["note"] == f"{text} 3"


@pytest.mark.parametrize("data", [{}, {"crop": "maize", "leaves": "0"}, {"crop": "maize", "x": 1}])
def test_wrong_parameters_are_400_before_the_photo_is_judged(
    http: httpx.Client, detector: Server, photos: Photos, data: dict[str, Any]
) -> None:
    before = calls(http)
    status = multipart(http, "as_pil", photos["maize_leaf"], data=data).status_code
    assert status == (200 if "x" in data else 400)  # BentoML ignores what it does not know
    assert calls(http) - before == (1 if "x" in data else 0)


def test_a_request_without_a_photo_is_400_with_a_sentence(
    http: httpx.Client, detector: Server, photos: Photos
) -> None:
    plant = photos["maize_leaf"]
    form = {"Content-Type": "multipart/form-data"}
    log = len(detector.output)
    answers = [
        http.post("/by_scorer"),
        http.post("/by_scorer", json={"image": "http://example.org/leaf.jpg"}),
        http.post("/by_scorer", files={"photo": plant}),
        http.post("/by_scorer", data={"image": "leaf.jpg"}, files={"other": plant}),
        http.post("/by_scorer", files=[("image", plant), ("image", plant)]),
        http.post("/by_scorer", content=b"x", headers=form),
        http.post("/many_bytes", content=plant),
        http.post("/many_bytes", files={"photos": plant}),
        http.post("/many_bytes", files=[("images", plant)] * 17),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"].endswith((".", "URL).")), answer.text
    assert "curl -F image=@photo.jpg" in answers[0].json()["error"]
    assert "curl -F images=@first.jpg" in answers[6].json()["error"]
    assert "Traceback" not in detector.output[log:]


def test_an_upload_above_the_limit_is_413(http: httpx.Client) -> None:
    large = b"\xff\xd8" * (15 << 20)
    chunks = (large[at : at + (1 << 20)] for at in range(0, len(large), 1 << 20))
    for answer in (
        multipart(http, "by_scorer", large),
        raw(http, "by_scorer", large),
        http.post("/by_scorer", content=chunks),
    ):
        assert (answer.status_code, "20 MB" in answer.json()["error"]) == (413, True)


def test_the_language_of_the_messages(http: httpx.Client, photos: Photos) -> None:
    soil = photos["bare_soil"]

    def message(answer: httpx.Response) -> str:
        return answer.json()["reasons"][0]["message"]

    english = message(raw(http, "by_scorer", soil))
    french = message(raw(http, "by_scorer", soil, params={"language": "fr"}))
    assert french != english
    assert message(multipart(http, "by_scorer", soil, data={"language": "fr"})) == french
    accept = {"Accept-Language": "xx, fr;q=0.5"}
    assert message(raw(http, "by_service", soil, headers=accept)) == french


def test_the_default_of_a_parameter_is_nobodys_wish(http: httpx.Client, photos: Photos) -> None:
    def message(answer: httpx.Response) -> str:
        return answer.json()["reasons"][0]["message"]

    soil, french = photos["bare_soil"], {"Accept-Language": "fr"}
    wanted = {
        language: message(raw(http, "by_scorer", soil, params={"language": language}))
        for language in ("en", "fr", "sw")
    }
    for send in (raw, multipart):
        assert message(send(http, "in_a_language", soil)) == wanted["en"]
        assert message(send(http, "in_a_language", soil, headers=french)) == wanted["fr"]
        asked = send(http, "in_a_language", soil, params={"language": "fr"})
        assert message(asked) == wanted["fr"]
    field = multipart(http, "in_a_language", soil, data={"language": "sw"}, headers=french)
    assert message(field) == wanted["sw"]
    plant = photos["maize_leaf"]
    assert multipart(http, "in_a_language", plant).json()["note"] == "sw"
    given = multipart(http, "in_a_language", plant, data={"language": "fr"})
    assert given.json()["note"] == "fr"


def test_the_context_still_sets_headers(http: httpx.Client, photos: Photos) -> None:
    accepted = raw(http, "as_loaded", photos["maize_leaf"])
    assert accepted.headers["X-Detector"] == "seen"
    assert raw(http, "as_loaded", photos["bare_soil"]).status_code == 200


def test_a_method_that_takes_nothing_else(http: httpx.Client, photos: Photos) -> None:
    plant = photos["maize_leaf"]
    expected = f"{len(plant)} bytes"
    assert raw(http, "positional", plant).json()["form"] == expected
    assert multipart(http, "positional", plant).json()["form"] == expected


def test_another_file_beside_the_photo(http: httpx.Client, photos: Photos) -> None:
    files = {"image": photos["maize_leaf"], "mask": b"a mask"}
    answer = http.post("/with_a_mask", files=files, data={"threshold": "0.25"})
    assert answer.json()["form"] == "b'a mask' 0.25"
    missing = http.post("/with_a_mask", files={"image": photos["maize_leaf"]})
    assert missing.status_code == 400
    for name in ("m" * 300 + ".png", "\u00e9" * 200 + ".png"):
        files["mask"] = (name, b"a mask")
        answer = http.post("/with_a_mask", files=files, data={"threshold": "0.25"})
        assert answer.json()["form"] == "b'a mask' 0.25 .png", answer.text


def test_several_photos_of_one_call_must_all_be_accepted(
    http: httpx.Client, photos: Photos
) -> None:
    def send(**sent: str) -> httpx.Response:
        files = {name: ("a.jpg", photos[photo], "image/jpeg") for name, photo in sent.items()}
        return http.post("/of_both", files=files, data={"note": "both"})

    both = send(leaf="maize_leaf", field="maize_leaf").json()
    assert (both["form"], both["size"], both["together"]) == ("both", [256, 256], 2)
    assert both["verdict"]["verdict"] == "accept"
    before = http.post("/how_often", json={}).json()
    for name, code in (("bare_soil", "not_a_plant"), ("broken_upload", "unreadable")):
        for at in ("leaf", "field"):
            refused = send(**{"leaf": "maize_leaf", "field": "maize_leaf", at: name}).json()
            assert code_of(refused) == code
            assert refused["reasons"][0]["detail"].startswith(at)
    assert http.post("/how_often", json={}).json() == before
    missing = send(leaf="maize_leaf")
    assert missing.status_code == 400
    assert "curl -F leaf=@leaf.jpg -F field=@field.jpg" in missing.json()["error"]
    raw_body = raw(http, "of_both", photos["maize_leaf"])
    assert raw_body.status_code == 400


def test_an_output_that_is_text(http: httpx.Client, photos: Photos) -> None:
    accepted = raw(http, "as_text", photos["maize_leaf"])
    assert (accepted.text, accepted.headers["Content-Type"]) == (
        "rust",
        "text/plain; charset=utf-8",
    )
    refused = raw(http, "as_text", photos["bare_soil"])
    assert (refused.status_code, code_of(refused.json())) == (422, "not_a_plant")


def several(http: httpx.Client, api: str, photos: list[bytes]) -> list[dict[str, Any]]:
    files = [("images", ("leaf.jpg", photo, "image/jpeg")) for photo in photos]
    return http.post(f"/{api}", files=files).raise_for_status().json()


@pytest.mark.parametrize("api", ["many_bytes", "many_paths", "batchable"])
def test_several_photos_keep_their_order_and_only_the_good_ones_go_on(
    http: httpx.Client, photos: Photos, api: str
) -> None:
    names = ["bare_soil", "maize_leaf", "broken_upload", "maize_leaf", "pocket"]
    answers = several(http, api, [photos[name] for name in names])
    kinds = ["form" if "form" in answer else code_of(answer) for answer in answers]
    assert kinds == ["not_a_plant", "form", "unreadable", "form", "too_dark"]
    assert [answer["together"] for answer in answers if "form" in answer] == [2, 2]


def test_the_verdicts_of_several_photos_are_those_of_the_accepted_ones(
    http: httpx.Client, photos: Photos
) -> None:
    before = calls(http)
    answers = several(http, "many_bytes", [photos["bare_soil"], photos["maize_leaf"]])
    assert answers[1]["verdict"]["verdict"] == "accept"
    assert answers[1]["form"] == str(len(photos["maize_leaf"]))
    assert calls(http) - before == 1


def test_the_method_is_not_called_if_no_photo_is_accepted(
    http: httpx.Client, photos: Photos
) -> None:
    before = calls(http)
    answers = several(http, "many_bytes", [photos["bare_soil"], photos["pocket"]])
    assert [code_of(answer) for answer in answers] == ["not_a_plant", "too_dark"]
    assert calls(http) == before


def test_a_method_that_loses_an_output_is_an_error(
    http: httpx.Client, detector: Server, photos: Photos
) -> None:
    answer = http.post("/too_few", files=[("images", photos["maize_leaf"])] * 2)
    assert answer.status_code == 500
    assert "too_few returned 0 outputs for 2 photos" in detector.output


def test_batchable_requests_travel_together_each_with_its_own_language(
    detector: Server, photos: Photos
) -> None:
    def post(number: int) -> list[dict[str, Any]]:
        files = [("images", photos["bare_soil" if number % 2 else "maize_leaf"])]
        params = {"language": "fr" if number % 4 == 1 else "en"}
        answer = httpx.post(f"{detector.url}/batchable", files=files, params=params, timeout=90)
        return answer.raise_for_status().json()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(post, range(48)))
    assert all(len(answer) == 1 for answer in answers)
    assert all(("form" in answer[0]) == (not number % 2) for number, answer in enumerate(answers))
    assert max(answer[0].get("together", 1) for answer in answers) > 1
    french = {answers[n][0]["reasons"][0]["message"] for n in range(1, 48, 4)}
    english = {answers[n][0]["reasons"][0]["message"] for n in range(3, 48, 4)}
    assert len(french) == len(english) == 1
    assert french != english


def test_a_mistake_among_merged_requests_is_its_senders_alone(
    detector: Server, photos: Photos
) -> None:
    plant, soil = photos["maize_leaf"], photos["bare_soil"]
    sent = {
        "plant": [("images", plant)],
        "both": [("images", soil), ("images", plant)],
        "another field": [("other", plant)],
        "text among photos": [("images", plant), ("images", b"data:image/jpeg;base64,/9j/")],
        "text": [("images", b"data:image/jpeg;base64,/9j/")],
    }

    def post(number: int) -> tuple[str, httpx.Response]:
        name = list(sent)[number % len(sent)]
        return name, httpx.post(f"{detector.url}/batchable", files=sent[name], timeout=90)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(post, range(80)))
    for name, answer in answers:
        if name in ("plant", "both"):
            assert answer.status_code == 200, answer.text
            kinds = ["form" if "form" in one else code_of(one) for one in answer.json()]
            assert kinds == {"plant": ["form"], "both": ["not_a_plant", "form"]}[name]
        else:
            assert answer.status_code == 400, answer.text
            missing = "`images` is missing" if name == "another field" else "a data URL"
            assert missing in answer.json()["error"], answer.text
    assert (
        max(answer.json()[0].get("together", 1) for name, answer in answers if name == "plant") > 1
    )


def test_a_sync_method_runs_in_one_thread_at_a_time_beside_the_event_loop(
    detector: Server, photos: Photos
) -> None:
    def post(_: int) -> int:
        params = {"crop": "maize"}
        return httpx.post(
            f"{detector.url}/as_pil", content=photos["maize_leaf"], params=params, timeout=90
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(post, range(24))) == {200}
    threads = httpx.post(f"{detector.url}/in_which_threads", json={}).json()
    assert threads
    assert "MainThread" not in threads


def test_eight_twelve_megapixel_photos_at_once_are_decoded_one_by_one(detector: Server) -> None:
    photo = rotated((4032, 3024))
    detector.reset_peak_memory()
    base = detector.peak_memory("tests.compose.detectors:Detector")

    def post(_: int) -> list[int]:
        params = {"crop": "maize"}
        url = f"{detector.url}/as_pil"
        return httpx.post(url, content=photo, params=params, timeout=90).json()["size"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(post, range(16))) == [[3024, 4032]] * 16
    peak = detector.peak_memory("tests.compose.detectors:Detector")
    assert peak - base < 200 << 20  # one of them is 36 MB, and twice that while it is turned


def test_bentoml_clients_call_it_as_any_other_api(detector: Server) -> None:
    leaf, soil = SAMPLES / "maize_leaf.jpg", SAMPLES / "bare_soil.jpg"
    with bentoml.SyncHTTPClient(detector.url, timeout=90) as client:
        assert client.as_pil(image=leaf, crop="maize", leaves=2)["note"] == "maize 2"
        assert client.as_pil(leaf, "bean")["note"] == "bean 1"
        assert code_of(client.as_pil(image=str(soil), crop="maize")) == "not_a_plant"
        answers = client.many_bytes(images=[soil, leaf])
        assert [code_of(answers[0]), answers[1]["together"]] == ["not_a_plant", 1]
        with pytest.raises(bentoml.exceptions.BentoMLException, match="not_a_plant"):
            client.as_loaded_twice(image=soil)
        french = client.in_a_language(image=soil, language="fr")
        assert french["reasons"][0]["message"].startswith("Nous ne voyons")
        with pytest.raises(TypeError, match="language"):  # as the document says
            client.by_scorer(image=soil, language="fr")


def test_other_services_of_the_bento_call_it(http: httpx.Client, plant_path: Path) -> None:
    answers = http.post("/ask_inner", json={"path": str(plant_path)}).raise_for_status().json()
    assert [answers[0]["form"], answers[0]["note"]] == ["bytes", "from Python"]
    assert [answer.get("together") for answer in answers[1:]] == [2, 2, None]
    assert answers[1]["size"] == [256, 256]
    assert code_of(answers[3]) == "unreadable"
    soil = str(SAMPLES / "bare_soil.jpg")
    answers = http.post("/ask_inner", json={"path": soil}).raise_for_status().json()
    assert [code_of(answer) for answer in answers] == ["not_a_plant"] * 2 + ["not_a_plant"] + [
        "unreadable"
    ]
    assert answers[0]["reasons"][0]["message"].startswith("We cannot see a plant")  # not Swahili


def test_openapi_shows_both_outcomes(http: httpx.Client) -> None:
    document = http.get("/docs.json").json()

    def schema_of(path: str) -> dict[str, Any]:
        answer = document["paths"][path]["post"]["responses"]["200"]
        return answer["content"]["application/json"]["schema"]

    both = [{"$ref": "#/components/schemas/Verdict"}, {"$ref": "#/components/schemas/Seen"}]
    assert schema_of("/as_pil") == {"anyOf": both}
    assert schema_of("/many_bytes") == {"type": "array", "items": {"anyOf": both}}
    text = document["paths"]["/as_text"]["post"]["responses"]["200"]["content"]
    assert text == {"text/plain": {"schema": {"type": "string"}}}
    schemas = document["components"]["schemas"]
    assert {"Verdict", "Reason", "Quality", "Seen", "as_pil__Input"} <= schemas.keys()
    pil = document["paths"]["/as_pil"]["post"]
    assert pil["description"].startswith("Name the disease.")
    body = pil["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert body["properties"]["image"]["format"] == "binary"
    assert body["required"] == ["image", "crop"]
    assert "verdict" not in document["components"]["schemas"]["by_scorer__Input"]["properties"]
    assert "422" in document["paths"]["/as_loaded_twice"]["post"]["description"]
    assert "in place of an output" in document["paths"]["/many_bytes"]["post"]["description"]


def test_nothing_is_left_in_the_temporary_folder(
    http: httpx.Client, photos: Photos, temporary: Path
) -> None:
    raw(http, "as_path", photos["maize_leaf"])
    several(http, "many_paths", [photos["maize_leaf"]] * 3)
    assert not list(temporary.glob("plantood-*"))
