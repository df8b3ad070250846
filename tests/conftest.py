from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest

SAMPLES = Path(__file__).parents[1] / "plantood" / "model" / "starter" / "samples"

# The same examples on every run, and no wall clock: a machine may be shared.
hypothesis.settings.register_profile(
    "tests", derandomize=True, database=None, deadline=None, max_examples=100
)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a Bento store of its own, before anything imports bentoml."""
    config.stash_home = tempfile.mkdtemp(prefix="plantood-tests-")
    os.environ["BENTOML_HOME"] = config.stash_home
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash_home, ignore_errors=True)


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
