from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from plantood.errors import SettingsError
from plantood.model.parts.policy import (
    Policy,
    explain,
    quality_reasons,
    score_reasons,
    with_overrides,
)
from plantood.settings import Settings
from plantood.verdict import Quality, ReasonCode

GOOD = Quality(width=400, height=300, brightness=0.5, highlights=0.8, shadows=0.1, sharpness=0.8)
POLICY = Policy()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"height": 95}, ReasonCode.TOO_SMALL),
        ({"width": 95}, ReasonCode.TOO_SMALL),
        ({"highlights": 0.149}, ReasonCode.TOO_DARK),
        ({"shadows": 0.851}, ReasonCode.TOO_BRIGHT),
        ({"sharpness": 0.27}, ReasonCode.TOO_BLURRY),
    ],
)
def test_each_cue_has_its_reason(change: dict, code: ReasonCode) -> None:
    assert quality_reasons(GOOD, POLICY) == []
    bad = GOOD.model_copy(update=change)
    assert quality_reasons(bad, POLICY) == [code]
    (number,) = change.values()
    assert str(number) in explain(code, bad, POLICY)


def test_the_threshold_itself_passes() -> None:
    just = Quality(
        width=96,
        height=96,
        brightness=0.5,
        highlights=POLICY.min_brightness,
        shadows=POLICY.max_brightness,
        sharpness=POLICY.min_sharpness,
    )
    assert quality_reasons(just, POLICY) == []
    assert score_reasons(POLICY.plant_threshold, POLICY) == []


def test_all_reasons_that_apply_are_listed() -> None:
    bad = GOOD.model_copy(update={"width": 10, "highlights": 0.0, "sharpness": 0.0})
    assert quality_reasons(bad, POLICY) == [
        ReasonCode.TOO_SMALL,
        ReasonCode.TOO_DARK,
        ReasonCode.TOO_BLURRY,
    ]


def test_score_reasons() -> None:
    strict = Policy(plant_threshold=0.6)
    assert score_reasons(0.59, strict) == [ReasonCode.NOT_A_PLANT]
    assert score_reasons(0.6, strict) == []


def test_scores_that_are_no_numbers_are_not_accepted() -> None:
    assert score_reasons(float("nan"), POLICY) == [ReasonCode.NOT_A_PLANT]


def test_overrides() -> None:
    changed = with_overrides(POLICY, {"plant_threshold": 0.7, "min_sharpness": 0.2})
    assert changed == Policy(plant_threshold=0.7, min_sharpness=0.2)
    assert with_overrides(POLICY, None) == POLICY
    assert with_overrides(POLICY, {"min_shorter_side": 200.0}).min_shorter_side == 200


def test_overrides_name_what_is_wrong() -> None:
    with pytest.raises(SettingsError, match=r"no threshold plant_treshold.*plant_threshold, "):
        with_overrides(POLICY, {"plant_treshold": 0.7})
    with pytest.raises(SettingsError, match=r"no threshold max_unfamiliarity; it has plant_thr"):
        with_overrides(POLICY, {"max_unfamiliarity": 1})  # an earlier plantood had it
    with pytest.raises(SettingsError, match=r"plant_threshold=1\.7"):
        with_overrides(POLICY, {"plant_threshold": 1.7})
    with pytest.raises(SettingsError, match="min_sharpness=None"):
        with_overrides(POLICY, {"min_sharpness": None})


def test_a_policy_cannot_be_changed_or_misspelt() -> None:
    with pytest.raises(ValidationError):
        POLICY.plant_threshold = 0.1
    with pytest.raises(ValidationError):
        Policy(treshold=1)
    assert Policy.model_validate_json(POLICY.model_dump_json()) == POLICY


NAMES = st.sampled_from([*Policy.model_fields, "plant_treshold", ""]) | st.text(max_size=8)
NUMBERS = (
    st.floats().map(str)
    | st.integers().map(str)
    | st.sampled_from(["none", "None", "1e999", "-0", "0x1", "1_0", "٣", ""])
    | st.text(max_size=8)
)
PAIRS = st.lists(st.builds("{}={}".format, NAMES, NUMBERS), max_size=4).map(", ".join)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60) | PAIRS)
def test_any_text_of_an_operator_is_a_policy_or_one_sentence(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTOOD_POLICY", text.replace("\0", ""))
        try:
            policy = with_overrides(POLICY, Settings.from_environment().policy)
        except SettingsError as error:
            said = str(error)
        else:
            said = repr(Policy.model_validate(policy.model_dump()))
    assert "\n" not in said
