from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from plantood.verdict import Quality, Reason, ReasonCode, Verdict


def test_a_verdict_survives_json() -> None:
    verdict = Verdict(
        verdict="retake",
        reasons=[Reason(code="too_dark", message="Too dark.", detail="highlights 0.01")],
        threshold=0.5,
        quality=Quality(width=4, height=3, brightness=0, highlights=0.01, shadows=0, sharpness=0),
        model="plantood-gate:a",
        timings_ms={"decode": 1.0},
    )
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert not verdict.accepted
    assert verdict.reasons[0].code is ReasonCode.TOO_DARK
    assert verdict.quality.shorter_side == 3


def test_a_verdict_cannot_be_nonsense() -> None:
    with pytest.raises(ValidationError):
        Verdict(verdict="maybe", threshold=0.5, model="a")
    with pytest.raises(ValidationError):
        Verdict(verdict="accept", threshold=0.5, model="a", plant_probability=1.5)
    with pytest.raises(ValidationError):
        Reason(code=7, message="No.")


def test_a_client_reads_what_a_newer_gate_says() -> None:
    answer = """{
        "verdict": "retake", "score_interval": [0.1, 0.2], "model": "plantood-gate:later",
        "reasons": [{"code": "too_far", "message": "Go closer.", "distance_m": 7},
                    {"code": "too_dark", "message": "Too dark."}]
    }"""
    verdict = Verdict.model_validate_json(answer)
    assert [reason.code for reason in verdict.reasons] == ["too_far", ReasonCode.TOO_DARK]
    assert verdict.reasons[0].message == "Go closer."
    assert isinstance(verdict.reasons[1].code, ReasonCode)
    assert Verdict.model_validate(verdict.model_dump()) == verdict


def test_the_contract_imports_nothing_of_ours_and_the_package_nothing_heavy() -> None:
    code = """if True:
        import sys, plantood, plantood.verdict, plantood.cli
        heavy = {"numpy", "PIL", "bentoml", "onnxruntime", "tensorflow", "rich"}
        print(sorted(name for name in sys.modules if name.startswith("plantood")))
        print(sorted(heavy & set(sys.modules)))
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, heavy = run.stdout.splitlines()
    assert ours == str(
        ["plantood", *(f"plantood.{name}" for name in ("cli", "defaults", "errors", "verdict"))]
    )
    assert heavy == "[]"
