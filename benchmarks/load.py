"""A closed-loop HTTP load: so many clients, each sending its next photo when it has its answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

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


async def _run(url: str, photos: list[bytes], concurrency: int, seconds: float) -> LoadResult:
    # Encoded beforehand: the clients run on the machine that they measure.
    bodies = [_encode(photo) for photo in photos]
    latencies: list[float] = []
    errors = 0
    sent = 0

    async def client_loop(client: httpx.AsyncClient, deadline: float) -> None:
        nonlocal errors, sent
        while time.perf_counter() < deadline:
            body, headers = bodies[sent % len(bodies)]
            sent += 1
            started = time.perf_counter()
            try:
                response = await client.post(url, content=body, headers=headers)
                ok = response.status_code == 200 and "verdict" in response.json()
            except httpx.HTTPError:
                ok = False
            if ok:
                latencies.append((time.perf_counter() - started) * 1000)
            else:
                errors += 1

    limits = httpx.Limits(max_connections=concurrency)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        started = time.perf_counter()
        await asyncio.gather(*(client_loop(client, started + seconds) for _ in range(concurrency)))
        elapsed = time.perf_counter() - started
    p50, p95 = np.percentile(latencies, [50, 95]) if latencies else (np.nan, np.nan)
    return LoadResult(len(latencies), len(latencies) / elapsed, float(p50), float(p95), errors)


def _encode(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a form with the photo as the field ``image``."""
    files = {"image": ("photo.jpg", photo, "image/jpeg")}
    request = httpx.Request("POST", "http://localhost", files=files)
    return request.read(), {"Content-Type": request.headers["Content-Type"]}


def run_load(url: str, photos: list[bytes], concurrency: int, seconds: float) -> LoadResult:
    """Send `photos` in turn to `url` as the multipart field `image` for `seconds`.

    Every request that was started is waited for, and the rate is over the whole time.
    """
    return asyncio.run(_run(url, photos, concurrency, seconds))
