"""Scorer and gate end after those who need them.

BentoML's supervisor sends SIGTERM to all workers at once. A scorer that obeys at once leaves the
photos that the other workers have in hand without a score.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from plantood.bentoml_private import SOCKET_FOLDERS, address_of, service_of_worker

POLL_SECONDS = 0.05
_KEPT = "-kept-"


def outlive_other_services(*services: str, seconds: float) -> None:
    """Let SIGTERM end this worker when the server's workers of other services have ended.

    To be called in the event loop once the web server has installed its own handler. A second
    SIGTERM is obeyed at once.

    Args:
        services: Names of those not to wait for: this worker's own, and those it needs itself.
        seconds: Longest time to wait.
    """
    obey = signal.getsignal(signal.SIGTERM)
    if not callable(obey):  # not started by the web server
        return
    loop = asyncio.get_running_loop()
    waiting: set[asyncio.Task[None]] = set()

    async def end_last() -> None:
        others = _others(services)  # those now; with `--reload` others come in their place
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(other.is_running() and not _is_zombie(other) for other in others):
                    await asyncio.sleep(POLL_SECONDS)
        obey(signal.SIGTERM, None)

    def terminate() -> None:
        if waiting:
            obey(signal.SIGTERM, None)
        else:
            waiting.add(loop.create_task(end_last()))

    loop.add_signal_handler(signal.SIGTERM, terminate)


def _others(services: tuple[str, ...]) -> list[psutil.Process]:
    """Living workers of the same supervisor that belong to none of these services."""
    others = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(os.getppid()).children():
            with contextlib.suppress(psutil.Error):
                service = service_of_worker(process.cmdline())  # empty for one that has ended
                if service is not None and service not in services:
                    others.append(process)
    return others


def _is_zombie(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def keep_sockets(service: str) -> None:
    """Let the Unix sockets of the server's services outlive SIGTERM.

    BentoML (1.4.39) removes their folder before it tells the workers to stop. A request in hand
    that needs a new connection, like a photo whose upload has just ended, would find no scorer.
    But it removes it by `shutil.rmtree`, which refuses a symbolic link. They are removed when the
    supervisor ends (:func:`remove_sockets_at_exit`) and not with this worker, in whose place
    another one may be started.

    Args:
        service: Any service that the server has a socket for.
    """
    folder = _socket_folder(service)
    if folder is None or folder.is_symlink():
        return
    kept = folder.with_name(f"{folder.name}{_KEPT}{os.getppid()}")
    with contextlib.suppress(OSError):  # another worker was faster
        folder.rename(kept)
        folder.symlink_to(kept.name)


def remove_sockets_at_exit() -> None:
    """Remove what :func:`keep_sockets` keeps, when this process ends: the workers' supervisor."""
    atexit.register(_remove_sockets, os.getpid())


def _remove_sockets(supervisor: int) -> None:
    if os.getpid() != supervisor:  # a fork
        return
    for kept in Path(tempfile.gettempdir()).glob(f"{SOCKET_FOLDERS}{_KEPT}{supervisor}"):
        kept.with_name(kept.name.partition(_KEPT)[0]).unlink(missing_ok=True)
        shutil.rmtree(kept, ignore_errors=True)


def _socket_folder(service: str) -> Path | None:
    """Where a service's Unix socket lies, or None if it has none."""
    address = urlsplit(address_of(service))
    return Path(unquote(address.path)).parent if address.scheme == "file" else None
