"""One gate model as a directory: written, read and verified. Unpickles nothing.

An entry is the files of `FILES`, and `gate.json`, which says what they are and carries the
SHA-256 of each. `plantood.model.store` keeps entries in the Bento model store.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from plantood.errors import GateModelCorrupt, GateModelError, GateModelNotFound
from plantood.model.manifest import GateManifest, TrainingData
from plantood.model.parts.arrays import MOST_BYTES
from plantood.model.parts.calibration import Calibration
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import Memory
from plantood.model.parts.neighbours import Neighbours
from plantood.model.parts.policy import Policy
from plantood.model.runtime import Scorer

T = TypeVar("T")
MANIFEST = "gate.json"
KERAS, BACKBONE, HEAD = "model.keras", "backbone.onnx", "head.onnx"
METRICS, CARD = "metrics.json", "card.md"
MEMORY, CORRECTION = "memory.npz", "correction.npz"
#: The files of an entry beside the manifest; all that are not optional are required.
FILES = (KERAS, BACKBONE, HEAD, METRICS, CARD, MEMORY, CORRECTION)
_OPTIONAL = (MEMORY, CORRECTION)
#: What gates of an earlier plantood have besides: verified as all files are, and never read.
_FORMER = ("reference.npz",)
#: What only training reads: the image of a bento leaves it out. Its digest stays in the manifest.
_NOT_FOR_SERVING = (KERAS,)
#: What lies beside the files that the manifest names: itself, and BentoML's record in its store.
_BESIDE = frozenset({MANIFEST, "model.yaml"})
_VERSIONS_OF = ("plantood", "bentoml", "onnxruntime", "numpy", "pillow", "keras", "tensorflow")


@dataclass(frozen=True)
class GateModel:
    """A gate model, read and verified."""

    tag: str
    path: Path
    manifest: GateManifest
    metrics: dict[str, Any]
    card: str

    @property
    def keras_path(self) -> Path:
        """The Keras model, for fine-tuning (`training.network.classifier.load_classifier`).

        Raises:
            GateModelError: This copy is for serving only and came without it.
        """
        path = self.path / KERAS
        if not path.is_file():
            raise GateModelError(
                f"{self.tag} in {self.path} is a copy for serving, without {KERAS}; take the gate "
                "model from the Bento model store where it was trained (bentoml models export)."
            )
        return path

    def scorer(
        self, threads: int | None = None, *, corrected: bool = True, calibrated: bool = True
    ) -> Scorer:
        """Start an ONNX Runtime session on its graphs, its P(plant) calibrated and corrected.

        Args:
            threads: As `Scorer` takes them.
            corrected: False leaves out what it learned after its training.
            calibrated: False leaves out what does not change the order of the photos.

        Raises:
            GateModelCorrupt: A graph, the memory or the correction cannot be read, or they do not
                belong together.
        """
        calibration = self.manifest.calibration
        if calibration is not None and not calibrated:
            calibration = calibration.unscaled
        scorer = Scorer(
            self.path / BACKBONE,
            self.path / HEAD,
            threads,
            calibration=calibration,
            neighbours=self._neighbours(),
            correction=self.correction() if corrected else None,
        )
        if scorer.input_size != self.manifest.input_size:
            raise corrupt(
                self.path / BACKBONE,
                f"takes {scorer.input_size} pixels a side, and {MANIFEST} says "
                f"{self.manifest.input_size}",
            )
        return scorer

    def _neighbours(self) -> Neighbours | None:
        """What the calibration measures margins to, None if it does not."""
        calibration = self.manifest.calibration
        if calibration is None or not calibration.margin:
            return None
        neighbours = self.neighbours(calibration.pictures)
        if neighbours is None:
            raise corrupt(self.path / MEMORY, "is missing, which its calibration asks")
        return neighbours

    def neighbours(self, pictures: int | None = None) -> Neighbours | None:
        """Return its memory, ready to be asked, None if it was saved without.

        Args:
            pictures: Of the memory, from its beginning; default all.

        Raises:
            GateModelCorrupt: The file cannot be read, or has nothing of a class.
        """
        memory = self.memory()
        if memory is None:
            return None
        try:
            return Neighbours(memory if pictures is None else memory.first(pictures))
        except ValueError as error:
            what = "does not remember both plants and others where they are asked for"
            raise corrupt(self.path / MEMORY, what) from error

    def memory(self) -> Memory | None:
        """Return what it remembers of its training photos, None if it was saved without.

        Raises:
            GateModelCorrupt: The file cannot be read.
        """
        return self._read(MEMORY, Memory.load)

    def correction(self) -> Correction | None:
        """Return what it learned after its training, None if that is nothing.

        Raises:
            GateModelCorrupt: The file cannot be read.
        """
        return self._read(CORRECTION, Correction.load)

    def _read(self, name: str, load: Callable[[Path], T]) -> T | None:
        if name not in self.manifest.files:
            return None
        try:
            return load(self.path / name)
        except Exception as error:  # numpy and zipfile each raise their own kinds
            raise corrupt(self.path / name, "cannot be read") from error


def write_entry(
    directory: str | Path,
    *,
    backbone: str,
    head: str,
    input_size: int,
    preprocessing: Mapping[str, Any],
    policy: Policy,
    metrics: Mapping[str, Any],
    card: str,
    metrics_summary: Mapping[str, float] | None = None,
    memory: Memory | None = None,
    correction: Correction | None = None,
    quantization: Literal["float16", "int8"] | None = None,
    parent: str | None = None,
    data: Sequence[TrainingData] = (),
    calibration: Calibration | None = None,
) -> GateManifest:
    """Complete a directory that holds the three model files to an entry.

    Args:
        directory: Holds ``model.keras``, ``backbone.onnx`` and ``head.onnx``; receives the rest.
        backbone: Key in `BACKBONES`.
        head: Key in `HEADS`.
        input_size: Side of the square input, pixels.
        preprocessing: `Preprocessing.as_dict` of the backbone.
        policy: Thresholds.
        metrics: Everything measured, plain data.
        card: The model card, Markdown.
        metrics_summary: The few figures shown in listings, e.g. accuracy, f1, auroc.
        memory: What is kept of the training photos.
        correction: What was learned after the training, of the head's P(plant).
        quantization: As given to `export_gate`.
        parent: Tag that this one was fine-tuned from.
        data: What it was trained on.
        calibration: Of P(plant); the thresholds are of what it gives.

    Returns:
        The manifest, as written to ``gate.json``.

    Raises:
        GateModelError: One of the three model files is missing.
    """
    directory = Path(directory)
    (directory / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (directory / CARD).write_text(card.rstrip() + "\n", encoding="utf-8")
    for name, part in ((MEMORY, memory), (CORRECTION, correction)):
        if part is not None:
            part.save(directory / name)
    present = [name for name in FILES if (directory / name).is_file()]
    if missing := set(FILES) - set(present) - set(_OPTIONAL):
        raise GateModelError(
            f"{directory} lacks {', '.join(sorted(missing))}; save the Keras model and export it "
            "there first."
        )
    manifest = GateManifest(
        backbone=backbone,
        head=head,
        input_size=input_size,
        preprocessing=dict(preprocessing),
        policy=policy,
        calibration=calibration,
        quantization=quantization,
        parent=parent,
        data=tuple(data),
        created=datetime.now(UTC).replace(microsecond=0),
        versions=_versions(),
        metrics_summary=dict(metrics_summary or {}),
        files={name: sha256(directory / name) for name in present},
    )
    text = manifest.model_dump_json(indent=2) + "\n"
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def open_gate(path: str | Path, tag: str | None = None) -> GateModel:
    """Read and verify an entry in a directory, in the store or anywhere else.

    Args:
        path: The directory.
        tag: What to call it in verdicts; default the directory's name.

    Raises:
        GateModelNotFound: There is no such directory.
        GateModelCorrupt: A file differs from its digest, is missing and not one that only training
            reads, is a symbolic link, is not named in the manifest, or cannot be understood; the
            message names it.
    """
    path = Path(path)
    if not path.is_dir():
        raise GateModelNotFound(f"There is no gate model in {path}; give the directory of one.")
    manifest = _read_manifest(path / MANIFEST)
    _ensure_nothing_else(path, manifest)
    for name, digest in manifest.files.items():
        if not (path / name).is_file():
            if name in _NOT_FOR_SERVING:
                continue
            raise corrupt(path / name, "is missing")
        if sha256(path / name) != digest:
            raise corrupt(path / name, "differs from the digest written when it was saved")
    return GateModel(tag or path.name, path, manifest, _metrics(path / METRICS), _text(path / CARD))


def _metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(_text(path))
    except (ValueError, RecursionError):
        metrics = None
    if not isinstance(metrics, dict):
        raise corrupt(path, "is no JSON object")
    return metrics


def _text(path: Path) -> str:
    if path.stat().st_size > MOST_BYTES:
        raise corrupt(path, f"has more than {MOST_BYTES:,} bytes, which no gate model has")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise corrupt(path, "is no text in UTF-8") from error


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(path: Path) -> GateManifest:
    try:
        manifest = GateManifest.model_validate_json(_text(path))
    except OSError as error:
        raise corrupt(path, "is missing") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise corrupt(path, f"cannot be understood ({where}: {first['msg']})") from error
    if unknown := set(manifest.files) - set(FILES) - set(_FORMER):
        raise corrupt(path, f"names files that no gate model has ({', '.join(sorted(unknown))})")
    if missing := set(FILES) - set(manifest.files) - set(_OPTIONAL):
        raise corrupt(path, f"names no digest of {', '.join(sorted(missing))}")
    return manifest


def _ensure_nothing_else(path: Path, manifest: GateManifest) -> None:
    """Refuse what no digest vouches for: it would travel with the gate model unseen."""
    for file in sorted(path.iterdir()):
        if file.is_symlink():
            raise corrupt(file, "is a symbolic link, which a gate model has none of")
        if file.name not in _BESIDE.union(manifest.files):
            raise corrupt(file, f"is not named in {MANIFEST}")


def corrupt(path: Path, what: str) -> GateModelCorrupt:
    """Make the error for a file of an entry; ``what`` follows its path in the sentence."""
    return GateModelCorrupt(
        f"{path} {what}; delete this gate model and save, import or install it again."
    )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _VERSIONS_OF:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
