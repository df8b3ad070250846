from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from plantood.defaults import BATCH
from plantood.errors import GateModelCorrupt
from plantood.model.entry import BACKBONE, HEAD
from plantood.model.runtime import Scorer, _cgroup_quota, _has_vnni, usable_cpus
from plantood.model.starter import starter_dir


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(starter_dir() / BACKBONE, starter_dir() / HEAD, threads=1)


@pytest.fixture(scope="module")
def batch(sample_inputs: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(sample_inputs.values()))


def test_scores(scorer: Scorer, batch: np.ndarray) -> None:
    probability, embedding = scorer.score(batch)
    assert probability.dtype == embedding.dtype == np.float32
    assert probability.shape == (len(batch),)
    assert embedding.shape == (len(batch), scorer.feature_shape[-1])
    assert np.all((probability >= 0) & (probability <= 1))


def test_a_photo_scores_the_same_in_any_batch(scorer: Scorer, batch: np.ndarray) -> None:
    together = scorer.score(batch)
    for i in range(len(batch)):
        alone = scorer.score(batch[i : i + 1])
        assert alone.plant_probability[0] == pytest.approx(together.plant_probability[i], abs=1e-5)
        np.testing.assert_allclose(alone.embedding[0], together.embedding[i], atol=1e-4)


def test_a_large_batch_is_scored_in_pieces_and_in_order(scorer: Scorer, batch: np.ndarray) -> None:
    order = np.arange(2 * BATCH + 1) % len(batch)
    expected = scorer.score(batch).plant_probability[order]
    np.testing.assert_allclose(scorer.score(batch[order]).plant_probability, expected, atol=1e-5)


def test_the_embedding_is_the_mean_of_the_feature_map(scorer: Scorer, batch: np.ndarray) -> None:
    maps = scorer.feature_map(batch[:2])
    assert maps.shape == (2, *scorer.feature_shape)
    np.testing.assert_allclose(scorer.score(batch[:2]).embedding, maps.mean(axis=(1, 2)), atol=1e-5)


def test_a_batch_need_not_be_contiguous(scorer: Scorer, batch: np.ndarray) -> None:
    mirrored = batch[:2, :, ::-1]
    expected = scorer.score(mirrored.copy()).plant_probability
    np.testing.assert_array_equal(scorer.score(mirrored).plant_probability, expected)


def test_no_photos(scorer: Scorer, batch: np.ndarray) -> None:
    scores = scorer.score(batch[:0])
    assert scores.plant_probability.shape == (0,)
    assert scores.embedding.shape == (0, scorer.feature_shape[-1])
    assert scorer.feature_map(batch[:0]).shape == (0, *scorer.feature_shape)


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (np.zeros((1, 224, 224, 3), np.float32), r"float32 \[1, 224, 224, 3\]"),
        (np.zeros((224, 224, 3), np.uint8), r"uint8 \[224, 224, 3\]"),
        (np.zeros((1, 3, 224, 224), np.uint8), r"uint8 \[1, 3, 224, 224\]"),
        (np.zeros((1, 128, 224, 3), np.uint8), r"uint8 \[1, 128, 224, 3\]"),
        ([[1, 2]], "not list"),
    ],
)
def test_another_dtype_or_shape_is_refused(scorer: Scorer, wrong: object, found: str) -> None:
    for call in (scorer.score, scorer.feature_map):
        with pytest.raises(ValueError, match=found):
            call(wrong)


def test_several_threads_may_call_at_once(scorer: Scorer, batch: np.ndarray) -> None:
    expected = [scorer.score(batch[i : i + 1]).plant_probability[0] for i in range(len(batch))]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            scores = pool.map(lambda i: scorer.score(batch[i : i + 1]), range(len(batch)))
            assert [s.plant_probability[0] for s in scores] == pytest.approx(expected, abs=1e-5)


def test_a_missing_or_broken_graph_is_named(tmp_path: Path) -> None:
    head = starter_dir() / HEAD
    with pytest.raises(GateModelCorrupt, match=r"backbone\.onnx is missing"):
        Scorer(tmp_path / BACKBONE, head)
    (tmp_path / BACKBONE).write_bytes(b"not a graph")
    with pytest.raises(GateModelCorrupt, match=r"backbone\.onnx cannot be loaded"):
        Scorer(tmp_path / BACKBONE, head)
    with pytest.raises(GateModelCorrupt, match=r"head\.onnx has the inputs \['feature_map'\]"):
        Scorer(head, head)


def test_threads_default_to_the_usable_cpus() -> None:
    default = Scorer(starter_dir() / BACKBONE, starter_dir() / HEAD)
    assert default.threads == usable_cpus() >= 1


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_cgroups_quota(files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    assert _cgroup_quota(tmp_path, tmp_path / "nothing") == quota


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/a", {"a/cpu.max": "max 100000", "other/cpu.max": "50000 100000"}, None),
        (
            "3:cpuset:/x\n2:cpu,cpuacct:/pod/job",
            {"cpu/pod/cpu.cfs_quota_us": "200000", "cpu/pod/cpu.cfs_period_us": "100000"},
            2.0,
        ),
    ],
)
def test_the_quota_of_a_cgroup_within_others(
    own: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "self").write_text(own)
    assert _cgroup_quota(tmp_path, tmp_path / "self") == quota


def test_vnni_is_read_from_the_cpus_flags(tmp_path: Path) -> None:
    flags = tmp_path / "cpuinfo"
    assert not _has_vnni(flags)
    flags.write_text("flags : fpu avx2 fma\n")
    assert not _has_vnni(flags)
    flags.write_text("flags : fpu avx2 avx512_vnni\n")
    assert _has_vnni(flags)


def test_it_needs_only_onnxruntime_and_numpy() -> None:
    code = (
        "import sys, plantood.model.runtime, plantood.model.parts.neighbours\n"
        "heavy = ('bentoml', 'tensorflow', 'keras', 'PIL', 'pydantic', 'onnx')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_runtime_does_not_report_to_its_maker(tmp_path: Path) -> None:
    """Where it does, it leaves a device id and a database of events in the home folder."""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment["HOME"] = str(tmp_path)
    script = "import time, plantood.model.runtime; time.sleep(1)"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
