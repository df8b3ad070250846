"""A gate unlike the starter: 96 pixels a side, three channels, "greener than red" as plant."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from plantood.model.entry import write_entry
from plantood.model.manifest import TrainingData
from plantood.model.parts.policy import Policy
from plantood.model.saving import save_gate
from tests.service.server import ROOT, environment

SIZE = 96
FARM = "/home/someone/farm"
"""Where it claims to have been trained."""


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict) -> None:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def build(directory: Path) -> None:
    """Write the entry: average colours on a 3x3 grid, then a sigmoid of green minus red."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
    features = helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["N", 3, 3, 3])
    probability = helper.make_tensor_value_info("plant_probability", TensorProto.FLOAT, ["N"])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3])
    node = helper.make_node
    _save(
        directory / "backbone.onnx",
        [
            node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
            node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
            node("AveragePool", ["nchw"], ["pooled"], kernel_shape=[32, 32], strides=[32, 32]),
            node("Transpose", ["pooled"], ["feature_map"], perm=[0, 2, 3, 1]),
        ],
        [image],
        [features],
        {},
    )
    _save(
        directory / "head.onnx",
        [
            node("ReduceMean", ["feature_map"], ["embedding"], axes=[1, 2], keepdims=0),
            node("MatMul", ["embedding", "weights"], ["logit"]),
            node("Sigmoid", ["logit"], ["plant_probability"]),
        ],
        [features],
        [probability, embedding],
        {"weights": np.array([-0.2, 0.2, 0], np.float32)},
    )
    (directory / "model.keras").write_bytes(b"not needed for serving")
    write_entry(
        directory,
        backbone="mean_colour",
        head="green_minus_red",
        input_size=SIZE,
        preprocessing={},
        policy=Policy(),
        metrics={"auroc": math.nan},
        card="# Greener than red",
        data=[TrainingData(kind="photos", path=FARM, photos=3, labels_sha256="0")],
    )


def save(home: Path, *versions: str) -> None:
    """Save it into the Bento store of a folder; this process has another one."""
    command = [sys.executable, "-m", "tests.service.tiny_gate", *versions]
    subprocess.run(command, env=environment(home), cwd=ROOT, check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        for version in sys.argv[1:]:
            save_gate(folder, version=version)
