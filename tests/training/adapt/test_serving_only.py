from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round
from tests.service.server import ROOT
from tests.training.adapt.conftest import blue
from tests.training.review.rounds import make_round

Make = Callable[..., Path]
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name, name=name.split(".")[0])
sys.meta_path.insert(0, Absent())
from plantood.cli import main
main({arguments!r})
"""
ABSENT = ("tensorflow", "keras", "h5py", "onnx", "tf2onnx", "matplotlib")
ABSENT = (*ABSENT, "sklearn", "scipy")  # BentoML itself needs jinja2


def run_without(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A command where nothing is installed but what serving needs."""
    code = WITHOUT.format(absent=ABSENT, arguments=arguments)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_it_needs_no_more_than_serving(tag: str, few: Make, tmp_path: Path) -> None:
    """Not either to read a round, nor to write one of labels that are probably wrong."""
    folder = few()
    Image.fromarray(blue(1500)).save(folder / "other" / "leaf.jpg", quality=95)
    round_ = make_round(tmp_path / "round", 4)
    round_.append_decisions(
        Decision(reviewer="ann", id=photo.id, label="plant") for photo in round_.mined()[:3]
    )
    arguments = ["adapt", tag, str(folder), str(round_.path), "--gate-name", "bare"]
    arguments += ["--cache", str(tmp_path / "cache"), "--runs", str(tmp_path / "runs")]
    done = run_without([*arguments, "--share-of-others", "0.4"])
    assert done.returncode == 0, done.stderr
    assert "Saved as bare:" in done.stdout
    assert "Compared on 13 new plants and 11 new others" in done.stdout
    (written,) = (tmp_path / "runs").glob("adapt-*/wrong-labels")
    assert Path(Round.open(written).mined()[0].path).name == "leaf.jpg"
