"""The weighted loss: a false accept and a false retake do not cost the same.

The source project multiplies the cross-entropy by 3 where ``y_true > y_pred``, that is for
plants, although its stated reason asks for the opposite; and by multiplying shapes ``(batch,)``
and ``(batch, 1)`` it weights every photo by every other photo's weight. Here the weight belongs
to the photo: an *other* can only become a false accept, a *plant* only a false retake.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from plantood.training.common.settings import FitSettings
from plantood.training.judging.metrics import EPSILON, cross_entropy


@keras.saving.register_keras_serializable(package="plantood")
class WeightedBinaryCrossentropy(keras.losses.Loss):  # type: ignore[misc] # Keras is untyped
    """Binary cross-entropy with a weight per class, applied photo by photo.

    ``loss_i = -w_r * y_i * log(p_i) - w_a * (1 - y_i) * log(1 - p_i)`` with the weights ``w_a``
    of false accepts (on others) and ``w_r`` of false retakes (on plants). Labels and predictions
    may be ``(batch,)`` or ``(batch, 1)`` each; the result is one value per photo before reduction.
    """

    def __init__(
        self,
        false_accept_weight: float = 3.0,
        false_retake_weight: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str = "weighted_binary_crossentropy",
    ) -> None:
        """Weights must be positive numbers."""
        super().__init__(reduction=reduction, name=name)
        if false_accept_weight <= 0 or false_retake_weight <= 0:
            raise ValueError("weights of the loss must be positive")
        self.false_accept_weight = float(false_accept_weight)
        self.false_retake_weight = float(false_retake_weight)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Weighted loss of each photo, ``(batch,)``."""
        # Flat first: (batch,) * (batch, 1) would broadcast to (batch, batch).
        p = ops.clip(ops.reshape(y_pred, (-1,)), EPSILON, 1 - EPSILON)
        y = ops.cast(ops.reshape(y_true, (-1,)), p.dtype)
        return -(
            self.false_retake_weight * y * ops.log(p)
            + self.false_accept_weight * (1 - y) * ops.log(1 - p)
        )

    def get_config(self) -> dict[str, float | str]:
        """What is needed to build the same loss again."""
        return {
            "false_accept_weight": self.false_accept_weight,
            "false_retake_weight": self.false_retake_weight,
            "reduction": self.reduction,
            "name": self.name,
        }


def loss_of(settings: FitSettings) -> WeightedBinaryCrossentropy:
    """The loss that a run asks for."""
    return WeightedBinaryCrossentropy(*settings.loss_weights)


def mean_loss(
    loss: WeightedBinaryCrossentropy,
    labels: ArrayLike,
    probabilities: ArrayLike,
    weights: NDArray[np.floating] | None = None,
) -> float:
    """The same loss over whole arrays in NumPy, ``[N]`` each: the mean over the photos.

    Args:
        loss: with the weights of both errors.
        labels: 1 = plant.
        probabilities: P(plant).
        weights: of the photos in the mean; by default all the same.
    """
    y = np.asarray(labels).ravel()
    weight = np.where(y == 1, loss.false_retake_weight, loss.false_accept_weight)
    return float(np.average(weight * cross_entropy(y, probabilities), weights=weights))
