"""What the gate in front of a detector costs, and what it saves: all ways in one run.

    python -m benchmarks.composing --write docs/measurements.md

The detector is a ResNet50 (random weights, which change no multiplication), the gate the starter
gate. The latency that a way adds is measured in pairs: each photo goes to the bare detector and to
the gated one in turn, so that a change of the machine's speed meets both.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx
import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks import bad_photos
from benchmarks.load import LoadResult, encode, run_load, send
from benchmarks.processes import RunningService, serve
from benchmarks.serving import check_images, photos_of
from benchmarks.shown import typed
from plantood.judging.gate import Gate
from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from plantood.training.common.tables import markdown, write_between_markers

SIZE = (1632, 1224)
CLIENTS = 8
WARM_UP = 8
SERVICES = "benchmarks.composed_services"
WAYS = {
    "1 `depends(PlantGate)`": f"{SERVICES}:ByService",
    "2 `depends(PlantScorer)`": f"{SERVICES}:ByScorer",
    "3 `@gated`, `PIL.Image`": f"{SERVICES}:DecoratedWhole",
    "3 `@gated`, `LoadedImage`": f"{SERVICES}:Decorated",
    "4 `RemoteGate(url)`": f"{SERVICES}:Elsewhere",
    "5 `gate_runner()`": "benchmarks.composed_legacy:service",
}
LOADED = {
    "no gate": f"{SERVICES}:Bare",
    "`@gated`, `PIL.Image`": f"{SERVICES}:DecoratedWhole",
    "`@gated`, `LoadedImage`": f"{SERVICES}:Decorated",
}
LOADED_COLUMNS = ["service", "photos/s", "ratio", "p50 ms", "p95 ms", "photos"]
LOADED_COLUMNS += ["detector calls", "errors"]
LEGACY_CONFIG = "version: 1\napi_server:\n  workers: 1\n"
console = Console(stderr=True)


def good_and_bad() -> tuple[list[bytes], list[bytes]]:
    """Photos of 2 megapixels: those that the starter gate accepts, and as many that it does not.

    Raises:
        click.ClickException: It accepts none of the good ones, or one of the bad ones.
    """
    gate = Gate(open_gate(starter_dir()))
    samples = starter_dir().parent / "samples"
    candidates = [*photos_of(SIZE), _enlarged(samples / "maize_leaf.jpg")]
    good = [photo for photo in candidates if gate.check(photo).accepted]
    rng = np.random.default_rng(0)
    frames = (bad_photos.pocket(rng, SIZE), bad_photos.covered_lens(rng, SIZE))
    bad = [_enlarged(samples / "bare_soil.jpg"), *map(_jpeg, map(Image.fromarray, frames))]
    if not good or any(gate.check(photo).accepted for photo in bad):
        raise click.ClickException("the starter gate judges these photos otherwise than needed")
    return good, bad


def _enlarged(path: Path) -> bytes:
    with Image.open(path) as image:
        return _jpeg(image.convert("RGB").resize(SIZE))


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def save_detector(folder: Path) -> None:
    """Export a ResNet50 with head V2 and random weights as the detector's graphs."""
    import keras

    from plantood.training.network.backbones import build_backbone
    from plantood.training.network.classifier import build_classifier
    from plantood.training.network.export import export_gate
    from plantood.training.network.heads import build_head

    keras.utils.set_random_seed(0)
    backbone = build_backbone("resnet50", "none")
    model = build_classifier(backbone, build_head("v2", backbone.output_shape[1:]))
    export_gate(model, folder, check_images(224))


def added_latency(
    bare: RunningService, gated: RunningService, photos: list[bytes], seconds: float
) -> dict[str, float]:
    """Milliseconds of both services for the same photos, one client, in turn.

    Raises:
        click.ClickException: A request failed.
    """
    urls = [urlsplit(service.url) for service in (bare, gated)]
    connections = [HTTPConnection(url.hostname or "", url.port, timeout=60) for url in urls]
    pairs: list[list[float]] = []
    deadline = time.perf_counter() + seconds
    for photo in itertools.cycle([encode(photo) for photo in photos]):
        if time.perf_counter() > deadline and len(pairs) > WARM_UP:
            break
        pair = [send(c, url.path, *photo) for c, url in zip(connections, urls, strict=True)]
        if None in pair:
            raise click.ClickException("a request failed; see the services' logs")
        pairs.append(pair)
    for connection in connections:
        connection.close()
    measured = np.array(pairs[WARM_UP:])
    added = measured[:, 1] - measured[:, 0]
    return {
        "requests": len(measured),
        "bare": float(np.median(measured[:, 0])),
        "p50": float(np.percentile(added, 50)),
        "p95": float(np.percentile(measured[:, 1], 95) - np.percentile(measured[:, 0], 95)),
    }


def latencies(good: list[bytes], seconds: float, folder: Path) -> Iterator[list[str]]:
    """One row for each way."""
    with ExitStack() as running:
        bare = running.enter_context(_serve(f"{SERVICES}:Bare", good[0], folder / "bare"))
        for name, target in WAYS.items():
            with ExitStack() as now:
                settings = {}
                if "RemoteGate" in name:
                    gate = now.enter_context(
                        _serve("plantood.service:PlantGate", good[0], folder / "elsewhere")
                    )
                    settings["BENCHMARK_GATE_URL"] = gate.root
                gated = now.enter_context(_serve(target, good[0], folder / "way", **settings))
                found = added_latency(bare, gated, good, seconds)
            console.print(f"{name}: {found}")
            yield [
                name,
                f"{found['bare']:.0f}",
                f"{found['p50']:+.0f}",
                f"{found['p95']:+.0f}",
                f"{found['requests']:.0f}",
            ]


def throughputs(
    good: list[bytes], bad: list[bytes], seconds: float, folder: Path
) -> Iterator[list[str]]:
    """One row without and two with the gate, half of the photos bad."""
    mixed = [
        photo
        for pair in zip(itertools.cycle(good), bad * len(good), strict=False)
        for photo in pair
    ]
    without: LoadResult | None = None
    for name, target in LOADED.items():
        with _serve(target, good[0], folder / "loaded") as service:
            run_load(service.url, mixed, CLIENTS, min(seconds, 3))  # warm up
            before = _calls(service)
            result = run_load(service.url, mixed, CLIENTS, seconds)
            calls = _calls(service) - before
        without = without or result
        console.print(f"{name}: {result}, {calls} detector calls")
        yield [
            name,
            f"{result.requests_per_second:.1f}",
            f"{result.requests_per_second / without.requests_per_second:.2f}",
            f"{result.p50_ms:.0f}",
            f"{result.p95_ms:.0f}",
            str(result.requests),
            str(calls),
            str(result.errors),
        ]


def _serve(target: str, photo: bytes, home: Path, **settings: str) -> ExitStack:
    """A service with a BENTOML_HOME of its own: two would wipe each other's metrics."""
    home.mkdir(exist_ok=True)
    config = home / "legacy.yaml"
    config.write_text(LEGACY_CONFIG)
    settings["BENTOML_HOME"] = str(home)
    if "legacy" in target:
        settings["BENTOML_CONFIG"] = str(config)
    return serve(target, photo, settings, home / "serve.log")


def _calls(service: RunningService) -> int:
    return int(httpx.post(f"{service.root}/calls", json={}).raise_for_status().json())


@click.command(help=__doc__)
@click.option("--seconds", default=20.0, show_default=True, help="Length of each measurement.")
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(seconds: float, write: Path | None) -> None:
    """Measure, print the tables, and write them between their markers."""
    good, bad = good_and_bad()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_detector(folder / "detector")
        os.environ["BENCHMARK_DETECTOR"] = str(folder / "detector")
        os.environ["BENTOML_DO_NOT_TRACK"] = "true"
        os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
        ways = list(latencies(good, seconds, folder))
        loaded = list(throughputs(good, bad, seconds, folder))
    text = (
        f"{typed(__spec__.name)}\n\nOne client, accepted photos of 2 megapixels, milliseconds:\n\n"
        + markdown(["way", "bare detector p50", "added p50", "added p95", "photos"], ways)
        + f"\n\n{CLIENTS} clients, half of the photos bad:\n\n"
        + markdown(LOADED_COLUMNS, loaded)
        + "\n"
    )
    click.echo(text)
    if write:
        write_between_markers(write, "composing", text)


if __name__ == "__main__":
    main()
