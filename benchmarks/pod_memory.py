"""Memory of a pod under load: gate and scorer in one, and each in one of its own.

    python -m benchmarks.pod_memory --write docs/kubernetes.md

The services are started by the commands of `deploy/kubernetes/`, without a cluster, and judge the
photos of `benchmarks.serving` for eight clients. The weights of the ResNet50 are random, which
changes no size.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import click
from rich.console import Console

from benchmarks.load import run_load
from benchmarks.processes import SERVE, START, RunningService, serve
from benchmarks.serving import CONCURRENCIES, SIZES, check_images, photos_of, save_gates
from benchmarks.shown import typed
from plantood.defaults import SCORER_SERVICE
from plantood.model.starter import install_starter
from plantood.training.common.tables import markdown, write_between_markers

CLIENTS = max(CONCURRENCIES)
COLUMNS = ["gate model", "gate and scorer in one pod", "gate apart", "scorer apart"]
TARGET = "plantood.service:PlantGate"
console = Console(stderr=True)


class Pods:
    """Starts pods that judge by one gate model and shows them photos."""

    def __init__(self, tag: str, folder: Path, seconds: float) -> None:
        """The folder has the model store; `seconds` is how long each size of photo is sent."""
        self.tag = tag
        self.folder = folder
        self.seconds = seconds
        self.photos = [photos_of(size) for size in SIZES.values()]

    def peaks(self) -> Iterator[int]:
        """Peak bytes of gate and scorer in one pod, of the gate apart, of the scorer apart."""
        with self._serve("pod", self.photos[0][0]) as pod:
            self._load(pod)
        yield pod.peak_bytes
        alone = (*START, "--service-name", SCORER_SERVICE)
        with self._serve("scorer", None, alone) as scorer:
            asking = (*START, "--depends", f"{SCORER_SERVICE}={scorer.root}")
            with self._serve("gate", self.photos[0][0], asking) as gate:
                self._load(gate)
        yield gate.peak_bytes
        yield scorer.peak_bytes

    def _serve(
        self, name: str, photo: bytes | None, command: Sequence[str] = SERVE
    ) -> AbstractContextManager[RunningService]:
        """A pod with a BENTOML_HOME of its own, as its `/tmp` is; all have the same models."""
        home = self.folder / self.tag.replace(":", "-") / name
        home.mkdir(parents=True)
        (home / "models").symlink_to(self.folder / "models")
        settings = {
            "BENTOML_HOME": str(home),
            "BENTOML_DO_NOT_TRACK": "true",
            "PLANTOOD_GATE": self.tag,
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }
        return serve(TARGET, photo, settings, home / "serve.log", command=command)

    def _load(self, gate: RunningService) -> None:
        """Send each size in turn.

        Raises:
            click.ClickException: A request failed.
        """
        for name, photos in zip(SIZES, self.photos, strict=True):
            result = run_load(gate.url, photos, CLIENTS, self.seconds)
            console.print(f"  {name}: {result}")
            if result.errors:
                raise click.ClickException(f"{result.errors} requests failed")


@click.command(help=__doc__)
@click.option("--seconds", default=20.0, show_default=True, help="Of load, for each size of photo.")
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(seconds: float, write: Path | None) -> None:
    """Measure, print the table, and write it between its markers."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder)
        float32 = save_gates(folder / "exported", check_images(224), (None,))["float32"]
        models = {
            "ResNet50, head V2, float32": float32,
            "starter gate (EfficientNet-Lite0)": str(install_starter(always=True)),
        }
        rows = []
        for name, tag in models.items():
            console.print(f"[bold]{name}[/bold]")
            peaks = Pods(tag, folder, seconds).peaks()
            rows.append([name, *(f"{peak / 1e6:.0f}" for peak in peaks)])
    text = f"{typed(__spec__.name)}\n\n{markdown(COLUMNS, rows)}\n"
    click.echo(text)
    if write:
        write_between_markers(write, "pod-memory", text)


if __name__ == "__main__":
    main()
