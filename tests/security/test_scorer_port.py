"""A scorer of its own listens on the network: it takes arrays from gates, and code from nobody."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from _bentoml_impl.serde import PickleSerde

from tests.security.payloads import Evil
from tests.service.server import GATE, ROOT, Server, environment, launch

PICKLE = {"Content-Type": "application/vnd.bentoml+pickle"}


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


def test_it_scores_what_a_gate_sends(scorer: Server) -> None:
    payload = PickleSerde().serialize_value({"images": np.zeros((2, 224, 224, 3), np.uint8)})
    answer = httpx.post(
        f"{scorer.url}/score",
        content=b"".join(bytes(piece) for piece in payload.data),
        headers=PICKLE | dict(payload.metadata),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    scores = pickle.loads(
        answer.content[: int(answer.headers["buffer-lengths"].split(",")[0])],
        buffers=[answer.content[int(answer.headers["buffer-lengths"].split(",")[0]) :]],
    )
    assert scores.shape[0] == 2
    assert httpx.post(f"{scorer.url}/describe", content=b"", headers=PICKLE).status_code == 200


@pytest.mark.parametrize("path", ["score", "describe"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_code_that_is_sent_does_not_run(
    scorer: Server, tmp_path: Path, path: str, protocol: int
) -> None:
    mark = tmp_path / "ran"
    for value in (Evil(mark), {"images": Evil(mark)}, [Evil(mark)]):
        content = pickle.dumps(value, protocol)
        for headers in (PICKLE, PICKLE | {"buffer-lengths": str(len(content))}):
            answer = httpx.post(f"{scorer.url}/{path}", content=content, headers=headers)
            assert answer.status_code == (400 if path == "score" else 200), answer.text
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 100_000, b'{"images": "/etc/passwd"}', b'{"images": [[[[1]]]]}', b"\x80\x05"],
)
def test_nonsense_is_no_error_of_the_server(scorer: Server, content: bytes) -> None:
    for headers in (PICKLE, {"Content-Type": "application/json"}):
        answer = httpx.post(f"{scorer.url}/score", content=content, headers=headers, timeout=30)
        assert 400 <= answer.status_code < 500, answer.text
    assert httpx.get(f"{scorer.url}/readyz").status_code == 200


def test_its_bodies_have_an_end(scorer: Server) -> None:
    answer = httpx.post(f"{scorer.url}/score", content=bytes(65 << 20), headers=PICKLE, timeout=60)
    assert answer.status_code == 413
