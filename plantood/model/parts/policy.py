"""Thresholds, and what they make of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plantood.errors import SettingsError
from plantood.verdict import Quality, ReasonCode


class Policy(BaseModel):
    """The thresholds of a gate; saved with its model, overridable by the service's settings.

    The defaults of the quality cues were set from photos: ``docs/quality.md`` has the false
    retakes and the catches that they give.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plant_threshold: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="`not_a_plant` below this plant probability.",
    )
    min_shorter_side: int = Field(
        default=96, ge=0, description="`too_small` if the photo's shorter side has fewer pixels."
    )
    min_brightness: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="`too_dark` if even the bright parts of the photo (`highlights`) are darker.",
    )
    max_brightness: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="`too_bright` if even the dark parts of the photo (`shadows`) are brighter.",
    )
    min_sharpness: float = Field(
        default=0.28, ge=0, le=1, description="`too_blurry` below this sharpness."
    )


def quality_reasons(quality: Quality, policy: Policy) -> list[ReasonCode]:
    """Return all reasons to refuse a photo before the network sees it; empty if there is none."""
    found = {
        ReasonCode.TOO_SMALL: quality.shorter_side < policy.min_shorter_side,
        ReasonCode.TOO_DARK: quality.highlights < policy.min_brightness,
        ReasonCode.TOO_BRIGHT: quality.shadows > policy.max_brightness,
        ReasonCode.TOO_BLURRY: quality.sharpness < policy.min_sharpness,
    }
    return [code for code, applies in found.items() if applies]


def explain(code: ReasonCode, quality: Quality, policy: Policy) -> str:
    """Return the numbers behind one of the :func:`quality_reasons`, for an engineer's log."""
    return {
        ReasonCode.TOO_SMALL: f"shorter side {quality.shorter_side} px, "
        f"at least {policy.min_shorter_side} px are needed",
        ReasonCode.TOO_DARK: f"highlights {quality.highlights:.3f}, "
        f"at least {policy.min_brightness} is needed",
        ReasonCode.TOO_BRIGHT: f"shadows {quality.shadows:.3f}, "
        f"at most {policy.max_brightness} is allowed",
        ReasonCode.TOO_BLURRY: f"sharpness {quality.sharpness:.3f}, "
        f"at least {policy.min_sharpness} is needed",
    }[code]


def score_reasons(plant_probability: float, policy: Policy) -> list[ReasonCode]:
    """Return the reason to refuse a photo that the network saw, if there is one."""
    if not plant_probability >= policy.plant_threshold:  # also if it is not a number
        return [ReasonCode.NOT_A_PLANT]
    return []


def reasons_to_retake(
    quality: Quality, policy: Policy, plant_probability: float | None = None
) -> list[ReasonCode]:
    """Return why a photo has to be taken again; empty if it is accepted.

    Args:
        quality: What was measured. If it is bad, P(plant) is not asked.
        policy: Thresholds.
        plant_probability: 0 to 1; None before the network has seen the photo.
    """
    found = quality_reasons(quality, policy)
    if found or plant_probability is None:
        return found
    return score_reasons(plant_probability, policy)


def with_overrides(policy: Policy, overrides: Mapping[str, Any] | None) -> Policy:
    """Return a policy with some thresholds replaced.

    Raises:
        SettingsError: A name that no threshold has, or a value out of its range.
    """
    overrides = dict(overrides or {})
    if unknown := overrides.keys() - Policy.model_fields.keys():
        raise SettingsError(
            f"the policy has no threshold {', '.join(sorted(unknown))}; "
            f"it has {', '.join(Policy.model_fields)}"
        )
    try:
        return Policy(**(policy.model_dump() | overrides))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise SettingsError(
            f"the threshold {name}={overrides.get(name)!r} cannot be used: {first['msg']}"
        ) from None
