from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.server import ROOT, Server, serving

MANIFEST_SETTINGS = ROOT / "deploy" / "kubernetes" / "base" / "bentoml.yaml"


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with the settings of the Kubernetes manifests."""
    home = tmp_path_factory.mktemp("attacked")
    with serving(home, BENTOML_CONFIG=str(MANIFEST_SETTINGS)) as server:
        yield server
