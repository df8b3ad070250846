from __future__ import annotations

import pytest

from tests.deploy.pod import Image, build_image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The gate's bento, built and laid out as its container image has it."""
    return build_image(tmp_path_factory.mktemp("image"))
