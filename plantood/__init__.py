"""plantood: a gate that says `accept` or `retake` before a plant-disease detector sees a photo."""

from __future__ import annotations

__version__ = "0.1.0"
