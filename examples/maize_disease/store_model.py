"""Put the trained model into the Bento model store, from where the service loads it.

python store_model.py
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import bentoml
from bentoml.exceptions import NotFound

from detector import MODEL_FILE, MODEL_TAG

MODEL = Path(__file__).parent / "model"
FILES = (MODEL_FILE, "metrics.json", "card.md")


def store(directory: Path = MODEL, tag: str = MODEL_TAG) -> bentoml.Tag:
    """Copy the files of a trained model into the store, unless it has them.

    Args:
        directory: As `train.py` writes it.
        tag: Name and version in the store.

    Returns:
        The tag.

    Raises:
        SystemExit: A file is missing, or the store has another model under this tag.
    """
    if missing := [name for name in FILES if not (directory / name).is_file()]:
        raise SystemExit(f"{directory} lacks {', '.join(missing)}; train first: python -m train")
    digest = hashlib.sha256((directory / MODEL_FILE).read_bytes()).hexdigest()
    try:
        stored = bentoml.models.get(tag)
    except NotFound:
        pass
    else:
        if stored.info.metadata.get("sha256") != digest:
            raise SystemExit(
                f"The store has another model {tag}; raise the version of MODEL_TAG in detector.py."
            )
        return stored.tag
    accuracy = json.loads((directory / "metrics.json").read_text())["test"]["accuracy"]
    with bentoml.models.create(
        tag,
        module="maize_disease",
        labels={"kind": "maize-disease"},
        metadata={"sha256": digest, "test_accuracy": accuracy},
    ) as model:
        for name in FILES:
            shutil.copyfile(directory / name, Path(model.path) / name)
    return model.tag


if __name__ == "__main__":
    print(store(Path(sys.argv[1]) if sys.argv[1:] else MODEL))
