from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.service.server import ROOT

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
ABSENT = ("tensorflow", "keras", "h5py", "onnx", "tf2onnx", "filelock", "matplotlib")
ABSENT = (*ABSENT, "sklearn", "scipy")  # BentoML itself needs jinja2


def test_it_needs_no_more_than_serving(tag: str, few: Make, tmp_path: Path) -> None:
    arguments = ["adapt", tag, str(few()), "--gate-name", "bare"]
    code = WITHOUT.format(absent=ABSENT, arguments=[*arguments, "--cache", str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "Saved as bare:" in done.stdout
