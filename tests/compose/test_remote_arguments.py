"""What the client of a gate elsewhere is given, before it connects to anything."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from plantood.compose import RemoteGate
from plantood.errors import SettingsError


@pytest.mark.parametrize(
    ("photo", "error"),
    [
        (42, TypeError),
        (None, TypeError),
        (np.zeros((4, 4, 3)), TypeError),
        (np.zeros(4, np.uint8), ValueError),
    ],
)
def test_what_is_no_photo_is_no_failure_of_the_gate(photo: object, error: type) -> None:
    with pytest.raises(error, match="a photo"):
        asyncio.run(RemoteGate("http://127.0.0.1:1").check(photo))


@pytest.mark.parametrize("proxy", ["ftp://proxy:21", "http://proxy:port"])
def test_a_proxy_that_is_none_is_said_in_one_sentence(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(SettingsError, match=r"HTTP_PROXY.* cannot be used"):
        RemoteGate("http://gate:3000")


@pytest.mark.parametrize(
    "url",
    [
        *("plantood:3000", "file:///gate", "http://", "http://gate:port", ""),
        *("http://gate:0", "http://gate:65536", "http://gate:99999", "http://gate:-1"),
        *("http://my gate", "http://a..b", f"http://{'a' * 64}.example", "http://gate\n"),
        *(5, None, b"http://gate"),
    ],
)
def test_what_cannot_be_an_address_is_refused_at_once(url: object) -> None:
    with pytest.raises(SettingsError, match="no address of a gate"):
        RemoteGate(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://gate:1",
        "https://gate:65535/under",
        "http://[::1]:80",
        "http://my_gate.",
        "http://bücher",
    ],
)
def test_what_can_be_an_address_is_taken(url: str) -> None:
    assert RemoteGate(url).url == url


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Authorization": "Bearer hush\n"}, "headers['Authorization']"),
        ({"Authorization": " Bearer hush"}, "headers['Authorization']"),
        ({"A": "hush\r\nB: 2"}, "headers['A']"),
        ({"A": "hush\x00"}, "headers['A']"),
        ({"A": "hush €"}, "headers['A']"),
        ({"A": 5}, "headers['A']"),
        ({"A": None}, "headers['A']"),
        ({"A": b"hush"}, "headers['A']"),
        ({"A b": "hush"}, "headers['A b']"),
        ({"A:": "hush"}, "headers['A:']"),
        ({"": "hush"}, "headers['']"),
        ({"Ä": "hush"}, "headers['Ä']"),
        ({5: "hush"}, "headers[5]"),
        ({"Content-Length": "5"}, "headers['Content-Length']"),
        ({"transfer-encoding": "gzip"}, "headers['transfer-encoding']"),
        ("Authorization: hush", "headers"),
        ([("A", "hush")], "headers"),
    ],
)
def test_headers_that_no_request_can_have_are_refused_at_once(headers: object, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RemoteGate("http://gate:3000", headers=headers)
    sentence = str(caught.value)
    assert sentence.startswith(f"{named} cannot be used; allowed is ")
    assert "hush" not in sentence  # a token is a secret, and this is printed
