"""The judge with scorers that are written here, in this process."""

from __future__ import annotations

import asyncio
import os
import pkgutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bentoml.exceptions import ServiceUnavailable
from PIL import Image

from plantood.errors import PhotoTooLarge
from plantood.judging.failures import (
    CallerGone,
    FailureKind,
    GateUnavailable,
    with_one_more_try,
)
from plantood.judging.gate import Gate
from plantood.judging.judge import Judge, _OwnTime
from plantood.judging.prometheus import SCORER_ERRORS
from plantood.judging.rules import Rules
from plantood.model.entry import open_gate
from plantood.model.starter import starter_dir
from plantood.photo import decoding
from plantood.photo.images import Limits, LoadedImage
from plantood.settings import Settings
from plantood.verdict import Verdict
from tests.conftest import SAMPLES
from tests.photos import encode

PLANT, SOIL = SAMPLES / "maize_leaf.jpg", SAMPLES / "bare_soil.jpg"
QUICK = Settings(gate_timeout_s=1)
GATE = Gate(open_gate(starter_dir()))
RULES = Rules.of(open_gate(starter_dir()), Settings())


async def real(images: np.ndarray) -> np.ndarray:
    return GATE.scorer.score(images).rows()


def check(score: Callable[[np.ndarray], Awaitable[Any]], describe: Any = None) -> Any:
    judge = Judge(RULES, score, QUICK, describe)
    try:
        return asyncio.run(judge.check(PLANT))
    finally:
        judge.close()


def test_it_judges_as_the_gate_does() -> None:
    async def run() -> list:
        judge = Judge(RULES, real, Settings())
        return await asyncio.gather(*(judge.check(photo) for photo in (PLANT, SOIL) * 6))

    verdicts = asyncio.run(run())
    for verdict, photo in zip(verdicts, (PLANT, SOIL) * 6, strict=True):
        known = GATE.check(photo)
        assert verdict.verdict == known.verdict
        assert verdict.plant_probability == pytest.approx(known.plant_probability, abs=1e-4)


def test_photos_that_come_together_travel_together() -> None:
    sizes = []

    async def counting(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return await real(images)

    async def run() -> None:
        judge = Judge(RULES, counting, Settings(max_batch_size=4))
        await asyncio.gather(*(judge.check(PLANT) for _ in range(12)))

    asyncio.run(run())
    assert sum(sizes) == 12
    assert 1 < max(sizes) <= 4


def test_it_hands_on_what_it_decoded_only_if_asked() -> None:
    async def run() -> list:
        judge = Judge(RULES, real, Settings())
        return [
            await judge.examine(PLANT, keep=True),
            await judge.examine(PLANT),
            await judge.examine(SAMPLES / "broken_upload.jpg", keep=True),
        ]

    kept, not_kept, broken = asyncio.run(run())
    assert isinstance(kept.image, LoadedImage)
    assert kept.image.pixels.shape == (256, 256, 3)
    assert not_kept.image is None
    assert (broken.image, broken.verdict.accepted) == (None, False)
    assert "broke off" in str(broken.error)


def wrong(make: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Awaitable[Any]]:
    async def score(images: np.ndarray) -> Any:
        return make(GATE.scorer.score(images).rows())

    return score


def raising(error: Exception) -> Callable[[np.ndarray], Awaitable[Any]]:
    async def score(images: np.ndarray) -> Any:
        raise error

    return score


async def hanging(images: np.ndarray) -> Any:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("score", "kind"),
    [
        (wrong(lambda rows: np.full_like(rows, np.nan)), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: rows + np.inf), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: rows + 2), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: rows[:, :1]), FailureKind.WRONG_ANSWER),  # another network's embedding
        (wrong(lambda rows: rows[0]), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: rows[:0]), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: np.concatenate([rows, rows])), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: rows.astype(int)), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: {"error": "busy"}), FailureKind.WRONG_ANSWER),
        (wrong(lambda rows: None), FailureKind.WRONG_ANSWER),
        (raising(ServiceUnavailable("busy")), FailureKind.UNAVAILABLE),
        (raising(ConnectionRefusedError()), FailureKind.UNREACHABLE),
        (raising(RuntimeError("Session is closed")), FailureKind.FAILED),
    ],
)
def test_a_scorer_that_fails_gives_no_verdict(score: Any, kind: FailureKind) -> None:
    with pytest.raises(GateUnavailable) as caught:
        check(score)
    assert caught.value.kind == kind
    assert caught.value.error_code == 503
    assert caught.value.detail


def test_a_hanging_scorer_is_waited_for_no_longer_than_the_settings_say() -> None:
    async def run() -> float:
        judge = Judge(RULES, hanging, QUICK)
        started = asyncio.get_running_loop().time()
        with pytest.raises(GateUnavailable) as caught:
            await judge.check(PLANT)
        assert caught.value.kind == FailureKind.TIMEOUT
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(run()) < QUICK.gate_timeout_s + 2


def test_whose_caller_waits_no_longer_is_given_up_and_no_failure_of_the_scorer() -> None:
    """He may say one millisecond, as often as he likes."""
    described = []

    async def describe() -> dict[str, Any]:
        described.append(1)
        return {"model": RULES.tag}

    async def run() -> float:
        scorers = iter([real, hanging, real])

        async def score(images: np.ndarray) -> Any:
            return await next(scorers)(images)

        judge = Judge(RULES, score, QUICK, describe)
        assert (await judge.check(PLANT, timeout_ms=900)).accepted
        started = asyncio.get_running_loop().time()
        with pytest.raises(CallerGone) as caught:
            await judge.check(PLANT, timeout_ms=300)
        assert caught.value.error_code == 504
        seconds = asyncio.get_running_loop().time() - started
        assert (await judge.check(PLANT)).accepted
        judge.close()
        return seconds

    failed = SCORER_ERRORS._value.get()
    assert asyncio.run(run()) < 0.9
    assert SCORER_ERRORS._value.get() == failed
    assert len(described) == 1


def test_no_caller_makes_the_gate_s_own_time_longer() -> None:
    async def run() -> float:
        judge = Judge(RULES, hanging, QUICK)
        started = asyncio.get_running_loop().time()
        with pytest.raises(GateUnavailable) as caught:
            await judge.check(PLANT, timeout_ms=60_000)
        assert caught.value.kind == FailureKind.TIMEOUT
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(run()) < QUICK.gate_timeout_s + 2


def test_whose_caller_is_gone_before_it_is_scored_never_is() -> None:
    scored = []

    async def counting(images: np.ndarray) -> np.ndarray:
        scored.append(len(images))
        return await real(images)

    async def run() -> None:
        judge = Judge(RULES, counting, Settings(decode_threads=1))
        waits = [judge.check(PLANT, timeout_ms=1), judge.check(PLANT)]
        gone, judged = await asyncio.gather(*waits, return_exceptions=True)
        assert isinstance(gone, CallerGone)
        assert judged.accepted
        judge.close()

    asyncio.run(run())
    assert scored == [1]


def test_the_scores_of_another_gate_model_are_never_used() -> None:
    models = [RULES.tag]
    asked = []

    async def describe() -> dict[str, Any]:
        asked.append(models[-1])
        return {"model": models[-1], "input_size": 224}

    async def run() -> None:
        calls = iter([None, None, RuntimeError("died"), None, None])

        async def score(images: np.ndarray) -> np.ndarray:
            if error := next(calls):
                raise error
            return await real(images)

        judge = Judge(RULES, score, Settings(), describe)
        assert (await judge.check(PLANT)).accepted
        assert (await judge.check(PLANT)).accepted
        assert len(asked) == 1  # once is enough while nothing breaks
        with pytest.raises(GateUnavailable):
            await judge.check(PLANT)
        models.append("plantood-gate:another")  # what came back has another one
        for _ in range(2):
            with pytest.raises(GateUnavailable) as caught:
                await judge.check(PLANT)
            assert caught.value.kind == FailureKind.WRONG_ANSWER
            assert "plantood-gate:another" in caught.value.detail
        models.append(RULES.tag)
        assert (await judge.check(PLANT)).accepted

    asyncio.run(run())


def test_ready_means_that_a_forward_pass_is_answered() -> None:
    async def ready(score: Any, describe: Any = None) -> bool:
        return await Judge(RULES, score, QUICK, describe).is_ready()

    async def another() -> dict[str, Any]:
        return {"model": "plantood-gate:another"}

    assert asyncio.run(ready(real))
    assert not asyncio.run(ready(hanging))
    assert not asyncio.run(ready(real, another))


def test_probes_at_once_are_one_forward_pass_and_no_photo() -> None:
    """A probe is a GET of whoever likes to send one."""
    passes = []

    async def slow(images: np.ndarray) -> np.ndarray:
        passes.append(len(images))
        await asyncio.sleep(0.1)
        return await real(images)

    async def run(score: Any, seconds: float) -> set[bool]:
        judge = Judge(RULES, score, QUICK)
        found = set(await asyncio.gather(*(judge.is_ready() for _ in range(400))))
        await asyncio.sleep(seconds)
        return found | {await judge.is_ready()}

    failed = SCORER_ERRORS._value.get()
    assert asyncio.run(run(slow, 0.5)) == {True}
    assert passes == [1]
    assert asyncio.run(run(slow, 1.1)) == {True}
    assert passes == [1, 1, 1]
    assert asyncio.run(run(raising(RuntimeError("died")), 0)) == {False}
    assert SCORER_ERRORS._value.get() == failed


def test_a_photo_that_waits_for_a_thread_is_no_failure_of_the_scorer_and_not_at_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipe to which nobody writes keeps a decoding thread as a hard photo does."""
    os.mkfifo(pipe := tmp_path / "pipe")
    described = []

    async def describe() -> dict[str, Any]:
        described.append(1)
        return {"model": RULES.tag}

    async def run() -> None:
        judge = Judge(RULES, real, Settings(gate_timeout_s=1, decode_threads=1), describe)
        assert (await judge.check(PLANT)).accepted
        hard = asyncio.create_task(judge.check(pipe))
        await asyncio.sleep(0.1)
        with pytest.raises(GateUnavailable) as caught:
            await judge.check(PLANT)
        assert caught.value.kind == FailureKind.TIMEOUT
        assert "not decoded" in caught.value.detail
        assert (await hard).reasons[0].code == "too_large"
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        assert (await judge.check(PLANT)).accepted
        judge.close()

    failed = SCORER_ERRORS._value.get()
    with caplog.at_level("WARNING", "bentoml.plantood"):
        asyncio.run(run())
    assert "scorer" not in caplog.text
    assert "not decoded in time" in caplog.text
    assert SCORER_ERRORS._value.get() == failed
    assert len(described) == 1


@pytest.mark.parametrize(
    "step",
    [
        "plantood.judging.judge.read",
        "plantood.photo.images.bare",
        "plantood.photo.pixels.to_rgb",
    ],
    ids=["read", "look through", "decode"],
)
def test_a_photo_that_takes_its_time_is_to_be_taken_again(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would pass where photos are accepted while the gate fails, whatever it is that is slow."""
    slow_photo = encode(Image.open(PLANT), "PNG")

    async def run() -> list[Verdict]:
        judge = Judge(RULES, real, QUICK)
        with monkeypatch.context() as patch:
            patch.setattr(step, slowly(step, 1.2))
            judged = await judge.examine(slow_photo)
        assert isinstance(judged.error, PhotoTooLarge)
        assert judged.image is None
        await asyncio.sleep(1)
        next_one = await judge.check(PLANT)
        judge.close()
        return [judged.verdict, next_one]

    slow_one, next_one = asyncio.run(run())
    assert [reason.code for reason in slow_one.reasons] == ["too_large"]
    assert "to decode" in str(slow_one.reasons[0].detail)
    assert next_one.accepted


def slowly(step: str, seconds: float) -> Callable[..., Any]:
    """A function by its name, after so many seconds."""
    real_step = pkgutil.resolve_name(step)

    def slow(*args: Any, **options: Any) -> Any:
        time.sleep(seconds)
        return real_step(*args, **options)

    return slow


def test_it_is_told_so_while_its_caller_still_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate elsewhere is given a time; an answer at its very end would come too late."""
    step = "plantood.photo.images.bare"
    slow_photo = encode(Image.open(PLANT), "PNG")

    async def run() -> float:
        judge = Judge(RULES, real, Settings(gate_timeout_s=60))
        with monkeypatch.context() as patch:
            patch.setattr(step, slowly(step, 2.5))
            started = asyncio.get_running_loop().time()
            verdict = await judge.check(slow_photo, timeout_ms=2000)
        assert verdict.reasons[0].code == "too_large"
        judge.close()
        return asyncio.get_running_loop().time() - started

    assert 1 <= asyncio.run(run()) < 1.6


def test_what_a_photo_waits_for_memory_is_not_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of photos that take much of it, one is decoded at a time; the other leaves its thread."""
    heavy = encode(Image.new("RGB", (3600, 3600)), "PNG")
    step = "plantood.photo.pixels.to_rgb"

    async def run() -> list[Any]:
        judge = Judge(RULES, real, Settings(gate_timeout_s=2, decode_threads=2))
        with monkeypatch.context() as patch:
            patch.setattr(step, slowly(step, 1.5))
            first = asyncio.create_task(judge.check(heavy))
            await asyncio.sleep(0.2)
            found = await asyncio.gather(first, judge.check(heavy), return_exceptions=True)
            await asyncio.sleep(1.5)
        judge.close()
        return found

    first, waited = asyncio.run(run())
    assert first.reasons[0].code == "too_large"
    assert isinstance(waited, GateUnavailable)
    assert "not decoded" in waited.detail


def test_all_that_a_photo_takes_counts_also_before_it_waited_for_its_turn() -> None:
    own = _OwnTime()
    for _ in range(2):
        with own.counted():
            time.sleep(0.1)
            assert own.seconds > 0.09
        time.sleep(0.2)
    assert 0.2 <= own.seconds < 0.35


def test_a_photo_that_is_turned_away_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    described = []

    async def describe() -> dict[str, Any]:
        described.append(1)
        return {"model": RULES.tag}

    async def slow(images: np.ndarray) -> np.ndarray:
        await asyncio.sleep(0.5)
        return await real(images)

    async def run() -> None:
        judge = Judge(RULES, slow, Settings(max_latency_ms=100), describe)
        first = asyncio.create_task(judge.check(PLANT))
        await asyncio.sleep(0.3)
        with pytest.raises(GateUnavailable) as caught:
            await judge.check(PLANT)
        assert caught.value.kind == FailureKind.UNAVAILABLE
        assert (await first).accepted
        assert (await judge.check(PLANT)).accepted
        judge.close()

    failed = SCORER_ERRORS._value.get()
    with caplog.at_level("WARNING", "bentoml.plantood"):
        asyncio.run(run())
    assert SCORER_ERRORS._value.get() == failed + 1
    assert "turned away at once: 1 photos are in hand" in caplog.text
    assert len(described) == 1  # no more work for a scorer that has too much


def test_a_photo_that_a_program_allows_has_room_whatever_the_settings_say() -> None:
    heavy = np.random.default_rng(0).integers(0, 255, (4000, 4000, 3), np.uint8)
    photo = encode(Image.fromarray(heavy), "PNG")
    limits = Limits(max_bytes=len(photo))
    rules = Rules.of(open_gate(starter_dir()), Settings(), limits=limits)

    async def run() -> Verdict:
        judge = Judge(rules, real, Settings(decode_memory_mb=64, gate_timeout_s=5))
        try:
            return await judge.check(photo)
        finally:
            judge.close()

    assert asyncio.run(run()).quality.width == 4000
    small = Gate(open_gate(starter_dir()), settings=Settings(decode_memory_mb=64), limits=limits)
    assert small.check(photo).quality.width == 4000


def test_decoding_threads_that_hang_make_it_not_ready_and_then_not_alive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a pipe does to which nobody writes; a photo by its path comes from this process only."""
    monkeypatch.setattr(decoding, "STUCK_SECONDS", 1.0)
    monkeypatch.setattr("plantood.judging.judge.PASS_SECONDS", 0.3)
    os.mkfifo(pipe := tmp_path / "pipe")

    async def run() -> None:
        judge = Judge(RULES, real, Settings(decode_threads=2))
        assert await judge.is_ready()
        await asyncio.sleep(0.2)  # an answer is good for half of the time
        hanging = [asyncio.create_task(judge.check(pipe)) for _ in range(2)]
        await asyncio.sleep(0.2)
        assert not await judge.is_ready()
        assert judge.is_alive()
        await asyncio.sleep(1)
        assert not judge.is_alive()
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))  # nobody writes: both are at the end
        verdicts = await asyncio.gather(*hanging)
        assert {verdict.reasons[0].code for verdict in verdicts} == {"unreadable"}
        assert judge.is_alive()
        assert await judge.is_ready()
        judge.close()

    asyncio.run(run())


def test_only_a_broken_connection_is_tried_again() -> None:
    async def run(error: Exception) -> int:
        calls = []

        async def call() -> None:
            calls.append(1)
            raise error

        with pytest.raises(type(error)):
            await with_one_more_try(call)
        return len(calls)

    assert asyncio.run(run(ConnectionResetError())) == 2
    assert asyncio.run(run(TimeoutError())) == 1
    assert asyncio.run(run(ValueError())) == 1
