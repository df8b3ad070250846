"""The scorer: an ONNX Runtime session pair that turns a uint8 batch into scores.

Needs only onnxruntime and numpy, so that a process that scores photos stays small.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # its official builds report to their maker
import onnxruntime as ort

from plantood.defaults import BATCH
from plantood.errors import GateModelCorrupt
from plantood.model.parts.calibration import Calibration
from plantood.model.parts.correction import Correction
from plantood.model.parts.neighbours import Neighbours


class Scores(NamedTuple):
    """What the network says of a batch.

    Attributes:
        plant_probability: P(plant), float32 [N], 0..1; calibrated and corrected, if the gate model
            is.
        embedding: Global average pool of the feature map, float32 [N,C].
    """

    plant_probability: NDArray[np.float32]
    embedding: NDArray[np.float32]

    def rows(self) -> NDArray[np.float32]:
        """Both in one array, float32 [N,1+C], which BentoML can split among its callers."""
        return np.concatenate([self.plant_probability[:, None], self.embedding], axis=1)


class Scorer:
    """Scores batches of photos; one instance may be called from several threads.

    The backbone and the head are two graphs, so that training can keep what the backbone makes of a
    photo. Between them the feature map is handed over without a copy.
    """

    def __init__(
        self,
        backbone_path: str | Path,
        head_path: str | Path,
        threads: int | None = None,
        *,
        calibration: Calibration | None = None,
        neighbours: Neighbours | None = None,
        correction: Correction | None = None,
    ) -> None:
        """Load both graphs.

        Args:
            backbone_path: Graph ``image`` uint8 [N,S,S,3] -> ``feature_map`` float32 [N,h,w,C].
            head_path: Graph ``feature_map`` -> ``plant_probability`` [N], ``embedding`` [N,C].
            threads: Threads of one forward pass; default `usable_cpus`.
            calibration: Of what the head says; default none.
            neighbours: What the calibration asks for a photo's margin, if it has a weight.
            correction: Of what that gives; default none.

        Raises:
            GateModelCorrupt: A file is missing or is not such a graph, or what is to be asked or
                added is of another network.
        """
        self.threads = threads or usable_cpus()
        self._calibration = calibration
        self._neighbours = neighbours
        self._correction = correction
        self._backbone = _session(Path(backbone_path), self.threads, "image", ["feature_map"])
        self._head = _session(
            Path(head_path), self.threads, "feature_map", ["plant_probability", "embedding"]
        )
        side, *_ = _shape(self._backbone.get_inputs()[0], Path(backbone_path))
        self.input_size: int = side
        (made,) = (one for one in self._backbone.get_outputs() if one.name == "feature_map")
        self.feature_shape: tuple[int, int, int] = _shape(
            self._head.get_inputs()[0], Path(head_path)
        )
        *_, channels = _shape(made, Path(backbone_path))
        fits = {"head": self.feature_shape[-1]}
        if neighbours is not None:
            fits["memory"] = neighbours.channels
        if correction is not None:
            fits["correction"] = correction.kernel.size
        for name, found in fits.items():
            if found != channels:
                raise GateModelCorrupt(
                    f"{backbone_path} gives {channels} channels, and the {name} beside it is of "
                    f"{found}; save or import the gate model again."
                )

    def score(self, batch: NDArray[np.uint8]) -> Scores:
        """Score photos, uint8 RGB [N,S,S,3].

        Raises:
            ValueError: The batch has another dtype or shape.
        """
        pieces = [self._score_piece(piece) for piece in _pieces(self._checked_images(batch))]
        return self._joined(pieces)

    def feature_map(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the backbone's feature map of photos, uint8 [N,S,S,3] -> float32 [N,h,w,C].

        Raises:
            ValueError: The batch has another dtype or shape.
        """
        batch = self._checked_images(batch)
        pieces = [self._backbone.run(None, {"image": piece})[0] for piece in _pieces(batch)]
        return np.concatenate(pieces) if pieces else np.empty((0, *self.feature_shape), np.float32)

    def _score_piece(self, piece: NDArray[np.uint8]) -> Scores:
        image = ort.OrtValue.ortvalue_from_numpy(piece)
        (feature_map,) = self._backbone.run_with_ort_values(["feature_map"], {"image": image})
        probability, embedding = self._head.run_with_ort_values(
            list(Scores._fields), {"feature_map": feature_map}
        )
        return Scores(probability.numpy(), embedding.numpy())

    def _joined(self, pieces: list[Scores]) -> Scores:
        """What is served of what the graphs say."""
        if not pieces:
            return Scores(
                np.empty(0, np.float32), np.empty((0, self.feature_shape[-1]), np.float32)
            )
        probability, embedding = map(np.concatenate, zip(*pieces, strict=True))
        if self._calibration is not None:
            asked = self._neighbours
            margin = 0.0 if asked is None else asked.distances(embedding).margin
            probability = self._calibration.apply(probability, margin)
        if self._correction is not None:
            probability = self._correction.plant_probability(probability, embedding)
        return Scores(probability, embedding)

    def _checked_images(self, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = self.input_size
        if not isinstance(batch, np.ndarray):
            raise ValueError(f"A batch must be a numpy array, not {type(batch).__name__}.")
        if batch.dtype != np.uint8 or batch.shape[1:] != (size, size, 3):
            raise ValueError(
                f"A batch must be uint8 RGB [N,{size},{size},3], "
                f"not {batch.dtype} {list(batch.shape)}."
            )
        return np.ascontiguousarray(batch)


def usable_cpus() -> int:
    """Count the CPUs that this process may use: its affinity mask, and the cgroup's quota.

    A container limited to 2 CPUs on a machine with 64 sees 64 in `os.cpu_count`; with as many
    threads the scheduler would throttle every forward pass.
    """
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cpus = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(cpus, math.ceil(quota)) if quota else cpus)


def _cgroup_quota(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Return the CPU limit in CPUs of this process's cgroup (versions 2 and 1), None if unlimited.

    The strictest of its own and of all that it lies in: a job within a limited slice has none of
    its own.
    """
    folders = []
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    for line in [*lines, "0::/", "1:cpu:/"]:
        _, _, controllers_and_path = line.partition(":")
        controllers, _, path = controllers_and_path.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        inside = Path(path.lstrip("/"))
        folders += [base / part for part in (inside, *inside.parents)]
    quotas = [quota for folder in folders if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _quota_of(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else None
    except (OSError, ValueError):
        return None


def _has_vnni(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether an x86 CPU has exact int8 dot products (VNNI); False if it cannot be known."""
    try:
        return "vnni" in cpuinfo.read_text()
    except OSError:
        return False


def _pieces(batch: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [batch[start : start + BATCH] for start in range(0, len(batch), BATCH)]


def _shape(value: ort.NodeArg, path: Path) -> tuple[int, int, int]:
    """The shape of pictures or feature maps, but for how many they are: ``[N, *shape]``."""
    shape = tuple(value.shape[1:])
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        raise GateModelCorrupt(
            f"{path} has {value.name} of the shape {value.shape}, not of three sides that are "
            "known; it is not a plantood graph."
        )
    return shape


def _session(path: Path, threads: int, name: str, outputs: list[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # A memory plan is kept for every batch size met; under adaptive batching that is all of them.
    # ResNet50 with batches of 1 to 16: 382 MB instead of 472 MB, in the same time.
    options.enable_mem_pattern = False
    # Threads sleep between operators instead of spinning: on two cores the decoding of the next
    # photos, and the other session's threads, need the core that a spinning thread would burn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not _has_vnni():
        # Their uint8 x int8 products overflow; take the exact, slower kernels for an int8 graph.
        options.add_session_config_entry("session.x64quantprecision", "1")
    if not path.is_file():
        raise GateModelCorrupt(f"{path} is missing; save or import the gate model again.")
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen kinds of its own
        raise GateModelCorrupt(
            f"{path} cannot be loaded as an ONNX graph ({str(error).splitlines()[0]}); "
            "save or import the gate model again."
        ) from error
    inputs = [i.name for i in session.get_inputs()]
    found = {o.name for o in session.get_outputs()}
    if inputs != [name] or not found.issuperset(outputs):
        raise GateModelCorrupt(
            f"{path} has the inputs {inputs} and outputs {sorted(found)}, "
            f"not {name} -> {', '.join(outputs)}; it is not a plantood graph."
        )
    return session
