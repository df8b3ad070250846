from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plantood.model.entry import open_gate, write_entry
from plantood.model.parts.memory import remember
from plantood.model.parts.policy import Policy
from plantood.model.saving import save_gate
from plantood.training.photos.data import LabelledPhoto
from plantood.training.photos.hashes import LOOK
from tests.service.tiny_gate import build

SIZE = 48


def draw(label: int, seed: int, size: int = SIZE) -> np.ndarray:
    """A photo that a network can tell apart: green blobs are plants, grey blobs are not."""
    rng = np.random.default_rng((label, seed))
    coarse = rng.integers(0, 256, (6, 6, 1)).astype(np.float32)
    tint = np.array([0.4, 1.0, 0.3] if label else [1.0, 0.85, 0.9], np.float32)
    pixels = (coarse * tint).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))


def write_photo(path: Path, label: int, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(label, seed)).save(path, quality=92)
    return path


def csv_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes ``plant/`` and ``other/`` with two sources each."""

    def make(per_source: int = 12, name: str = "photos") -> Path:
        folder = tmp_path / name
        for label, class_name, sources in (
            (1, "plant", ("farm", "garden")),
            (0, "other", ("street", "room")),
        ):
            for number, source in enumerate(sources):
                for i in range(per_source):
                    seed = number * 1000 + i
                    write_photo(folder / class_name / source / f"{i}.jpg", label, seed)
        return folder

    return make


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest of the given rows; photos that do not exist yet are drawn."""

    def make(rows: list[dict[str, str]], columns: str = "path,label,split,source") -> Path:
        for seed, row in enumerate(rows):
            path = tmp_path / row["path"]
            if not path.exists() and row.get("label") in ("plant", "other"):
                write_photo(path, int(row["label"] == "plant"), seed)
        file = tmp_path / "manifest.csv"
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, columns.split(","), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return file

    return make


def noise_look(name: str) -> bytes:
    """A look that no other name has anything like."""
    rng = np.random.default_rng(list(name.encode()))
    return rng.integers(0, 256, LOOK, np.uint8).tobytes()


def make_photo(
    digest: str, label: int = 1, source: str = "s", split: str | None = None, look: bytes = b""
) -> LabelledPhoto:
    return LabelledPhoto(
        Path(f"{digest}.jpg"), label, source, split, digest, look or noise_look(digest)
    )


@dataclass(frozen=True)
class Data:
    """Photos of four sources, one of them broken, and weights of a MobileNet."""

    photos: Path
    weights: Path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    for label, class_name, sources in ((1, "plant", "ab"), (0, "other", "cd")):
        for number, source in enumerate(sources):
            for i in range(14):
                path = folder / "photos" / class_name / source / f"{i}.jpg"
                write_photo(path, label, 100 * number + i)
    (folder / "photos" / "plant" / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    write_random_weights(folder / "mobilenet.weights.h5")
    return Data(folder / "photos", folder / "mobilenet.weights.h5")


def write_random_weights(file: Path) -> None:
    """Weights whose features vary: Keras' own random ones shrink to nothing in 27 layers."""
    from plantood.training.network.backbones import build_backbone

    backbone = build_backbone("mobilenet", "none")
    rng = np.random.default_rng(0)
    for layer in backbone.layers:
        for variable in layer.trainable_variables:
            if variable.path.endswith("kernel"):
                channels = 1 if "dw" in layer.name else variable.shape[2]
                scale = np.sqrt(2 / (variable.shape[0] * variable.shape[1] * channels))  # He 2015
                variable.assign(rng.normal(0, scale, variable.shape))
    backbone.save_weights(file)


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A gate in the store whose network is a sigmoid of green minus red, with a memory."""
    folder = tmp_path_factory.mktemp("gate")
    build(folder)
    manifest = open_gate(folder).manifest
    rng = np.random.default_rng(0)
    greens, reds = (
        rng.uniform(low, high, (50, 3))
        for low, high in (((40, 90, 30), (60, 160, 50)), ((90, 40, 30), (160, 60, 50)))
    )
    plant = np.arange(100) < 50
    write_entry(
        folder,
        memory=remember(
            np.concatenate([greens, reds]),
            np.where(plant, 2, -2),
            plant,
            np.where(plant, "field", "bricks").tolist(),
            np.ones(100),
        ),
        policy=Policy(min_shorter_side=32, min_sharpness=0.02),
        metrics={},
        card="# Greener than red",
        **manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"}),
    )
    return str(save_gate(folder, name="tiny-mining", version="1"))


@pytest.fixture
def production(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of photos nobody labelled: every third is green, two are broken."""

    def make(count: int = 40, name: str = "production") -> Path:
        folder = tmp_path / name
        for i in range(count):
            write_photo(folder / f"day-{i % 3}" / f"{i:03}.jpg", int(i % 3 == 0), i)
        whole = (folder / "day-0" / "000.jpg").read_bytes()
        (folder / "day-0" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
        (folder / "day-1" / "text.JPG").write_bytes(b"this is no photo")
        (folder / "day-1" / "notes.txt").write_text("not looked at")
        return folder

    return make
