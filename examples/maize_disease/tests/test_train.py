"""The training, on photos that it can learn in seconds."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from plantood import load_image, to_model_input

from detector import Detector
from tests.conftest import PROJECT
from train.photos import Pixels, altered_copy, is_cut_out, on_other_ground, twins_of

SIZE = 224


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def cut_out_leaf() -> np.ndarray:
    """A green square on black."""
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    photo[60:160, 60:160] = (40, 160, 50)
    return photo


def test_twins_are_the_photos_that_point_the_same_way(rng: np.random.Generator) -> None:
    embeddings = rng.normal(size=(20, 64)).astype(np.float32)
    embeddings[7] = embeddings[3] + 0.1 * rng.normal(size=64)
    of = np.zeros(20, bool)
    of[3] = True
    assert np.flatnonzero(twins_of(embeddings, of)).tolist() == [3, 7]
    assert not twins_of(embeddings, np.zeros(20, bool)).any()


def test_a_cut_out_leaf_gets_another_ground_and_keeps_its_pixels(rng: np.random.Generator) -> None:
    photo = cut_out_leaf()
    ground = rng.integers(100, 256, photo.shape, dtype=np.uint8)
    assert is_cut_out(photo)
    for _ in range(4):  # plain colours, and the other photo
        moved = on_other_ground(photo, [ground], rng)
        assert not is_cut_out(moved)
        np.testing.assert_array_equal(moved[70:150, 70:150], photo[70:150, 70:150])


def test_the_sample_with_rust_is_the_cut_out_one(leaves: dict[str, Pixels]) -> None:
    assert [name for name, photo in leaves.items() if is_cut_out(photo)] == ["common_rust"]


def test_copies_differ_and_have_the_shape_of_the_photo(
    rng: np.random.Generator, leaves: dict[str, Pixels]
) -> None:
    first, second = (altered_copy(leaves["healthy"], rng) for _ in range(2))
    assert first.shape == second.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()


def _train(data: Path, into: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "train", "--data", str(data), "--into", str(into), *options]
    environment = os.environ | {"BENTOML_HOME": str(into.parent / "home")}
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )


def picture(disease: str, rng: np.random.Generator) -> Image.Image:
    """A drawn leaf with veins, or with spots: no two pictures are alike."""
    green = (int(rng.integers(20, 120)), int(rng.integers(120, 220)), int(rng.integers(20, 120)))
    image = Image.new("RGB", (SIZE, SIZE), green)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(5, 40)):
        x, y, end = rng.uniform(0, SIZE, 3)
        size = rng.uniform(3, 20)
        if disease == "healthy":
            draw.line((x, 0, end, SIZE), "lightgreen", width=int(rng.integers(1, 5)))
        else:
            draw.ellipse((x - size, y - size, x + size, y + size), "saddlebrown", "black")
    return image


def test_a_model_is_trained_measured_and_written(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = []
    for split, count in (("train", 16), ("val", 6), ("test", 6)):
        for disease in ("healthy", "spots"):
            for number in range(count):
                name = f"{split}-{disease}-{number}.png"
                picture(disease, rng).save(tmp_path / name)
                rows.append({"path": name, "disease": disease, "split": split})
    rows.append({"path": "test-spots-0.png", "disease": "spots", "split": "train"})  # a twin
    data = tmp_path / "data.csv"
    _write(data, rows)
    into = tmp_path / "model"
    trained = _train(data, into, "--copies", "1", "--twins", "0.98")
    assert trained.returncode == 0, trained.stderr
    metrics = json.loads((into / "metrics.json").read_text())
    assert metrics["left_out_as_twins"] == 1
    assert metrics["photos"]["test"] == 12
    assert metrics["test"]["accuracy"] > 0.8
    assert f"({metrics['test']['right']} of 12)" in trained.stdout
    assert (into / "card.md").read_text().startswith("# maize_disease")
    test = [row for row in rows if row["split"] == "test"]
    photos = [to_model_input(load_image(tmp_path / row["path"])) for row in test]
    said = [diagnosis.disease for diagnosis in Detector(into).diagnose(photos)]
    right = sum(a == row["disease"] for a, row in zip(said, test, strict=True))
    assert right == metrics["test"]["right"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"path": "a.png", "label": "rust"}], "must have the columns path,disease,split"),
        ([{"path": "a.png", "disease": "rust", "split": "train"}], "must have photos of healthy"),
        (
            [{"path": "a.png", "disease": d, "split": "trein"} for d in ("rust", "healthy")],
            "has the splits {'trein'}",
        ),
        (
            [{"path": "a.png", "disease": d, "split": "train"} for d in ("rust", "healthy")],
            "a.png: the file cannot be read",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_is_a_sentence(
    tmp_path: Path, rows: list[dict[str, str]], sentence: str
) -> None:
    _write(tmp_path / "data.csv", rows)
    refused = _train(tmp_path / "data.csv", tmp_path / "model")
    assert refused.returncode != 0
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
