from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import pytest

from plantood.errors import WeightsUnavailable
from plantood.model.entry import KERAS
from plantood.model.starter import starter_dir
from plantood.training.network.backbones import build_backbone
from plantood.training.network.classifier import load_classifier
from plantood.training.network.weights import saved_by

NEWER = "99.1.0"


def of_version(file: Path, version: str, config: str | None = None) -> Path:
    """The starter's Keras model, as another version would have saved it."""
    with zipfile.ZipFile(starter_dir() / KERAS) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "metadata.json":
                content = json.dumps(json.loads(content) | {"keras_version": version}).encode()
            if name == "config.json" and config is not None:
                content = config.encode()
            target.writestr(name, content)
    return file


def test_a_file_of_a_newer_keras_names_both_versions(tmp_path: Path) -> None:
    unknown = json.dumps({"module": "keras.layers", "class_name": "Newest", "config": {}})
    file = of_version(tmp_path / "newer.keras", NEWER, unknown)
    assert saved_by(file) == NEWER
    said = rf"newer\.keras was saved by Keras {NEWER}, and this is Keras {keras.__version__}"
    with pytest.raises(WeightsUnavailable, match=said):
        build_backbone("efficientnet_lite0", str(file))
    with pytest.raises(WeightsUnavailable, match=said):
        load_classifier(file)


def test_what_can_be_read_is_whoever_saved_it(tmp_path: Path) -> None:
    assert load_classifier(of_version(tmp_path / "newer.keras", NEWER)).get_layer("head")


def test_a_file_of_this_keras_that_is_wrong_is_told_as_such(tmp_path: Path) -> None:
    file = of_version(tmp_path / "same.keras", keras.__version__, "{}")
    with pytest.raises(WeightsUnavailable, match="does not hold weights of efficientnet_lite0"):
        build_backbone("efficientnet_lite0", str(file))
    (tmp_path / "no.h5").write_bytes(b"no file of weights")
    assert saved_by(tmp_path / "no.h5") == ""
    assert saved_by(tmp_path / "gone.h5") == ""
