"""Block 15 and the head convolution fine-tuned under the probe, then averaged with the original.

* LP-FT (Kumar et al. 2022, *Fine-Tuning can Distort Pretrained Features and Underperform
  Out-of-Distribution*, ICLR): the head comes from the linear probe, so that the first gradients
  do not tear the features apart. The head stays as the probe left it.
* WiSE-FT (Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*, CVPR): the weights
  ``(1 - share) * pretrained + share * fine-tuned`` transfer better than either end.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from plantood.model.heads import build_head
from training.starter.bank import CACHED
from training.starter.probe import Probe

Weights = list[NDArray[np.float32]]

SETTINGS = STEPS, BATCH, RATE, SHARE = 250, 64, 4e-4, 0.5
HEAD = "gap_l2"


class _Batches(keras.utils.PyDataset):
    """Batches of cached maps, drawn with replacement by weight."""

    def __init__(
        self,
        maps: NDArray[np.float16],
        plant: NDArray[np.bool_],
        weights: NDArray[np.float64],
        steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(weights), (steps, BATCH), p=weights / weights.sum())
        self._maps, self._plant, self._chosen = maps, plant, np.sort(chosen, axis=1)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self._chosen[step]
        return self._maps[rows].astype(np.float32), self._plant[rows, None].astype(np.float32)


def top_of(backbone: keras.Model) -> keras.Model:
    """The layers above the cached one: maps ``[N, 7, 7, 192]`` to feature maps ``[N, 7, 7, C]``.

    They share their weights with ``backbone``: what is trained here is trained there.
    """
    return keras.Model(backbone.get_layer(CACHED).output, backbone.output)


def probe_head(probe: Probe, feature_shape: tuple[int, int, int]) -> keras.Model:
    """The probe as the head of a gate model: feature map to P(plant) ``[N, 1]``."""
    head = build_head(HEAD, feature_shape, dropout=0.0)
    head.get_layer("plant_probability").set_weights(
        [probe.kernel[:, None], np.float32([probe.bias])]
    )
    return head


def finetune(
    top: keras.Model,
    probe: Probe,
    maps: NDArray[np.float16],
    plant: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    steps: int = STEPS,
    rate: float = RATE,
    share: float = SHARE,
    seed: int = 0,
) -> None:
    """Train ``top`` in place under the fixed probe, and average it with what it was before.

    Args:
        top: of `top_of`, with the pretrained weights.
        probe: fitted on the embeddings that these weights give.
        maps: cached maps ``[N, 7, 7, 192]``.
        plant: labels ``[N]``.
        weights: of the samples ``[N]``; a batch is drawn in proportion to them.
        steps: batches, warmed up over a tenth of them and then cooled by a cosine.
        rate: highest learning rate.
        share: of the fine-tuned weights in the average.
        seed: of the batches.
    """
    keras.utils.set_random_seed(seed)
    before = top.get_weights()
    head = probe_head(probe, top.output_shape[1:])
    head.trainable = False
    for layer in top.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # stays in inference mode
    model = keras.Model(top.input, head(top.output))
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-7, steps - steps // 10, warmup_target=rate, warmup_steps=steps // 10
    )
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.0), "binary_crossentropy")
    model.fit(_Batches(maps, plant, weights, steps, seed), shuffle=False, verbose=0)
    top.set_weights(blend(before, top.get_weights(), share))


def blend(before: Weights, after: Weights, share: float) -> Weights:
    """WiSE-FT: ``(1 - share) * before + share * after``, array by array."""
    return [b + np.float32(share) * (a - b) for b, a in zip(before, after, strict=True)]
