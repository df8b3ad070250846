"""The contract: what the gate says about one photo.

This module imports nothing of ours, so that the author of a client can read it alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReasonCode(StrEnum):
    """Why a photo must be taken again. The values are part of the public contract.

    None is renamed or removed; a newer gate may have more of them.
    """

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    TOO_BLURRY = "too_blurry"
    NOT_A_PLANT = "not_a_plant"
    GATE_UNAVAILABLE = "gate_unavailable"


class Reason(BaseModel):
    """One reason for a retake."""

    model_config = ConfigDict(frozen=True)

    # the text of a newer gate is a reason all the same; what we know is a ReasonCode
    code: ReasonCode | str = Field(
        union_mode="left_to_right",
        description="Stable code for programs. More of them may be added.",
    )
    message: str = Field(description="A short sentence for the farmer, in the language asked for.")
    detail: str | None = Field(
        default=None, description="What exactly was wrong, in English, for the log of an engineer."
    )


class Quality(BaseModel):
    """What was measured on the photo before the network saw it."""

    model_config = ConfigDict(frozen=True)

    width: int = Field(description="Width of the upright photo in pixels, before any reduction.")
    height: int = Field(description="Height of the upright photo in pixels.")
    brightness: float = Field(ge=0, le=1, description="Mean brightness, 0 (black) to 1 (white).")
    highlights: float = Field(
        ge=0, le=1, description="Brightness of the bright parts (95th percentile)."
    )
    shadows: float = Field(ge=0, le=1, description="Brightness of the dark parts (5th percentile).")
    sharpness: float = Field(ge=0, le=1, description="Sharpness, 0 (blurred) to 1 (crisp).")

    @property
    def shorter_side(self) -> int:
        """The shorter side of the photo in pixels."""
        return min(self.width, self.height)


class Verdict(BaseModel):
    """The gate's answer for one photo."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["accept", "retake"] = Field(
        description="`accept`: send it to the detector. `retake`: ask for another photo."
    )
    reasons: list[Reason] = Field(
        default_factory=list, description="Why a retake; empty if the photo is accepted."
    )
    plant_probability: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="P(plant). None if the photo was refused before the network saw it.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Photos with a lower plant probability are `not_a_plant`; "
        "None if no gate judged.",
    )
    quality: Quality | None = Field(
        default=None, description="What was measured on the photo; None if it is unreadable."
    )
    model: str | None = Field(
        default=None,
        description="Tag of the gate model that judged. None if none could be asked: then the "
        "service in front of which the gate stands decided, by its setting `on_gate_error`.",
    )
    timings_ms: dict[str, float] = Field(
        default_factory=dict, description="Milliseconds spent by stage: decode, quality, score."
    )

    @property
    def accepted(self) -> bool:
        """True if the photo may go to the detector."""
        return self.verdict == "accept"

    @property
    def judged(self) -> bool:
        """False if no gate could be asked, so that the verdict says nothing about the photo."""
        return self.model is not None
