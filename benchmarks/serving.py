"""plantood against the service that a user would write by hand, side by side in one run.

    python -m benchmarks.serving --write docs/measurements.md

Both serve the same ResNet50 with head V2. Its weights are random, which changes no multiplication:
time and memory are those of a trained one.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import click
import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks import arithmetic
from benchmarks.load import LoadResult, run_load
from benchmarks.processes import RunningService, serve
from benchmarks.shown import typed
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers

SIZES = {"2 MP": (1632, 1224), "12 MP": (4032, 3024)}
CONCURRENCIES = (1, 8)
console = Console(stderr=True)


def photos_of(size: tuple[int, int]) -> list[bytes]:
    """Two JPEGs of this size: real ones from the shared folder, else generated."""
    shared = shared_dir()
    real = sorted((shared / "data/originals").glob("tomato_*.jpg")) if shared else []
    images: Iterable[Image.Image]
    if real:
        if size == SIZES["12 MP"]:
            return [path.read_bytes() for path in real]
        images = (Image.open(path) for path in real)
    else:
        console.print("No original photos here: taking generated ones.")
        rng = np.random.default_rng(0)
        coarse = (rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(2))
        images = (Image.fromarray(pixels) for pixels in coarse)
    return [_as_jpeg(image.convert("RGB").resize(size)) for image in images]


def _as_jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def check_images(size: int) -> np.ndarray:
    """The sample photos that ship, as model input: uint8 [N,S,S,3]."""
    from plantood.errors import UnreadablePhoto
    from plantood.model.starter import starter_dir
    from plantood.photo.images import load_image, to_model_input

    pixels = []
    for path in sorted((starter_dir().parent / "samples").glob("*.jpg")):
        try:
            pixels.append(to_model_input(load_image(path), size))
        except UnreadablePhoto:
            continue  # one of the samples is a broken upload on purpose
    return np.stack(pixels)


def save_gates(
    directory: Path,
    calibration: np.ndarray,
    quantizations: Sequence[str | None] = (None, "int8"),
) -> dict[str, str]:
    """Save ResNet50 + V2 with random weights as float32 and int8 gates; returns their tags.

    Args:
        directory: Where each is exported before it is put into the store.
        calibration: What int8 is calibrated on, uint8 ``[N, S, S, 3]``.
        quantizations: Of the gates; None is float32, by whose name its tag stands.
    """
    import keras

    from plantood.model.entry import write_entry
    from plantood.model.parts.policy import Policy
    from plantood.model.saving import save_gate
    from plantood.training.network.backbones import BACKBONES, build_backbone
    from plantood.training.network.classifier import build_classifier
    from plantood.training.network.export import export_gate
    from plantood.training.network.heads import build_head

    keras.utils.set_random_seed(0)
    backbone = build_backbone("resnet50", "none")
    model = build_classifier(backbone, build_head("v2", backbone.output_shape[1:]))
    tags = {}
    for quantization in quantizations:
        entry = directory / (quantization or "float32")
        export_gate(model, entry, calibration, quantize=quantization)
        model.save(entry / "model.keras")
        write_entry(
            entry,
            backbone="resnet50",
            head="v2",
            input_size=224,
            preprocessing=BACKBONES["resnet50"].preprocessing.as_dict(),
            policy=Policy(),
            metrics={},
            card="# Random weights, for measuring speed only",
            quantization=quantization,
        )
        tags[entry.name] = str(save_gate(entry, name="benchmark-gate", version=entry.name))
    return tags


def network_share(directory: Path, batch: int = 8, repeats: int = 8) -> dict[str, float]:
    """Milliseconds per photo of the float32 forward pass, and of its multiplications alone."""
    from plantood.model.runtime import Scorer

    backbone, head = directory / "float32/backbone.onnx", directory / "float32/head.onnx"
    images = np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), dtype=np.uint8)
    operations = arithmetic.multiply_adds(backbone) + arithmetic.multiply_adds(head)
    scorer = Scorer(backbone, head)
    scorer.score(images)
    times, rates = [], []
    for _ in range(repeats):  # in turn, so that a change of the machine's speed meets both
        rates.append(arithmetic.matmul_multiply_adds_per_second(repeats=1))
        time.sleep(0.5)  # the threads of NumPy's BLAS spin for a while
        scorer.score(images)
        started = time.perf_counter()
        scorer.score(images)
        times.append(time.perf_counter() - started)
    floor = operations / max(rates)
    return {
        "multiply_adds": operations,
        "floor_ms": floor * 1000,
        "network_ms": min(times) / batch * 1000,
        "ratio": min(times) / batch / floor,
    }


def contenders(tags: dict[str, str], directory: Path) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, what `bentoml serve` is given, and the environment of each service."""
    yield (
        "by hand (Keras `predict`)",
        "benchmarks.handwritten_service:HandwrittenGate",
        {"HANDWRITTEN_MODEL": str(directory / "float32/model.keras"), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    for name, tag in tags.items():
        yield f"plantood, {name}", "plantood.service:PlantGate", {"PLANTOOD_GATE": tag}


def measure(service: RunningService, seconds: float) -> dict[tuple[str, int], LoadResult]:
    """Load one running service with every size and concurrency."""
    results = {}
    for size_name, size in SIZES.items():
        photos = photos_of(size)
        run_load(service.url, photos, 8, min(seconds, 3))  # warm up
        for concurrency in CONCURRENCIES:
            results[size_name, concurrency] = run_load(service.url, photos, concurrency, seconds)
            console.print(
                f"  {size_name}, {concurrency} clients: {results[size_name, concurrency]}"
            )
    return results


@click.command(help=__doc__)
@click.option("--seconds", default=20.0, show_default=True, help="Length of each measurement.")
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(seconds: float, write: Path | None) -> None:
    """Measure, print the tables, and write them between their markers."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        os.environ["BENTOML_HOME"] = str(directory / "bentoml")
        os.environ["BENTOML_DO_NOT_TRACK"] = "true"
        os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
        tags = save_gates(directory, check_images(224))
        share = network_share(directory)
        first_photo = photos_of(SIZES["2 MP"])[0]
        rows, baseline = [], {}
        for name, target, env in contenders(tags, directory):
            console.print(f"[bold]{name}[/bold]")
            with serve(target, first_photo, env, directory / "serve.log") as service:
                results = measure(service, seconds)
            baseline = baseline or results
            for (size_name, concurrency), result in results.items():
                ratio = result.requests_per_second / max(
                    baseline[size_name, concurrency].requests_per_second, 1e-9
                )
                rows.append(
                    {
                        "service": name,
                        "photo": size_name,
                        "clients": concurrency,
                        "requests/s": f"{result.requests_per_second:.2f}",
                        "ratio": f"{ratio:.1f}",
                        "p50 ms": f"{result.p50_ms:.0f}",
                        "p95 ms": f"{result.p95_ms:.0f}",
                        "errors": result.errors,
                        "peak memory MB": f"{service.peak_bytes / 1e6:.0f}",
                        "start to first verdict s": f"{service.seconds_to_first_verdict:.1f}",
                    }
                )
    text = (
        f"{typed(__spec__.name)}\n\n"
        + markdown(list(rows[0]), [[str(cell) for cell in row.values()] for row in rows])
        + f"\n\nThe network alone, float32, batches of 8: {share['network_ms']:.1f} ms a photo; "
        f"its {share['multiply_adds'] / 1e9:.2f} billion multiply-adds at the rate of a large "
        f"float32 matrix product: {share['floor_ms']:.1f} ms; ratio {share['ratio']:.2f}.\n"
    )
    click.echo(text)
    if write:
        write_between_markers(write, "serving", text)


if __name__ == "__main__":
    main()
