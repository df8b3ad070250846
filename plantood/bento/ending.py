"""A service that cannot start ends its whole server: in one sentence, and with status 1.

BentoML would start the worker again and again, and the sentence would be lost among stack traces.
Told to stop, its supervisor ends with status 0, whoever told it. So the worker leaves a mark in the
folder in which both count, and the supervisor looks for it at its own end.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import signal
import sys
from pathlib import Path

from bentoml.exceptions import BentoMLConfigException

from plantood.bentoml_private import counting_folder, is_worker
from plantood.errors import PlantoodError

logger = logging.getLogger("bentoml.plantood")

SENTENCES = (PlantoodError, BentoMLConfigException)
"""Errors that say all there is to say."""


def end_the_server(error: Exception) -> None:
    """Say in one sentence why a worker cannot start, and end all of the server with it.

    Does nothing where the process is no worker: whoever made the service there gets the error.
    """
    if not is_worker():
        return
    logger.error("The service cannot start: %s", error)
    supervisor = os.getppid()
    # a worker is told the folder so; only the supervisor has it as BentoML's setting
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        with contextlib.suppress(OSError):  # a full disk; then it ends with status 0
            _mark(folder, supervisor).touch()
    os.kill(supervisor, signal.SIGTERM)
    logging.shutdown()
    os._exit(1)


@functools.cache
def answer_for_workers() -> None:
    """Let this process end with status 1 if it is a supervisor and a worker could not start.

    To be called where a service is imported: the supervisor does that, too.
    """
    if not is_worker():
        atexit.register(_answer, os.getpid())


def _answer(supervisor: int) -> None:
    if os.getpid() != supervisor:  # a fork
        return
    mark = _mark(counting_folder(), supervisor)
    if not mark.exists():
        return
    mark.unlink(missing_ok=True)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)  # nothing else changes the status of a process that is about to end


def _mark(folder: str | Path, supervisor: int) -> Path:
    return Path(folder, f"cannot-start-{supervisor}")
