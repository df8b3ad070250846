"""A file as its decoder gets it: with the picture, and without all else.

What cameras, editors and strangers write beside a picture is of no use to a decoder, but costs it
memory and time, and is where two readers of a file understand different things. So it is taken out
first, in a module for each format; the one thing that matters of it, how the photo is to be turned,
is read there, too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bare:
    """A file without metadata.

    Attributes:
        data: What the decoder is given.
        orientation: How the photo is still to be turned when the decoder is done, 1 to 8.
        pixels: That the decoder has in memory at least, at a time; 0 for those of the picture.
        work: Pixels that it decodes in all; 0 for those of the picture.
        memory: Bytes that it takes beside them.
    """

    data: bytes
    orientation: int = 1
    pixels: int = 0
    work: int = 0
    memory: int = 0
