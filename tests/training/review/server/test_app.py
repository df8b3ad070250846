from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plantood.training.review.log import DecisionLog
from plantood.training.review.server.app import CLIENT_GONE, GATE_WEB, PAGE, WEB, ReviewApp
from plantood.training.review.server.pictures import THUMBNAILS, Pictures
from tests.training.review.rounds import make_round


@pytest.mark.parametrize(("gone", "status"), [(True, CLIENT_GONE), (False, 200)])
def test_what_nobody_waits_for_any_more_is_not_made(
    tmp_path: Path, gone: bool, status: int
) -> None:
    """A browser that scrolls fast asks for hundreds of thumbnails and gives most of them up."""
    round_ = make_round(tmp_path / "round", 1)
    photo = round_.mined()[0].id
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not gone:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/thumbnails/{photo}",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    app = ReviewApp(DecisionLog(round_), Pictures(round_)).asgi()
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == status
    assert (round_.path / THUMBNAILS).exists() is not gone


def test_every_file_of_the_page_is_served() -> None:
    files = {WEB / file for file in PAGE.values()}
    assert files == {*WEB.iterdir(), GATE_WEB / "theme.css"}
    assert all(file.is_file() for file in files)
