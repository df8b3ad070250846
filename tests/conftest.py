from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest

TESTS = Path(__file__).parent
SAMPLES = TESTS.parent / "plantood" / "model" / "starter" / "samples"

# The same examples on every run, and no wall clock: a machine may be shared.
hypothesis.settings.register_profile(
    "tests", derandomize=True, database=None, deadline=None, max_examples=100
)
hypothesis.settings.load_profile("tests")

SLOW = (
    "bento",
    "cli/test_check.py",
    "cli/test_main.py",
    "cli/test_models.py",
    "cli/test_serve.py",
    "compose",
    "deploy",
    "docs/test_site.py",
    "docs/test_tutorial.py",
    "examples",
    "http/test_protocol.py",
    "http/test_uploads.py",
    "judging/capture/test_destination.py::test_several_processes",
    "judging/test_judge.py",
    "model/test_saving.py::test_killed_anywhere",
    "model/test_starter.py::test_several_processes",
    "model/test_store.py::test_bentoml_lists",
    "model/test_store.py::test_export_and_import",
    "photo/formats/test_vp8l.py::test_a_large_lossless_photo",
    "photo/formats/test_vp8l.py::test_what_an_encoder_writes",
    "photo/test_decoding.py::test_one_that_is_given_up_while_it_waits",
    "photo/test_heif.py::test_tiles",
    "photo/test_memory.py",
    "photo/test_small_files.py",
    "security",
    "service",
    "test_benchmarks.py::test_the_funnel",
    "test_build.py",
    "test_probes.py",
    "test_sbom.py",
    "test_wheel.py",
    "training/adapt/test_run.py::test_killed_anywhere",
    "training/common/test_gates.py::test_the_starter_is_within_reach",
    "training/files/test_paths.py::test_photos_with_such_names",
    "training/finetune",
    "training/fitting",
    "training/mining",
    "training/negatives",
    "training/network",
    "training/photos/test_hashes.py::test_thirty_thousand_photos",
    "training/recipe",
    "training/report/test_html.py",
    "training/review/server/test_app.py",
    "training/review/server/test_connection.py",
    "training/review/server/test_pictures.py::test_a_photo_may_have_as_many_bytes",
    "training/review/test_http.py",
    "training/review/test_kill.py",
    "training/review/test_page",
    "training/review/test_strangers.py::test_a_body_that_breaks_off",
    "training/starter",
    "training/train",
)
"""Beginnings of the names of what `pytest -m "not slow"` leaves out, as it does all that reads real
photos: it starts a server, a browser or TensorFlow, builds a bento, or takes more than a second."""
QUICK = ("compose/method", "compose/test_remote_arguments.py")
"""And what it does not."""


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a Bento store of its own, before anything imports bentoml."""
    config.stash_home = tempfile.mkdtemp(prefix="plantood-tests-")
    os.environ["BENTOML_HOME"] = config.stash_home
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash_home, ignore_errors=True)


def is_slow(name: str) -> bool:
    return name.startswith(SLOW) and not name.startswith(QUICK)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what the fast loop leaves out: that takes a third of its time."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return is_slow(collection_path.relative_to(TESTS).as_posix()) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        real = "shared" in getattr(item, "fixturenames", ())
        if real or is_slow(item.nodeid.removeprefix("tests/")):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and weights outside the repository."""
    from plantood.training.common.shared import VARIABLE, shared_dir

    folder = shared_dir()
    if folder is None:
        pytest.skip(f"there is no folder of photos and weights; {VARIABLE} names it")
    return folder


@pytest.fixture(scope="session")
def sample_inputs() -> dict[str, np.ndarray]:
    """The whole sample photos that ship, as model inputs uint8 [224,224,3], by file name."""
    from plantood.photo.images import load_image, to_model_input

    photos = [path for path in sorted(SAMPLES.glob("*.jpg")) if path.name != "broken_upload.jpg"]
    return {path.name: to_model_input(load_image(path)) for path in photos}
