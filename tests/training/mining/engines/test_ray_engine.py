"""The same scoring on a cluster of two workers, one of which is killed midway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plantood.errors import SettingsError
from plantood.training.mining.mine import MineOptions, mine_photos
from tests.training.conftest import draw, write_photo

ray = pytest.importorskip("ray", reason='Ray is not installed (pip install "plantood[ray]")')
pytest.importorskip("ray.data", reason='Ray Data is not installed (pip install "plantood[ray]")')

PHOTOS = 500
STORE_BYTES = 100 * 2**20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without work and two workers of one core each, each a node of its own."""
    from ray.cluster_utils import Cluster

    node = {"object_store_memory": STORE_BYTES}
    head = {"num_cpus": 0, "include_dashboard": False, **node}
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("RAY_TMPDIR", folder)
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # that a node is gone is seen sooner
        environment.setenv("RAY_health_check_period_ms", "500")
        environment.setenv("RAY_health_check_failure_threshold", "3")
        cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
        cluster.workers = [cluster.add_node(num_cpus=1, **node) for _ in range(2)]
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(PHOTOS):
        write_photo(folder / f"{i:03}.jpg", i % 2, i)
    (folder / "broken.jpg").write_bytes(b"no photo")
    (folder / "copy.jpg").write_bytes((folder / "007.jpg").read_bytes())
    return folder


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_worker_dies_and_the_result_is_that_of_the_local_engine(
    cluster: Any, photos: Path, options: Callable[..., MineOptions], tmp_path: Path, gate: str
) -> None:
    local = mine_photos(options(photos, "local", sample=None, unlike=9, margin=5))

    out = tmp_path / "ray"
    command = [sys.executable, "-m", "plantood", "mine", str(photos), "--gate", gate]
    command += ["--sample", "all", "--unlike", "9", "--margin", "5", "--audit", "0"]
    command += ["--near-duplicates", "--engine", "ray"]
    process = subprocess.Popen(
        [*command, "--out", str(out)],
        env=os.environ | {"RAY_ADDRESS": cluster.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    scored_before = 0
    while process.poll() is None and not scored_before:
        scored_before = len(lines(out / "scores.jsonl"))
        time.sleep(0.02)
    cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert 0 < scored_before < PHOTOS  # it was killed midway

    assert (out / "mined.csv").read_text() == (local.path / "mined.csv").read_text()
    assert (out / "unreadable.csv").read_text() == (local.path / "unreadable.csv").read_text()
    assert lines(out / "scores.jsonl") == lines(local.path / "scores.jsonl")
    assert len(lines(out / "scores.jsonl")) == PHOTOS


def test_thresholds_and_limits_reach_workers_that_have_another_environment(
    cluster: Any, tmp_path: Path, gate: str
) -> None:
    for i in range(9):
        write_photo(tmp_path / "photos" / f"{i}.jpg", i % 2, i)
    Image.fromarray(draw(1, 1, 1100)).save(tmp_path / "photos" / "wide.jpg")
    set_here = {
        "PLANTOOD_POLICY": "plant_threshold=0.02,min_sharpness=0.27",
        "PLANTOOD_MAX_MEGAPIXELS": "1",
    }

    def mined(out: str, *options: str, **environment: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "plantood", "mine", str(tmp_path / "photos")]
        command += ["--gate", gate, "--out", str(tmp_path / out), *options]
        subprocess.run(command, env=os.environ | environment, check=True, timeout=240)
        return lines(tmp_path / out / "scores.jsonl")

    local = mined("local", **set_here)
    assert len(local) == 9
    assert mined("ray", "--engine", "ray", **set_here, RAY_ADDRESS=cluster.address) == local
    assert [line for line in mined("usual") if not line["path"].endswith("wide.jpg")] != local


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "no Ray cluster at RAY_ADDRESS=127.0.0.1:1"),
        ("ray://127.0.0.1:1", "cannot use the client address"),
    ],
)
def test_an_address_that_cannot_be_used(
    photos: Path,
    options: Callable[..., MineOptions],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    says: str,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SettingsError, match=says):
        mine_photos(options(photos, engine="ray"))


def test_without_ray_it_says_what_to_install(
    photos: Path, options: Callable[..., MineOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r'pip install "\./plantood\[ray\]"'):
        mine_photos(options(photos, engine="ray"))
