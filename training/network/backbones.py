"""Backbones: the table of convolutional networks, each with its input size and preprocessing.

Every backbone takes uint8 RGB photos and folds its own preprocessing into the graph, so that
whoever calls it, in training or in serving, never has to know what the network expects.
Adding one means one function and one line in `BACKBONES`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from plantood.errors import WeightsUnavailable
from plantood.model.entry import KERAS
from plantood.training.network import efficientnet_lite
from plantood.training.network.classifier import backbone_of, load_classifier
from plantood.training.network.weights import told_by_version

REMEDY = "give a file (--weights FILE) or take the starter gate's backbone (--weights starter)"


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its pixels: ``y = (x - mean) * scale`` per channel.

    Attributes:
        channel_order: Order of the channels after preprocessing; photos always come as RGB.
        mean: Subtracted, in pixel values 0..255, in ``channel_order``.
        scale: Multiplied after the subtraction, in ``channel_order``.
    """

    channel_order: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __call__(self, images: Any) -> Any:
        """Apply to a Keras tensor, uint8 RGB [N,H,W,3] -> float32 [N,H,W,3].

        Only `Rescaling` and an index, which have no parameters: weight files made without the
        preprocessing keep their layer numbering, and the constants fold into the exported graph
        (those of `keras.layers.Normalization` would become extra inputs of it).
        """
        if self.channel_order == "bgr":
            images = keras.ops.take(images, [2, 1, 0], axis=-1)
        offset = tuple(-m * s for m, s in zip(self.mean, self.scale, strict=True))
        rescaling = layers.Rescaling(
            _one_if_equal(self.scale), _one_if_equal(offset), name="preprocessing"
        )
        return rescaling(images)

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Apply to an array, uint8 RGB [..., 3] -> float32 [..., 3]; the formula, spelt out."""
        if self.channel_order == "bgr":
            images = images[..., ::-1]
        mean, scale = np.array(self.mean, np.float32), np.array(self.scale, np.float32)
        return (images.astype(np.float32) - mean) * scale

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for `gate.json`."""
        return asdict(self)


def _one_if_equal(values: tuple[float, ...]) -> float | list[float]:
    """One number for all channels, where it will do.

    The runtime repeats a vector of three far more slowly (ResNet50: 0.5 of 40 ms a photo), and
    drops a factor of one altogether.
    """
    return values[0] if len(set(values)) == 1 else list(values)


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        name: Key in `BACKBONES`.
        input_size: Side of the square input, pixels.
        channels: Channels of the feature map.
        preprocessing: Folded into the graph in front of the network.
        build: ``(preprocessed tensor, "imagenet" or None) -> keras.Model`` without its top.
        source: Where architecture and preprocessing come from.
    """

    name: str
    input_size: int
    channels: int
    preprocessing: Preprocessing
    build: Callable[[Any, str | None], keras.Model]
    source: str


def _application(build: Callable[..., keras.Model], **options: Any) -> Callable[..., keras.Model]:
    """Wrap a `keras.applications` function to the signature of `Backbone.build`."""

    def build_on(tensor: Any, weights: str | None) -> keras.Model:
        return build(include_top=False, weights=weights, input_tensor=tensor, **options)

    return build_on


_MINUS_ONE_TO_ONE = Preprocessing(mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)

BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="resnet50",
            input_size=224,
            channels=2048,
            # The "caffe" convention of keras.applications: BGR, ImageNet mean, not scaled.
            preprocessing=Preprocessing(channel_order="bgr", mean=(103.939, 116.779, 123.68)),
            build=_application(keras.applications.ResNet50),
            source="He et al. 2016, https://arxiv.org/abs/1512.03385",
        ),
        Backbone(
            name="efficientnet_lite0",
            input_size=224,
            channels=1280,
            preprocessing=Preprocessing(mean=(127.0,) * 3, scale=(1 / 128,) * 3),
            build=efficientnet_lite.build,
            source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        ),
        Backbone(
            name="mobilenet",
            input_size=224,
            channels=1024,
            preprocessing=_MINUS_ONE_TO_ONE,
            build=_application(keras.applications.MobileNet),
            source="Howard et al. 2017, https://arxiv.org/abs/1704.04861",
        ),
        Backbone(
            name="mobilenet_v3_small",
            input_size=224,
            channels=576,
            preprocessing=_MINUS_ONE_TO_ONE,
            build=_application(keras.applications.MobileNetV3Small, include_preprocessing=False),
            source="Howard et al. 2019, https://arxiv.org/abs/1905.02244",
        ),
        Backbone(
            name="efficientnetv2_b0",
            input_size=224,
            channels=1280,
            # "torch" convention: 0..1, ImageNet mean and standard deviation.
            preprocessing=Preprocessing(
                mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
                scale=(1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
            ),
            build=_application(keras.applications.EfficientNetV2B0, include_preprocessing=False),
            source="Tan and Le 2021, https://arxiv.org/abs/2104.00298",
        ),
    )
}


def build_backbone(name: str, weights: str | Path = "imagenet") -> keras.Model:
    """Build a backbone with its preprocessing folded in.

    Args:
        name: A key of `BACKBONES`.
        weights: ``"imagenet"`` (downloaded by Keras once, then cached), ``"none"`` (random),
            ``"starter"`` (the backbone of the gate that ships with the package), or the path of
            a ``.weights.h5``, ``.h5`` or ``.keras`` file that holds this backbone.

    Returns:
        A model named ``backbone``: uint8 RGB [N,S,S,3] -> float32 feature map [N,h,w,C]. It is
        made of built-in layers only, so that it reloads with ``safe_mode=True``.

    Raises:
        WeightsUnavailable: The weights are not here, do not fit this backbone, or are of a newer
            Keras.
        ValueError: There is no backbone of this name.
    """
    if name not in BACKBONES:
        raise ValueError(f"There is no backbone {name!r}; there are {', '.join(BACKBONES)}.")
    spec = BACKBONES[name]
    image = keras.Input((spec.input_size, spec.input_size, 3), dtype="uint8", name="image")
    preprocessed = spec.preprocessing(image)
    if weights == "imagenet":
        network = _build_imagenet(spec, preprocessed)
    else:
        network = spec.build(preprocessed, None)
    # One flat model, not a model around a model: weight files of the bare network fit it.
    backbone = keras.Model(image, network.output, name="backbone")
    if weights == "starter":
        _load_starter(backbone, name)
    elif weights not in ("imagenet", "none"):
        _load_file(backbone, name, Path(weights))
    return backbone


def _build_imagenet(spec: Backbone, preprocessed: Any) -> keras.Model:
    try:
        return spec.build(preprocessed, "imagenet")
    except WeightsUnavailable:
        raise
    except Exception as error:  # Keras raises a bare Exception when the download fails
        raise WeightsUnavailable(
            f"The ImageNet weights of {spec.name} are not on this machine and could not be "
            f"downloaded ({_first_line(error)}); {REMEDY}."
        ) from error


def _load_starter(backbone: keras.Model, name: str) -> None:
    from plantood.model.starter import starter_backbone, starter_dir

    if starter_backbone() != name:
        raise WeightsUnavailable(
            f"The starter gate's backbone is {starter_backbone()}, not {name}; "
            f"take --backbone {starter_backbone()}, or give a file (--weights FILE)."
        )
    _load_file(backbone, name, starter_dir() / KERAS)


def _load_file(backbone: keras.Model, name: str, path: Path) -> None:
    with told_by_version(path):
        _load_or_refuse(backbone, name, path)


def _load_or_refuse(backbone: keras.Model, name: str, path: Path) -> None:
    if not path.is_file():
        raise WeightsUnavailable(f"There is no weights file {path}; {REMEDY}.")
    try:
        if path.suffix == ".keras":
            stored = load_classifier(path)
            if any(layer.name == "backbone" for layer in stored.layers):
                stored = backbone_of(stored)
            backbone.set_weights(stored.get_weights())
        else:
            with warnings.catch_warnings():
                # Of a wrong file Keras warns a hundred times before it raises.
                warnings.simplefilter("ignore", UserWarning)
                backbone.load_weights(path)
    except Exception as error:  # Keras, h5py and zipfile each raise their own kinds
        raise WeightsUnavailable(
            f"The file {path} does not hold weights of {name} without its classifier "
            f"({_first_line(error)}); {REMEDY}."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
