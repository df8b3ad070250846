"""How much memory decoding a photo takes at most, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.photos import encode

_MEASURE = """
import sys
from pathlib import Path
from plantood.errors import UnreadablePhoto
from plantood.photo.images import Limits, load_image, load_whole

def status(line):
    text = Path("/proc/self/status").read_text()
    return int(text.partition(line + ":")[2].split()[0]) * 1024

data = Path(sys.argv[1]).read_bytes()
load_image(Path(sys.argv[2]))  # what is imported and allocated with the first photo
asked = [0]
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
refused = ""
try:
    load = load_whole if sys.argv[4] else load_image
    load(data, Limits(max_bytes=1 << 30, max_memory=int(sys.argv[3])), asked.append)
except UnreadablePhoto as error:
    refused = str(error)
print(asked[-1], status("VmHWM") - before, refused, end="")
"""


@dataclass(frozen=True)
class Peak:
    """What one photo took.

    Attributes:
        asked: Bytes that it asked for; 0 if it was refused before.
        taken: Bytes by which the process grew, at most.
        refused: Why it was refused; empty if it was not.
    """

    asked: int
    taken: int
    refused: str


def peak(data: bytes, folder: Path, max_memory: int = 1 << 40, *, whole: bool = False) -> Peak:
    """Load a photo; of bytes that are none, too, what they took is measured.

    Args:
        data: The file.
        folder: An empty one.
        max_memory: Above which it is refused, in bytes.
        whole: All of its pixels are wanted.
    """
    photo, small = folder / "photo", folder / "small"
    photo.write_bytes(data)
    small.write_bytes(encode(Image.new("RGB", (700, 700), "green"), "PNG"))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, photo, small, str(max_memory), "whole" * whole],
        check=True,
        capture_output=True,
        text=True,
    )
    asked, taken, *refused = done.stdout.split(" ", 2)
    return Peak(int(asked), int(taken), "".join(refused))
