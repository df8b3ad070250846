"""Size of the gate's bento with all that it installs, and what it would be with TensorFlow.

    python -m benchmarks.bento_size --write docs/containers.md

Builds the bento, and installs its packages into a new environment, without and with TensorFlow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import bentoml
import click
from bentoml._internal.configuration import get_uv_command

from plantood.model.entry import KERAS
from plantood.training.common.tables import markdown, write_between_markers

ROOT = Path(__file__).parents[1]
SERVING, TENSORFLOW = ROOT / "requirements.txt", "tensorflow"


def size(folder: Path) -> int:
    """Bytes of all files below a folder; links count as nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


def environment_size(folder: Path, *packages: str) -> int:
    """Bytes that these packages and what they need take, installed as in an image."""
    uv = get_uv_command()
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "-r", str(SERVING)]
    subprocess.run(
        [*install, *packages, "--constraints", str(ROOT / "constraints.txt")],
        env=os.environ | {"VIRTUAL_ENV": str(folder)},
        check=True,
    )
    return size(folder)


def measure(work: Path) -> list[tuple[str, int]]:
    """Every part and its bytes."""
    os.environ["BENTOML_HOME"] = str(work / "bentoml")
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    tag = built.stdout.rsplit("__tag__:", 1)[1].strip().replace(":", "/")
    models = list((work / "bentoml" / "models").glob("*/*/model.yaml"))
    keras = sum(path.stat().st_size for path in (work / "bentoml" / "models").rglob(KERAS))
    serving = environment_size(work / "serving")
    return [
        ("code, description, locked requirements", size(work / "bentoml" / "bentos" / tag)),
        ("gate model: what serving reads", sum(size(path.parent) for path in models) - keras),
        (f"gate model: `{KERAS}`, left out of the image", keras),
        ("Python packages, installed and compiled", serving),
        ("the same with TensorFlow", environment_size(work / "with_tensorflow", TENSORFLOW)),
    ]


@click.command(help=__doc__)
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(write: Path | None) -> None:
    """Measure, print the table, and write it between its markers."""
    with tempfile.TemporaryDirectory() as temporary:
        parts = measure(Path(temporary))
    rows = [[part, f"{count / 1e6:.1f}"] for part, count in parts]
    text = f"`python -m {__spec__.name}`, BentoML {bentoml.__version__}\n\n"
    text += markdown(["part", "MB"], rows) + "\n"
    click.echo(text)
    if write:
        write_between_markers(write, "bento-size", text)


if __name__ == "__main__":
    main()
