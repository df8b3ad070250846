"""The scorer ends after those who need it.

BentoML's supervisor sends SIGTERM to all workers at once. A scorer that obeys at once leaves the
photos that the other workers have in hand without a score.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import psutil

POLL_SECONDS = 0.05


def outlive_other_services(service: str, seconds: float) -> None:
    """Let SIGTERM end this worker when the server's workers of other services have ended.

    To be called in the event loop once the web server has installed its own handler. A second
    SIGTERM is obeyed at once.

    Args:
        service: Name of this worker's own service.
        seconds: Longest time to wait.
    """
    obey = signal.getsignal(signal.SIGTERM)
    if not callable(obey):  # not started by the web server
        return
    loop = asyncio.get_running_loop()
    waiting: set[asyncio.Task[None]] = set()

    async def end_last() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while _others(service):
                    await asyncio.sleep(POLL_SECONDS)
        obey(signal.SIGTERM, None)

    def terminate() -> None:
        if waiting:
            obey(signal.SIGTERM, None)
        else:
            waiting.add(loop.create_task(end_last()))

    loop.add_signal_handler(signal.SIGTERM, terminate)


def _others(service: str) -> list[psutil.Process]:
    """Living workers of the same supervisor that belong to another service."""
    others = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(os.getppid()).children():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()  # empty for one that has ended
                if "--service-name" in command and service not in command:
                    others.append(process)
    return others
