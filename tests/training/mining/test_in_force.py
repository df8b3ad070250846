"""The thresholds and limits that `PLANTOOD_*` sets hold for mining as they hold for the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plantood.errors import RoundError, SettingsError
from plantood.judging.gate import Gate
from plantood.training.mining.draw import UNREADABLE, skipped
from plantood.training.mining.mine import mine_photos
from plantood.training.rounds.layout import INFO, Round
from tests.training.conftest import draw

Make = Callable[..., Any]
MEBIBYTE = 1 << 20


def verdicts(round_: Round) -> dict[str, tuple[str, list[str]]]:
    return {line["path"]: (line["verdict"], line["reasons"]) for line in round_.scores()}


def test_verdicts_are_by_the_thresholds_in_force(
    production: Make, options: Make, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = production(30)
    usual = mine_photos(options(source, "usual", margin=4, at_most=0))
    monkeypatch.setenv("PLANTOOD_POLICY", "plant_threshold=0.02,min_sharpness=0.27")
    round_ = mine_photos(options(source, margin=4, at_most=0))
    assert verdicts(round_) != verdicts(usual)
    judge = Gate.load(gate)  # which reads the environment, too
    for path, (verdict, reasons) in verdicts(round_).items():
        answer = judge.check(path)
        assert (verdict, reasons) == (answer.verdict, [one.code.value for one in answer.reasons])
    assert round_.info.policy == judge.rules.policy.model_dump()
    nearest = sorted(
        round_.scores(), key=lambda line: (abs(line["plant_probability"] - 0.02), line["id"])
    )[:4]
    assert {photo.id for photo in round_.mined()} == {line["id"] for line in nearest}


def test_photos_may_have_as_much_as_the_limits_in_force_allow(
    tmp_path: Path, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    Image.fromarray(draw(0, 1)).save(source / "long.jpg")
    with (source / "long.jpg").open("ab") as file:  # behind the end of the picture
        file.write(bytes(21 * MEBIBYTE))
    Image.fromarray(draw(0, 2, 1100)).save(source / "wide.jpg")

    def readable(out: str, **near: bool) -> set[str]:
        round_ = mine_photos(options(source, out, at_most=1, **near))
        gone = {Path(line["path"]).name for line in skipped(round_, UNREADABLE)}
        mined = {Path(photo.path).name for photo in round_.mined()}
        assert gone | mined == {"long.jpg", "wide.jpg"}
        return mined

    assert readable("usual") == {"wide.jpg"}
    monkeypatch.setenv("PLANTOOD_MAX_UPLOAD_MB", "22")
    assert readable("long") == {"long.jpg", "wide.jpg"}
    assert readable("compared", near_duplicates=False) == {"long.jpg", "wide.jpg"}
    monkeypatch.setenv("PLANTOOD_MAX_MEGAPIXELS", "1")
    assert readable("neither wide") == {"long.jpg"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POLICY", "plant_threshold=0.9", r"plant_threshold was 0\.5, is 0\.9"),
        ("MAX_MEGAPIXELS", "50", "max_pixels was 110000000, is 50000000"),
        ("MAX_UPLOAD_MB", "50", "max_bytes was 20971520, is 52428800"),
        ("DECODE_MEMORY_MB", "256", "max_memory was 402653184, is 201326592"),
    ],
)
def test_a_round_is_not_gone_on_with_under_others(
    production: Make,
    options: Make,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    said: str,
) -> None:
    source = production(6)
    mine_photos(options(source))
    monkeypatch.setenv(f"PLANTOOD_{name}", value)
    with pytest.raises(RoundError, match=rf"another round \({said}\); give another --out"):
        mine_photos(options(source))


def test_a_round_of_an_earlier_plantood_is_that_of_its_gate_s_thresholds_and_the_usual_limits(
    production: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = production(6)
    begun = mine_photos(options(source))
    info = json.loads((begun.path / INFO).read_text())
    assert {"policy", "limits"} <= info.keys()
    earlier = {k: v for k, v in info.items() if k not in ("policy", "limits")}
    (begun.path / INFO).write_text(json.dumps(earlier))
    with monkeypatch.context() as other:
        other.setenv("PLANTOOD_POLICY", "min_sharpness=0.3")
        with pytest.raises(RoundError, match=r"min_sharpness was 0\.02, is 0\.3"):
            mine_photos(options(source))
    assert mine_photos(options(source)).info == begun.info
    assert mine_photos(options(source, at_most=1)).info.policy == begun.info.policy


def test_thresholds_that_the_gate_has_not_are_refused_by_the_name_of_their_variable(
    production: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTOOD_POLICY", "sharpness=1")
    with pytest.raises(SettingsError, match=r"PLANTOOD_POLICY: .*no threshold sharpness"):
        mine_photos(options(production(3)))
