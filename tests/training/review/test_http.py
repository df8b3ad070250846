"""The server over real HTTP: what it takes, what it refuses, and from whom."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from plantood.training.review.client import ReviewClient, ReviewRefused
from plantood.training.rounds.layout import LABELS, Round
from tests.training.conftest import csv_rows
from tests.training.review.rounds import make_round
from tests.training.review.serving import ROOT, ReviewServer, reviewing, start

TOKEN = "a token of sixteen or more"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    with reviewing(make_round(tmp_path_factory.mktemp("http") / "round-1", 6).path) as server:
        yield server


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """One that listens beyond loopback, with a token of its own making."""
    round_ = make_round(tmp_path_factory.mktemp("open") / "round-1", 3)
    with reviewing(round_.path, "--host", "0.0.0.0", "--allow-host", "fields.example") as server:
        yield server


@pytest.fixture
def http(server: ReviewServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def test_a_script_labels_as_a_reviewer_would(server: ReviewServer) -> None:
    with ReviewClient(server.url, "  Anna   B.") as anna, ReviewClient(server.url, "ben") as ben:
        first, second, third, *_ = (photo["id"] for photo in anna.photos())
        entry = anna.label(first, "other", "no_plant", seen=0)
        assert (entry["number"], entry["reviewer"], entry["origin"]) == (1, "Anna B.", "review")
        ben.label(first, "other", "no_plant")
        ben.label(second, "plant")
        ben.label(third, "plant")
        anna.label(second, "plant")
        anna.label(third, "unsure")
        ben.undo(third)
        assert len(anna.decisions(after=2)) == 5
        with pytest.raises(ReviewRefused, match="in the meantime"):
            anna.label(first, "plant", seen=0)
        with pytest.raises(ReviewRefused, match="no label on this photo"):
            ben.undo(third)
        summary = anna.summary()
    assert summary["reviewers"] == ["Anna B.", "ben"]
    (pair,) = summary["agreement"]
    interval = [pytest.approx(0.342, abs=5e-4), 1.0]
    assert (pair["photos"], pair["now"]) == (2, {"share": 1.0, "interval": interval, "kappa": 1.0})
    assert [look["id"] for look in summary["second_looks"]] == []
    rows = csv_rows(server.round / LABELS)
    assert {row["id"]: (row["label"], row["reviewers"]) for row in rows} == {
        first: ("other", "Anna B.+ben"),
        second: ("plant", "Anna B.+ben"),
    }


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"label": "weed"}, 400, "label: Input should be 'plant', 'other' or 'unsure'"),
        ({"label": "plant", "kind": "unfit"}, 400, "only an other has a kind"),
        ({"reviewer": " "}, 400, "1 to 64 characters"),
        ({"reviewer": "=1+1"}, 400, "begins with a letter"),
        ({"id": "f" * 64}, 404, "There is no photo"),
        ({"id": "../../etc/passwd"}, 404, "There is no photo"),
        ({"more": 1}, 400, "more: Extra inputs"),
        ({"seen": 0, "kind": "x" * 70_000}, 413, "That is no decision"),
    ],
)
def test_what_is_no_decision_is_refused(
    http: httpx.Client, change: dict[str, object], status: int, message: str
) -> None:
    photo = http.get("/api/round").json()["photos"][5]["id"]
    before = http.get("/api/decisions").json()["number"]
    body = {"reviewer": "anna", "id": photo, "label": "plant"} | change
    answer = http.post("/api/labels", json=body)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert http.get("/api/decisions").json()["number"] == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Host": "evil.example"},  # its name was made to point here
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Content-Type": "text/plain"},  # what a form can send
    ],
)
def test_other_sites_can_neither_read_nor_decide(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    photo = http.get("/api/round").json()["photos"][5]["id"]
    body = f'{{"reviewer": "eve", "id": "{photo}", "label": "plant"}}'
    headers = {"Content-Type": "application/json"} | headers
    answer = http.post("/api/labels", content=body, headers=headers)
    assert answer.status_code in (403, 415, 421, 400)
    assert all(d["reviewer"] != "eve" for d in http.get("/api/decisions").json()["decisions"])
    if "Host" in headers:
        assert http.get("/api/round", headers=headers).status_code in (400, 421)


def test_the_page_itself_may_decide(http: httpx.Client, server: ReviewServer) -> None:
    photo = http.get("/api/round").json()["photos"][4]["id"]
    body = {"reviewer": "anna", "id": photo, "label": "plant"}
    for host in ("127.0.0.1", "localhost"):
        own = {"Host": f"{host}:{server.port}", "Origin": f"http://{host}:{server.port}"}
        assert http.post("/api/labels", json=body, headers=own).status_code == 200
    modern = {"Sec-Fetch-Site": "same-origin"}
    assert http.post("/api/labels", json=body, headers=modern).status_code == 200


def test_headers_keep_others_out(http: httpx.Client) -> None:
    photo = http.get("/api/round").json()["photos"][0]["id"]
    for path in ("/", "/app.js", "/api/round", f"/thumbnails/{photo}", "/nothing"):
        headers = http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert http.get("/api/round").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("size", ["thumbnails", "previews", "photos"])
def test_photos_are_kept_by_the_browser(http: httpx.Client, size: str) -> None:
    photo = http.get("/api/round").json()["photos"][0]["id"]
    answer = http.get(f"/{size}/{photo}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["cache-control"].startswith("private")
    again = http.get(f"/{size}/{photo}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get(f"/{size}/{'f' * 64}").status_code == 404
    assert http.get(f"/{size}/..%2f..%2fround.json").status_code == 404


def test_only_the_photos_of_the_round_are_served(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round", 3)
    link, pipe, whole = round_.mined()
    (tmp_path / "secret").write_text("secret")
    for photo in (link, pipe):
        (round_.path / photo.file).unlink()
    (round_.path / link.file).symlink_to(tmp_path / "secret")
    os.mkfifo(round_.path / pipe.file)
    with reviewing(round_.path) as server:
        for size in ("thumbnails", "previews", "photos"):
            for photo in (link, pipe):
                answer = httpx.get(f"{server.url}{size}/{photo.id}", timeout=20)
                assert answer.status_code == 404
                assert "no file that can be read" in answer.json()["error"]
            assert httpx.get(f"{server.url}{size}/{whole.id}").status_code == 200
        assert "Traceback" not in server.log.read_text()


def test_a_photo_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round", 5)
    empty, broken, cut_off, wide, large = round_.mined()
    pixels = b"\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0"
    content = {
        empty: b"",
        broken: b"\xff\xd8\xff\xe0" + bytes(1000),
        cut_off: (round_.path / cut_off.file).read_bytes()[:2000],
        wide: b"\x89PNG\r\n\x1a\n" + pixels + zlib.crc32(pixels[4:]).to_bytes(4, "big"),
        large: b"",
    }
    for photo, data in content.items():
        (round_.path / photo.file).write_bytes(data)
    os.truncate(round_.path / large.file, 100_000_000)
    with reviewing(round_.path) as server:
        for size in ("thumbnails", "previews"):
            for photo in content:
                answer = httpx.get(f"{server.url}{size}/{photo.id}", timeout=20)
                assert (answer.status_code, answer.json().keys()) == (422, {"error"})
        assert "Traceback" not in server.log.read_text()


def test_a_photo_and_its_size(http: httpx.Client, server: ReviewServer) -> None:
    photo = Round.open(server.round).mined()[0]
    content = (server.round / photo.file).read_bytes()
    for headers in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=x"}):
        answer = http.get(f"/photos/{photo.id}", headers=headers)
        assert (answer.status_code, answer.content) == (200, content)
    head = http.head(f"/photos/{photo.id}")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    assert head.content == b""


def test_beyond_loopback_a_token_is_asked_for(open_server: ReviewServer) -> None:
    assert len(open_server.urls) == 2  # this machine, and its name for others
    plain, _, token = open_server.url.partition("?token=")
    assert len(token) >= 43  # 256 bits
    for path in ("", "api/round", "app.js", "thumbnails/x", "?token=wrong", "?token="):
        answer = httpx.get(plain + path)
        assert answer.status_code == 401, path
        assert token not in answer.text
    wrong = {"Authorization": "Bearer wrong", "Cookie": f"plantood_review_{open_server.port}=x"}
    assert httpx.get(f"{plain}api/round", headers=wrong).status_code == 401
    right = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{plain}api/round", headers=right).status_code == 200
    with ReviewClient(open_server.url, "anna") as client:
        client.label(client.photos()[0]["id"], "plant")
    with ReviewClient(plain, "anna") as client, pytest.raises(ReviewRefused, match="token"):
        client.photos()


def test_the_token_moves_from_the_address_into_a_cookie(open_server: ReviewServer) -> None:
    with httpx.Client() as browser:
        moved = browser.get(open_server.url)
        assert (moved.status_code, moved.headers["location"]) == (303, "/")
        cookie = moved.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get(open_server.url.partition("?")[0]).status_code == 200
    token = open_server.url.partition("=")[2]
    elsewhere = httpx.get(f"{open_server.url.partition('?')[0]}/evil.example?token={token}")
    assert "location" not in elsewhere.headers


def test_names_of_this_machine_are_known_beyond_loopback(open_server: ReviewServer) -> None:
    for host, status in (
        (socket.gethostname(), 200),
        ("192.0.2.7:8400", 200),
        ("[2001:db8::7]:8400", 200),
        ("fields.example", 200),
        ("evil.example", 421),
    ):
        token = open_server.url.partition("=")[2]
        headers = {"Host": host, "Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{open_server.port}/api/round"
        assert httpx.get(url, headers=headers).status_code == status, host


def test_a_token_of_ones_own_outlives_the_server(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round", 1).path
    with reviewing(round_, PLANTOOD_REVIEW_TOKEN=TOKEN) as server:
        assert TOKEN.replace(" ", "+") in server.url
        assert httpx.get(server.url.partition("?")[0]).status_code == 401
        with ReviewClient(server.url.partition("?")[0], "anna", TOKEN) as client:
            assert len(client.photos()) == 1


def test_it_stops_by_ctrl_c_and_says_what_came_of_it(tmp_path: Path) -> None:
    server = start(make_round(tmp_path / "round", 3).path)
    with ReviewClient(server.url, "anna") as client:
        client.label(client.photos()[0]["id"], "plant")
    server.process.send_signal(signal.SIGINT)
    server.process.wait(30)
    said = server.log.read_text()
    assert server.process.returncode == 0, said
    assert said.endswith("labels.csv: 1 plant, 0 other; 2 undecided.\n")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        ("nothing", [], "is no round"),
        ("unmined", [], "is not mined to the end yet"),
        ("round", ["--token", "short"], "The token is too short"),
        ("round", ["--token", "ü" * 20], "The token cannot stand in a header"),
        ("round", ["--reviewer", "a+b"], "other than +"),
        ("round", ["--port", "TAKEN"], "choose another --port"),
        ("round", ["--host", "192.0.2.1"], "choose another --port or --host"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path, prepare: str, options: list[str], message: str
) -> None:
    round_ = tmp_path / "round"
    if prepare != "nothing":
        make_round(round_, 1)
    if prepare == "unmined":
        (round_ / "mined.csv").unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = [port if option == "TAKEN" else option for option in options]
        ran = subprocess.run(
            [sys.executable, "-m", "plantood", "review", str(round_), "--no-browser", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
    assert ran.returncode in (1, 2)
    assert message in re.sub(r"\s+", " ", ran.stderr)
    assert "Traceback" not in ran.stderr


def test_a_decision_that_cannot_be_saved_is_not_acknowledged(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round", 2).path
    with reviewing(round_) as server, ReviewClient(server.url, "anna") as client:
        first, second = (photo["id"] for photo in client.photos())
        client.label(first, "plant")
        (round_ / "labels.csv").unlink()
        (round_ / "labels.csv").mkdir()  # nobody can write a file there, not even root
        with pytest.raises(ReviewRefused, match="could not be saved"):
            client.label(second, "plant", seen=0)
        (round_ / "labels.csv").rmdir()
        client.label(second, "plant", seen=0)
    assert Round.open(round_).labels().keys() == {first, second}
    assert len((round_ / LABELS).read_text().splitlines()) == 3
