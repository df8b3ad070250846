from __future__ import annotations

from plantood.errors import PhotoTooLarge, UnreadablePhoto
from plantood.judging.messages import Messages
from plantood.judging.prepare import finish, prepare_photo
from plantood.model.parts.policy import Policy
from plantood.photo.images import Limits
from plantood.verdict import ReasonCode
from tests.conftest import SAMPLES

MAIZE = SAMPLES / "maize_leaf.jpg"


def test_prepare_and_finish_without_a_scorer() -> None:
    common = {"policy": Policy(), "messages": Messages.load(), "language": "en", "model": "m:1"}
    prepared = prepare_photo(MAIZE, limits=None, input_size=160, **common)
    assert prepared.verdict is None
    assert prepared.model_input.shape == (160, 160, 3)
    verdict = finish(prepared, 0.9, score_ms=12.3456, **common)
    assert verdict.accepted
    assert verdict.timings_ms["score"] == 12.35
    assert verdict.quality == prepared.quality

    broken = prepare_photo(b"", limits=None, input_size=160, **common)
    assert isinstance(broken.error, UnreadablePhoto)
    assert broken.verdict.model == "m:1"
    large = prepare_photo(MAIZE, limits=Limits(max_bytes=10), input_size=160, **common)
    assert isinstance(large.error, PhotoTooLarge)
    assert [reason.code for reason in large.verdict.reasons] == [ReasonCode.TOO_LARGE]
