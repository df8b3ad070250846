"""What a script's reviewer is told before there is a server."""

from __future__ import annotations

import pytest

from plantood.training.review.client import ReviewClient, ReviewRefused


@pytest.mark.parametrize("url", ["http://[::1", "http://review:port", 5])
def test_what_is_no_address_is_refused_in_a_sentence(url: object) -> None:
    with pytest.raises(ReviewRefused, match=r"cannot be asked .*; give the address that"):
        ReviewClient(url, "anna")


@pytest.mark.parametrize("token", ["hush\n", "hush ü"])
def test_what_is_no_token_is_refused_in_a_sentence_without_it(token: str) -> None:
    with pytest.raises(ReviewRefused, match=r"cannot be asked .*'Authorization'") as caught:
        ReviewClient("http://review:8400", "anna", token=token)
    assert "hush" not in str(caught.value)


def test_a_proxy_that_is_none_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "ftp://proxy:21")
    with pytest.raises(ReviewRefused, match=r"cannot be asked .*proxy"):
        ReviewClient("http://review:8400", "anna")


@pytest.mark.parametrize("url", ["localhost:8400", "http://127.0.0.1:1"])
def test_where_no_server_is_says_how_to_start_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with ReviewClient(url, "anna") as client, pytest.raises(ReviewRefused, match="start one with"):
        client.photos()
