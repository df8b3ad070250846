"""However a gate judges in a process, the settings bound what that process decodes at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import bentoml
import PIL.Image
import pytest

from plantood import Gate, Verdict
from plantood.compose import ComposedGate, gated
from plantood.judging import gate as gate_module
from plantood.judging import prepare
from plantood.photo import forms
from plantood.photo.images import Admit
from tests.cli.commands import MAIZE, run
from tests.service.server import SAMPLES

PHOTOS = 8
MEBIBYTE = 1 << 20


class Decoding:
    """How many photos are decoded at a time, each of them with so much memory."""

    def __init__(self, memory: int, expected: int) -> None:
        self.memory, self.expected = memory, expected
        self.now = self.most = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self, admit: Admit | None) -> Iterator[None]:
        if admit is not None:
            admit(self.memory)
        with self._changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self.expected, 5)
        time.sleep(0.05)  # for more than are expected
        with self._changed:
            self.now -= 1
        yield

    def wrapped(self, load: Callable[..., Any]) -> Callable[..., Any]:
        def counted(photo: Any, limits: Any = None, admit: Admit | None = None) -> Any:
            with self.one(admit):
                return load(photo, limits)

        return counted


class AcceptsAll:
    async def check(self, photo: Any, language: str | None = None) -> Verdict:
        return Verdict(verdict="accept")


class Detector:
    def __init__(self, gate: Any) -> None:
        self.gate = gate

    @bentoml.api
    @gated
    async def diagnose(self, image: PIL.Image.Image) -> str:
        return "rust"


def _check_in_threads() -> None:
    gate = Gate.load()
    with ThreadPoolExecutor(PHOTOS) as callers:
        assert len(list(callers.map(gate.check, [MAIZE] * PHOTOS))) == PHOTOS


def _nearest_in_threads() -> None:
    gate = Gate.load()
    with ThreadPoolExecutor(PHOTOS) as callers:
        assert len(list(callers.map(gate.nearest, [MAIZE] * PHOTOS))) == PHOTOS


def _command() -> None:
    assert run("check", str(SAMPLES)).exit_code == 0


def _composed() -> None:
    asyncio.run(ComposedGate(Gate.load()).check_many([MAIZE] * PHOTOS))


def _async_method(gate: Callable[[], Any]) -> Callable[[], None]:
    async def ask() -> None:
        detector = Detector(gate())
        found = await asyncio.gather(*(detector.diagnose(MAIZE) for _ in range(PHOTOS)))
        assert found == ["rust"] * PHOTOS

    return lambda: asyncio.run(ask())


WAYS: dict[str, tuple[Any, str, Callable[[], None]]] = {
    "check_many": (prepare, "load_image", lambda: Gate.load().check_many([MAIZE] * PHOTOS)),
    "check": (prepare, "load_image", _check_in_threads),
    "nearest": (gate_module, "load_image", _nearest_in_threads),
    "command": (prepare, "load_image", _command),
    "composed": (prepare, "load_image", _composed),
    "async method, gate here": (forms, "load_whole", _async_method(Gate.load)),
    "async method, gate elsewhere": (forms, "load_whole", _async_method(AcceptsAll)),
}


@pytest.fixture
def decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def decoded(way: str, memory: int, expected: int, **settings: str) -> int:
        for name, value in settings.items():
            monkeypatch.setenv(f"PLANTOOD_{name}", value)
        module, name, ask = WAYS[way]
        decoding = Decoding(memory, expected)
        monkeypatch.setattr(module, name, decoding.wrapped(getattr(module, name)))
        ask()
        return decoding.most

    return decoded


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("threads", [1, 5])
def test_as_many_photos_at_a_time_as_the_settings_say(
    way: str, threads: int, decoded_at_once: Callable[..., int]
) -> None:
    assert decoded_at_once(way, MEBIBYTE, threads, DECODE_THREADS=str(threads)) == threads


@pytest.mark.parametrize("way", WAYS)
def test_together_they_take_no_more_memory_than_the_settings_say(
    way: str, decoded_at_once: Callable[..., int]
) -> None:
    settings = {"DECODE_THREADS": "6", "DECODE_MEMORY_MB": "256"}
    assert decoded_at_once(way, 90 * MEBIBYTE, 2, **settings) == 2
