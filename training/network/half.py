"""Half-precision storage: weights kept in float16, computed in float32.

Only kernels, arrays of two and more dimensions, are halved. Biases and BatchNorm statistics are
a hundredth of the bytes, and a moving variance may well lie outside the range of float16.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_KERAS_WEIGHTS = "model.weights.h5"


def fits_half(array: np.ndarray) -> bool:
    """Say whether an array is a float32 kernel that float16 can hold without overflow."""
    return (
        array.dtype == np.float32
        and array.ndim >= 2
        and bool(np.abs(array).max(initial=0) <= np.finfo(np.float16).max)
    )


def halve_onnx(path: str | Path) -> None:
    """Store the kernels of an ONNX graph in float16, in place.

    Each gets a Cast node back to float32, which ONNX Runtime folds when the session starts, so
    that inference runs the float32 kernels at their full speed.
    """
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for index, initializer in enumerate(list(graph.initializer)):
        array = numpy_helper.to_array(initializer)
        if not fits_half(array):
            continue
        name = initializer.name
        stored = numpy_helper.from_array(array.astype(np.float16), f"{name}_float16")
        graph.initializer[index].CopyFrom(stored)
        cast = helper.make_node("Cast", [stored.name], [name], f"{name}_cast", to=TensorProto.FLOAT)
        casts.append(cast)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def halve_keras(path: str | Path) -> None:
    """Store the kernels of a ``.keras`` file in float16, in place; Keras casts back on loading."""
    path = Path(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[_KERAS_WEIGHTS] = _halve_h5(members[_KERAS_WEIGHTS])
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            # A fixed date, so that the same weights give the same bytes and the same digest.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    partial.replace(path)


def _halve_h5(content: bytes) -> bytes:
    """Copy an HDF5 file with its kernels in float16 (deleting in place would free no space)."""
    halved = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(halved, "w") as target:
        _copy_attributes(source, target)

        def copy(name: str, node: h5py.Group | h5py.Dataset) -> None:
            if isinstance(node, h5py.Dataset):
                array = node[()]
                is_kernel = isinstance(array, np.ndarray) and fits_half(array)
                made = target.create_dataset(
                    name, data=array.astype(np.float16) if is_kernel else array
                )
            else:
                made = target.require_group(name)
            _copy_attributes(node, made)

        source.visititems(copy)
    return halved.getvalue()


def _copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value
