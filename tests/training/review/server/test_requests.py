"""What strangers may send to a review: it is a decision, or refused in one sentence."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from plantood.training.review.names import clean_name
from plantood.training.review.server.guard import Guard, refusal
from plantood.training.review.server.requests import (
    MAX_NUMBER,
    LabelRequest,
    UndoRequest,
    read_body,
)
from plantood.training.rounds.labels import Kind, Label
from tests.damage import damaged
from tests.strangers import KINDS, request

Asked = TypeVar("Asked", LabelRequest, UndoRequest)
TOKEN = "a token of sixteen or more"
GOOD = {"reviewer": "Anna", "id": "0" * 64, "label": "other", "kind": "no_plant", "seen": 0}
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.lists(st.text(max_size=3), max_size=2)
)
BODIES = (
    st.fixed_dictionaries(
        {},
        optional={
            "reviewer": st.text(max_size=70) | ANYTHING,
            "id": st.text(max_size=70) | ANYTHING,
            "label": st.sampled_from(get_args(Label)) | ANYTHING,
            "kind": st.sampled_from(get_args(Kind)) | ANYTHING,
            "seen": ANYTHING,
            "after": ANYTHING,
            "more": ANYTHING,
        },
    ).map(lambda fields: json.dumps(fields).encode())
    | damaged(json.dumps(GOOD).encode())
    | st.binary(max_size=100)
    | st.integers(1, 100_000).map(lambda depth: b"[" * depth)
)
JSON = st.sampled_from([b"application/json", b"application/json; charset=utf-8"])


def _read(sent: Request, model: type[Asked]) -> Asked | HTTPException:
    try:
        return asyncio.run(read_body(sent, model))
    except HTTPException as refused:
        return refused


@pytest.mark.parametrize("model", [LabelRequest, UndoRequest])
@given(BODIES, JSON | KINDS, st.lists(st.integers(0, 1000), max_size=4))
def test_any_body_is_a_decision_or_refused(
    model: type[LabelRequest | UndoRequest], body: bytes, kind: bytes, cuts: list[int]
) -> None:
    asked = _read(request(body, kind, cuts), model)
    if isinstance(asked, HTTPException):
        assert asked.status_code in (400, 413, 415)
        answer = json.loads(refusal(asked.detail, asked.status_code).body)
        assert answer["error"].isprintable()
        return
    assert asked.reviewer == clean_name(asked.reviewer)
    assert all(n is None or 0 <= n <= MAX_NUMBER for n in (asked.seen, asked.after))
    if isinstance(asked, LabelRequest):
        assert asked.label == "other" or asked.kind is None


@given(st.text(max_size=80) | st.text("e\u0301 \t+=\u200b", max_size=12))
def test_a_name_has_one_form(name: str) -> None:
    try:
        clean = clean_name(name)
    except ValueError:
        return
    assert clean_name(clean) == clean
    assert clean.isprintable()


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"host", b"origin", b"sec-fetch-site", b"cookie", b"authorization"]),
        st.sampled_from(
            [
                b"localhost:8400",
                b"127.0.0.1",
                b"[::1]:8400",
                b"[127.0.0.1]",
                b"[",
                b"evil.example",
                b"http://[",
                b"same-origin",
                b"plantood_review_8400=x",
                b"Bearer x",
                b"Bearer " + TOKEN.encode(),
            ]
        )
        | st.binary(max_size=20),
    ),
    max_size=5,
)
QUERIES = st.sampled_from(
    [b"", b"token=x", b"token=%FF", b"token=" + TOKEN.replace(" ", "+").encode()]
)


@example([(b"host", b"[127.0.0.1]")], "GET", b"token=x")
@example([(b"host", b"[127.0.0.1]")], "GET", b"")
@given(HEADERS, st.sampled_from(["GET", "POST"]), QUERIES | st.binary(max_size=12))
def test_whoever_does_not_know_the_token_gets_no_further(
    headers: list[tuple[bytes, bytes]], method: str, query: bytes
) -> None:
    passed, sent = [], []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])
        await PlainTextResponse("reached")(scope, receive, send)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    address = {"type": "http", "method": method, "path": "/", "scheme": "http"}
    scope = address | {"query_string": query, "headers": headers, "server": ("127.0.0.1", 8400)}
    asyncio.run(Guard(app, TOKEN)(scope, receive, send))
    status = sent[0]["status"]
    assert status in (200, 303, 401, 403, 421)
    knows = any(TOKEN.encode() in value for _, value in headers) or b"sixteen" in query
    assert knows or (status in (401, 403, 421) and not passed)
