"""The engine of a cluster: the same scoring as a Ray Data job.

Photos are decoded in Ray tasks and scored by actors that hold the network, on whichever machines
the cluster has; a worker that dies is replaced, and what it had in hand is done again. The gate's
files travel through Ray, so that only the photos need be within reach of every machine.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import plantood
from plantood.defaults import BATCH, with_extra
from plantood.errors import SettingsError
from plantood.model.entry import BACKBONE, CORRECTION, HEAD, MEMORY, GateModel
from plantood.model.manifest import GateManifest
from plantood.model.parts.policy import Policy
from plantood.photo.images import Limits
from plantood.training.mining.engines.scoring import BatchJudge, Decoded, Outcome, decode
from plantood.training.mining.worklist import Task
from plantood.training.process.parallel import map_in_order
from plantood.verdict import Quality

CHUNK = 20_000
"""Photos in one Ray Data job; the next one begins when all of them are done."""
BLOCK = 4 * BATCH
"""Photos in one block, the unit in which Ray passes them on."""
DECODE_CPUS, SCORE_CPUS = 0.6, 0.4
"""Cores for a decoding task and for a scoring actor: both fit on a machine with one core, and they
differ, since Ray Data would fuse the two stages into one if they needed the same."""


def score_on_ray(
    gate: GateModel,
    tasks: Iterable[Task],
    is_new: Callable[[str], bool],
    wanted: int,
    *,
    policy: Policy,
    limits: Limits,
    readers: int,
) -> Generator[Outcome]:
    """Score photos in their order on the cluster of ``RAY_ADDRESS``, or on one of this machine.

    Args:
        gate: Whose network scores.
        tasks: The photos.
        is_new: Whether an id needs a score; asked too late to spare a forward pass here.
        wanted: So many are probably enough; more are only begun if they are asked for.
        policy: Thresholds of the verdicts.
        limits: What a photo may cost; above them it is unreadable.
        readers: Photos that one decoding task fetches at a time.

    Raises:
        SettingsError: Ray is not installed, or there is no cluster at ``RAY_ADDRESS``.
    """
    tasks = iter(tasks)
    with _cluster() as ray:
        size = gate.manifest.input_size
        decode_rows = partial(_decode_rows, size=size, limits=limits, readers=readers)
        texts = [gate.manifest.model_dump_json(), policy.model_dump_json()]
        judge = [ray.put(_files(gate)), *texts]
        while chunk := list(itertools.islice(tasks, min(wanted, CHUNK))):
            yield from _score(ray, decode_rows, judge, chunk)
            wanted = max(BATCH, wanted - len(chunk))


def _score(
    ray: Any, decode_rows: Callable[..., dict[str, Any]], judge: list[Any], tasks: list[Task]
) -> Generator[Outcome]:
    """One Ray Data job: what decodes its rows, and the arguments of :class:`_ScoreRows`."""
    rows = ray.data.from_items(
        [{"path": task.path, "source": task.source} for task in tasks],
        override_num_blocks=-(-len(tasks) // BLOCK),
    )
    rows.context.execution_options.preserve_order = True
    rows.context.enable_progress_bars = False
    workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
    decoded = rows.map_batches(decode_rows, batch_size=BLOCK, num_cpus=DECODE_CPUS)
    outcomes = decoded.map_batches(
        _ScoreRows,
        fn_constructor_args=judge,
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        num_cpus=SCORE_CPUS,
    )
    for row, task in zip(outcomes.iter_rows(), tasks, strict=True):
        score = json.loads(row["score"]) if row["score"] else None
        yield Outcome(task, row["id"], score, row["error"])


def _decode_rows(
    rows: Mapping[str, np.ndarray], size: int, limits: Limits, readers: int
) -> dict[str, Any]:
    """:func:`decode` on rows of Ray Data, on whichever machine."""
    tasks = map(Task, rows["path"].tolist(), rows["source"].tolist())
    photos = list(map_in_order(lambda task: decode(task, size, limits), tasks, readers))
    blank = np.zeros((size, size, 3), np.uint8)
    return {
        **rows,
        "id": [photo.id for photo in photos],
        "pixels": np.stack([p.pixels if isinstance(p, Decoded) else blank for p in photos]),
        "quality": [p.quality.model_dump_json() if isinstance(p, Decoded) else "" for p in photos],
        "error": [photo.error if isinstance(photo, Outcome) else "" for photo in photos],
    }


class _ScoreRows:
    """:class:`BatchJudge` on batches of rows; one in each scoring actor."""

    def __init__(self, files: Any, manifest: str, policy: str) -> None:
        import ray

        with tempfile.TemporaryDirectory() as folder:
            for name, content in ray.get(files).items():
                Path(folder, name).write_bytes(content)
            about = GateManifest.model_validate_json(manifest)
            gate = GateModel("", Path(folder), about, metrics={}, card="")
            in_force = Policy.model_validate_json(policy)
            self.judge = BatchJudge(gate.scorer(threads=1), gate.memory(), in_force)

    def __call__(self, rows: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """Rows of :func:`_decode_rows` to their ids, scores (JSON) and errors."""
        photos = [
            Decoded(
                Task(str(path), str(source)), str(identity), pixels, Quality.model_validate_json(q)
            )
            for path, source, identity, pixels, q in zip(
                *(rows[name] for name in ("path", "source", "id", "pixels", "quality")), strict=True
            )
            if q
        ]
        scores = iter(self.judge.score(photos))
        found = [json.dumps(next(scores).score) if quality else "" for quality in rows["quality"]]
        return {"id": list(rows["id"]), "score": found, "error": list(rows["error"])}


def _files(gate: GateModel) -> dict[str, bytes]:
    names = (BACKBONE, HEAD, MEMORY, CORRECTION)
    return {name: (gate.path / name).read_bytes() for name in names if name in gate.manifest.files}


def _ensure_reachable(address: str) -> None:
    """Find out at once what Ray itself finds out after minutes, or says in a riddle.

    Raises:
        SettingsError: Nobody listens there, or Ray Data cannot use it.
    """
    if address.startswith("ray://"):
        raise SettingsError(
            f"Ray Data cannot use the client address RAY_ADDRESS={address}; run this on a machine "
            "of the cluster, with RAY_ADDRESS=HOST:PORT (the port is 6379 by default)."
        )
    place = urlsplit(address if "://" in address else f"//{address}")
    if not place.port:  # "auto", "local"
        return
    try:
        socket.create_connection((place.hostname, place.port), timeout=5).close()
    except OSError as error:
        raise SettingsError(
            f"There is no Ray cluster at RAY_ADDRESS={address} ({error}); start one, or unset "
            "RAY_ADDRESS to use this machine."
        ) from error


@contextmanager
def _package() -> Iterator[Path]:
    """This package as one folder, for machines that have what it needs, but not plantood itself."""
    ours, trainer = Path(plantood.__file__).parent, Path(__file__).parents[1]
    if trainer.parent == ours:
        yield ours
        return
    with TemporaryDirectory() as folder:  # in a checkout the trainer lies beside it
        whole = Path(shutil.copytree(ours, Path(folder, ours.name)))
        shutil.copytree(trainer, whole / trainer.name)
        yield whole


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected; quiet, and disconnected (or shut down, if it is ours) afterwards."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SettingsError(f"--engine ray needs Ray: {with_extra('ray')}.") from error
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _ensure_reachable(address)
    try:
        with _package() as package:
            ray.init(
                address or "local",
                runtime_env={"py_modules": [str(package)]} if address else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
            )
    except (ConnectionError, ValueError) as error:
        raise SettingsError(
            f"Ray cannot use RAY_ADDRESS={address} ({error}); correct it, or unset it to use this "
            "machine."
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        ray.shutdown()
