"""The classifier: a backbone and a head as one Keras model, uint8 photos in, P(plant) out."""

from __future__ import annotations

from pathlib import Path

import keras

from plantood.training.network.weights import told_by_version


def build_classifier(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Join a backbone and a head; their weights are shared with the result, not copied.

    Args:
        backbone: From `build_backbone`, uint8 [N,S,S,3] -> float32 [N,h,w,C].
        head: From `build_head`, float32 [N,h,w,C] -> float32 [N,1].

    Returns:
        A model uint8 RGB [N,S,S,3] -> P(plant) float32 [N,1], with the named sub-models
        ``backbone`` and ``head``.
    """
    image = keras.Input(backbone.input_shape[1:], dtype="uint8", name="image")
    return keras.Model(image, head(backbone(image)), name="gate")


def backbone_of(model: keras.Model) -> keras.Model:
    """Return the backbone inside a classifier."""
    return model.get_layer("backbone")


def head_of(model: keras.Model) -> keras.Model:
    """Return the head inside a classifier."""
    return model.get_layer("head")


def set_backbone_trainable(model: keras.Model, trainable: bool) -> None:
    """Freeze or unfreeze the backbone of a classifier, in place; compile the model afterwards.

    Its BatchNorm layers stay frozen, which in Keras also keeps them in inference mode: with the
    small batches and few steps of fine-tuning, fresh batch statistics would undo what the
    backbone has learned (https://keras.io/guides/transfer_learning/).
    """
    backbone = backbone_of(model)
    backbone.trainable = trainable
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def load_classifier(path: str | Path) -> keras.Model:
    """Load a ``.keras`` file without running any code that it may carry.

    Raises:
        ValueError: The file holds custom code (a lambda layer), or is no Keras model.
        WeightsUnavailable: It is of a newer Keras, and this one cannot read it.
    """
    with told_by_version(Path(path)):
        return keras.saving.load_model(path, compile=False, safe_mode=True)
