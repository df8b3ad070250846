"""A scorer of its own listens on the network: it takes arrays from gates, and code from nobody."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from plantood.http.apps.scorer import ScoreInput
from tests.security.payloads import Evil, forged_array, large_memo
from tests.service.server import GATE, ROOT, Server, environment, launch

GATES = {"Content-Type": "application/vnd.bentoml+pickle"}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As deploy/kubernetes/scorer starts it."""
    home = tmp_path_factory.mktemp("scorer")
    command = [sys.executable, "-m", "bentoml_cli._internal.start", "start-http-server"]
    with launch(
        [*command, GATE, "--service-name", "PlantScorer"],
        folder=ROOT,
        environment=environment(home),
        log=home / "serve.log",
    ) as server:
        server.wait_until_ready()
        yield server


def batch(photos: int = 1, size: int = 224) -> bytes:
    """What a gate sends."""
    return ScoreInput(images=np.zeros((photos, size, size, 3), np.uint8)).model_dump()


def post(scorer: Server, content: bytes) -> httpx.Response:
    return httpx.post(f"{scorer.url}/score", content=content, headers=GATES, timeout=60)


def test_it_scores_what_a_gate_sends(scorer: Server) -> None:
    answer = post(scorer, batch(2))
    assert answer.status_code == 200, answer.text
    scores = pickle.loads(
        answer.content[: int(answer.headers["buffer-lengths"].split(",")[0])],
        buffers=[answer.content[int(answer.headers["buffer-lengths"].split(",")[0]) :]],
    )
    assert scores.shape[0] == 2
    assert httpx.post(f"{scorer.url}/describe", content=b"", headers=GATES).status_code == 200


@pytest.mark.parametrize("wrong", [batch(1, 10), batch(0), batch(257), batch()[:-1]])
def test_a_batch_that_does_not_fit_breaks_no_other(scorer: Server, wrong: bytes) -> None:
    """As a gate of another input size sends, of which there is one during a rollout."""
    busy = batch(16)  # while it is scored, the others wait and are made one batch
    sent = [busy, *[batch()] * 2, wrong, *[batch()] * 2]
    with ThreadPoolExecutor(len(sent)) as pool:
        answers = list(pool.map(lambda content: post(scorer, content).status_code, sent))
    assert answers == [200, 200, 200, 400, 200, 200]


@pytest.mark.parametrize("content", [forged_array(), large_memo((1 << 32) - 1)])
def test_a_pickle_that_names_nothing_but_arrays_is_not_read_either(
    scorer: Server, content: bytes
) -> None:
    for headers in (GATES, GATES | {"buffer-lengths": str(len(content))}):
        answer = httpx.post(f"{scorer.url}/score", content=content, headers=headers)
        assert answer.status_code == 400, answer.text
    assert post(scorer, batch()).status_code == 200


@pytest.mark.parametrize("path", ["score", "describe"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_code_that_is_sent_does_not_run(
    scorer: Server, tmp_path: Path, path: str, protocol: int
) -> None:
    mark = tmp_path / "ran"
    for value in (Evil(mark), {"images": Evil(mark)}, [Evil(mark)]):
        content = pickle.dumps(value, protocol)
        for headers in (GATES, GATES | {"buffer-lengths": str(len(content))}):
            answer = httpx.post(f"{scorer.url}/{path}", content=content, headers=headers)
            assert answer.status_code == (400 if path == "score" else 200), answer.text
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 100_000, b'{"images": "/etc/passwd"}', b'{"images": [[[[1]]]]}', b"\x80\x05"],
)
def test_nonsense_is_no_error_of_the_server(scorer: Server, content: bytes) -> None:
    for headers in (GATES, {"Content-Type": "application/json"}):
        answer = httpx.post(f"{scorer.url}/score", content=content, headers=headers, timeout=30)
        assert 400 <= answer.status_code < 500, answer.text
    assert httpx.get(f"{scorer.url}/readyz").status_code == 200


def test_its_bodies_have_an_end(scorer: Server) -> None:
    answer = httpx.post(f"{scorer.url}/score", content=bytes(65 << 20), headers=GATES, timeout=60)
    assert answer.status_code == 413
