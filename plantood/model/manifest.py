"""`gate.json`: what a gate model is, and what it learned from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from plantood.model.parts.calibration import Calibration
from plantood.model.parts.policy import Policy

FORMAT_VERSION: Final = 1
ACCURACY_LOW, ACCURACY_HIGH = "accuracy_low", "accuracy_high"
"""Beside the accuracy in a summary of the figures: the ends of its 95 % interval."""


class TrainingData(BaseModel):
    """One collection of photos that a gate model learned from, so that it can be found again."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["photos", "round", "negatives"] = Field(
        description="Labelled photos, a round of the flywheel, or negatives cut from photos."
    )
    path: str = Field(description="Folder or manifest on the machine where it was trained.")
    photos: int = Field(ge=0, description="Usable photos in it.")
    labels_sha256: str = Field(
        description="Digest of its labels: which photo, by the SHA-256 of its bytes, is what."
    )
    left_out: tuple[str, ...] = Field(
        default=(), description="Sources in it that were set aside on purpose."
    )
    at_most_per_source: int | None = Field(
        default=None, description="Photos taken of each source, if not all."
    )


class GateManifest(BaseModel):
    """`gate.json`: what a gate model is, and the digests of its files."""

    model_config = ConfigDict(frozen=True)

    format_version: Literal[1] = Field(default=FORMAT_VERSION, description="Layout of the entry.")
    backbone: str = Field(description="Name of the backbone.")
    head: str = Field(description="Name of the head.")
    input_size: int = Field(gt=0, description="Side of the square input in pixels.")
    preprocessing: dict[str, Any] = Field(
        description="What the graph does to the uint8 RGB pixels first: (x - mean) * scale."
    )
    classes: dict[str, str] = Field(default={"0": "other", "1": "plant"})
    policy: Policy = Field(description="Thresholds that turn scores into a verdict.")
    calibration: Calibration | None = Field(
        default=None,
        description="What the scorer makes of the head's P(plant) before anybody sees it; None "
        "leaves it as it is.",
    )
    quantization: Literal["float16", "int8"] | None = Field(
        default=None, description="How the exported graph stores the backbone; None is float32."
    )
    parent: str | None = Field(default=None, description="Tag that this one was fine-tuned from.")
    data: tuple[TrainingData, ...] = Field(
        default=(), description="What it was trained on, its parents' first; may be unknown."
    )
    created: datetime = Field(description="When it was trained, UTC.")
    versions: dict[str, str] = Field(description="Versions of the libraries that made it.")
    metrics_summary: dict[str, float] = Field(
        default={}, description="The few figures shown in listings; all are in metrics.json."
    )
    files: dict[str, str] = Field(description="SHA-256 of each file of the entry.")

    @field_validator("policy", mode="before")
    @classmethod
    def _without_former_thresholds(cls, stored: Any) -> Any:
        """Gates of an earlier plantood have a limit of what is measured no more."""
        if isinstance(stored, dict):
            return {name: limit for name, limit in stored.items() if name != "max_unfamiliarity"}
        return stored
