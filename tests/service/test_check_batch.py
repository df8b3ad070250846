from __future__ import annotations

import httpx

from tests.security import payloads


def _form(*photos: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("images", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]


def test_verdicts_come_in_order_and_a_bad_photo_spoils_no_other(
    http: httpx.Client, plant: bytes, soil: bytes
) -> None:
    bomb = payloads.flat("PNG", 11_000, 11_000, "L")
    photos = [soil, b"text", plant, bomb, b"", plant[:6000], plant]
    answer = http.post("/check_batch", files=_form(*photos))
    assert answer.status_code == 200, answer.text
    assert [
        verdict["reasons"][0]["code"] if verdict["reasons"] else "accept"
        for verdict in answer.json()
    ] == ["not_a_plant", "unreadable", "accept", "too_large", "unreadable", "unreadable", "accept"]


def test_a_photo_gets_the_same_verdict_alone_and_in_a_batch(
    http: httpx.Client, plant: bytes, soil: bytes
) -> None:
    batch = http.post("/check_batch", files=_form(plant, soil)).json()
    for photo, in_batch in zip((plant, soil), batch, strict=True):
        alone = http.post("/check", content=photo).json()
        assert abs(alone.pop("plant_probability") - in_batch.pop("plant_probability")) < 1e-4
        del alone["timings_ms"], in_batch["timings_ms"]
        assert alone == in_batch


def test_a_batch_may_have_more_photos_than_a_forward_pass(http: httpx.Client, plant: bytes) -> None:
    answer = http.post("/check_batch", files=_form(*[plant] * 16))
    assert [verdict["verdict"] for verdict in answer.json()] == ["accept"] * 16


def test_too_many_photos_are_400_with_the_limit(http: httpx.Client, plant: bytes) -> None:
    answer = http.post("/check_batch", files=_form(*[plant] * 17))
    assert answer.status_code == 400
    assert "16" in answer.json()["error"]


def test_without_photos_it_says_what_to_send(http: httpx.Client, plant: bytes) -> None:
    for answer in (
        http.post("/check_batch"),
        http.post("/check_batch", files={"image": plant}),
        http.post("/check_batch", content=plant, headers={"Content-Type": "image/jpeg"}),
    ):
        assert answer.status_code == 400
        assert "curl -F images=@first.jpg" in answer.json()["error"]
