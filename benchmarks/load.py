"""A closed-loop HTTP load: so many clients, each sending its next photo when it has its answer."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import httpx
import numpy as np


@dataclass(frozen=True)
class LoadResult:
    """What the clients saw: requests per second, latencies in milliseconds, failed requests."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    errors: int


def send(
    connection: HTTPConnection, path: str, body: bytes, headers: dict[str, str]
) -> float | None:
    """Post one body; milliseconds until its answer, None if it failed.

    The standard library's client hands the body to the kernel as it is. One that copies it in
    Python costs a tenth of what the service spends on a photo, on the machine that is measured.
    """
    started = time.perf_counter()
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        ok = json.load(response) and response.status == HTTPStatus.OK
    except (OSError, HTTPException, ValueError):
        connection.close()
        ok = False
    return (time.perf_counter() - started) * 1000 if ok else None


def encode(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a form with the photo as the field ``image``."""
    files = {"image": ("photo.jpg", photo, "image/jpeg")}
    request = httpx.Request("POST", "http://localhost", files=files)
    return request.read(), {"Content-Type": request.headers["Content-Type"]}


def _client(
    url: str, bodies: Iterator[tuple[bytes, dict[str, str]]], deadline: float
) -> list[float | None]:
    """Send one photo after the other until the deadline; milliseconds of each."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "localhost", address.port, timeout=120)
    latencies = []
    while time.perf_counter() < deadline:
        latencies.append(send(connection, address.path, *next(bodies)))
    connection.close()
    return latencies


def run_load(url: str, photos: list[bytes], concurrency: int, seconds: float) -> LoadResult:
    """Send `photos` in turn to `url` as the multipart field `image` for `seconds`.

    Every request that was started is waited for, and the rate is over the whole time.
    """
    # Encoded beforehand: the clients run on the machine that they measure.
    encoded = [encode(photo) for photo in photos]
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        clients = [
            pool.submit(_client, url, itertools.cycle(encoded[i:] + encoded[:i]), started + seconds)
            for i in (client % len(encoded) for client in range(concurrency))
        ]
    elapsed = time.perf_counter() - started
    answers = [latency for client in clients for latency in client.result()]
    latencies = [latency for latency in answers if latency is not None]
    p50, p95 = np.percentile(latencies, [50, 95]) if latencies else (np.nan, np.nan)
    return LoadResult(
        len(latencies),
        len(latencies) / elapsed,
        float(p50),
        float(p95),
        len(answers) - len(latencies),
    )
