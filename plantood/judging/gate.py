"""The gate in process: the same judge as the service, without a server.

::

    gate = Gate.load()                      # the newest plantood-gate of the Bento model store
    gate.check("leaf.jpg")                  # -> Verdict
    gate.check_many(Path("photos").iterdir())   # decodes beside the network, scores in batches
    gate.nearest("leaf.jpg")                # -> the remembered pictures that it is most like

A photo goes through `plantood.judging.prepare`, the scorer, and back. Whoever has a scorer
elsewhere, as the service has, does without this module.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantood.arguments import ensure_count, ensure_several
from plantood.bento.gate_reference import gate_of
from plantood.bento.packing import ensure_packed
from plantood.defaults import BATCH, DEFAULT_GATE
from plantood.errors import GateModelError, PhotoFileError
from plantood.judging import prometheus
from plantood.judging.messages import Messages
from plantood.judging.prepare import Prepared, finish, ms_since, prepare_photo
from plantood.judging.rules import Rules, decoders
from plantood.model.entry import GateModel
from plantood.model.parts.neighbours import NEAREST, Neighbour, Neighbours
from plantood.photo.decoding import Decoders, Work
from plantood.photo.images import Admit, Limits, Photo, load_image, to_model_input
from plantood.settings import Settings
from plantood.verdict import Verdict


class Gate:
    """A gate model, ready to judge.

    May be shared between threads. A process that is forked from its own may go on with it, if no
    photo was being judged at that moment; to be sure, load one there.
    """

    def __init__(
        self,
        model: GateModel,
        *,
        settings: Settings | None = None,
        threads: int | None = None,
        policy: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        messages: Messages | str | Path | None = None,
        language: str | None = None,
    ) -> None:
        """Start the scorer of a gate model; the arguments are those of :meth:`load`.

        What is not given is what ``settings`` say, by default as if no variable were set.
        """
        if threads is not None:
            ensure_count("threads", threads, least=1)
        settings = settings or Settings.model_construct()  # which reads no environment
        self.rules = Rules.of(
            model, settings, policy=policy, messages=messages, language=language, limits=limits
        )
        self.scorer = model.scorer(settings.scorer_threads if threads is None else threads)
        self._model = model
        self._settings = settings
        self._start_decoders()

    @classmethod
    def load(
        cls,
        tag: str | None = None,
        *,
        threads: int | None = None,
        policy: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        messages: Messages | str | Path | None = None,
        language: str | None = None,
    ) -> Gate:
        """Load a gate from the Bento model store.

        What is not given is what the environment says (``PLANTOOD_*``, docs/configuration.md), as
        it is for the service and the command. On a fresh machine the starter gate is installed.

        Args:
            tag: Its tag there; by default ``PLANTOOD_GATE``.
            threads: Threads of the forward pass; by default ``PLANTOOD_SCORER_THREADS``, or the
                cores that the process may use.
            policy: Thresholds that replace, by name, those of ``PLANTOOD_POLICY``, which replace
                those saved with the model.
            limits: Bounds on bytes, pixels and memory of a photo.
            messages: Messages, or the path of an operator's file.
            language: Of the messages, if none is asked for that is known.

        Raises:
            GateModelNotFound: The store has no such gate; or none is named, in a bento that packs
                none.
            GateModelCorrupt: One of its files is missing or was changed.
            GateModelError: ``PLANTOOD_GATE_SHA256`` pins another one, ``tag`` is none, or the store
                cannot be used.
            SettingsError: Another argument or a variable cannot be used.
        """
        settings = Settings.from_environment()
        if tag is None and settings.gate == DEFAULT_GATE:
            ensure_packed(Path.cwd())
        return cls(
            gate_of(settings, tag),
            settings=settings,
            threads=threads,
            policy=policy,
            limits=limits,
            messages=messages,
            language=language,
        )

    def _start_decoders(self) -> None:
        self._own_decoders = decoders(self._settings, self.rules.limits)
        self._process = os.getpid()

    @property
    def _decoders(self) -> Decoders:
        if self._process != os.getpid():  # a fork takes no threads along
            self._start_decoders()
        return self._own_decoders

    @property
    def tag(self) -> str:
        """Of the gate model."""
        return self.rules.tag

    def announce(self) -> None:
        """Say in the metrics of this process which gate model judges."""
        prometheus.announce(self._model)

    def check(self, photo: Photo, language: str | None = None) -> Verdict:
        """Judge one photo.

        Args:
            photo: Bytes, a path, a Pillow image, or a uint8 array ``[H, W, 3]`` (RGB).
            language: Of the messages: a tag, or an ``Accept-Language`` header. Default: the gate's.

        Raises:
            PhotoNotFound: There is no file at the path; it is a `FileNotFoundError`, too.
            PhotoFileError: The file at the path may not be read; an `OSError`, too.
            TypeError: ``photo`` is of none of these types.
            ValueError: It is an array of another shape.
        """
        language = self._language(language)
        prepared = self._decoders.submit(self._preparing(photo, language)).result()
        if isinstance(prepared.error, PhotoFileError):
            raise prepared.error  # a mistake of the program's, for which no farmer is to blame
        ((verdict, _),) = self._finish([prepared], language, k=0)
        return verdict

    def check_many(
        self,
        photos: Iterable[Photo],
        language: str | None = None,
        batch_size: int = BATCH,
    ) -> list[Verdict]:
        """Judge many photos; the verdicts come in the order of the photos.

        See :meth:`iter_check`, which does the same without waiting for the last photo. A path at
        which no photo can be read is `unreadable` here and there, so that the others have their
        verdicts; the reason's ``detail`` names it.

        Raises:
            TypeError: ``photos`` is one photo, or a path.
        """
        return list(self.iter_check(photos, language, batch_size))

    def iter_check(
        self,
        photos: Iterable[Photo],
        language: str | None = None,
        batch_size: int = BATCH,
    ) -> Iterator[Verdict]:
        """Judge photos one after the other as they become ready, in their order.

        Photos are decoded in threads while the network works on full batches. ``photos`` is
        consumed as it is needed: at most two batches of photos are ahead, so that it may be
        endless.

        Args:
            photos: Each as :meth:`check` takes it.
            language: As in :meth:`check`.
            batch_size: Photos in one forward pass.

        Raises:
            TypeError: ``photos`` is one photo, or a path.
        """
        for verdict, _ in self._iterate(photos, language, batch_size, k=0):
            yield verdict

    def iter_explain(
        self,
        photos: Iterable[Photo],
        language: str | None = None,
        batch_size: int = BATCH,
        k: int = NEAREST,
    ) -> Iterator[tuple[Verdict, tuple[Neighbour, ...] | None]]:
        """Judge as :meth:`iter_check` does, and say of each photo what it is most like.

        Args:
            photos: Each as :meth:`check` takes it.
            language: As in :meth:`check`.
            batch_size: Photos in one forward pass.
            k: As in :meth:`nearest`.

        Returns:
            Each verdict with what :meth:`nearest` gives; None of a photo that was refused before
            the network saw it.

        Raises:
            GateModelError: The gate was stored without a memory.
        """
        self._ensure_memory(k)
        return self._iterate(photos, language, batch_size, k)

    def nearest(self, photo: Photo, k: int = NEAREST) -> tuple[Neighbour, ...]:
        """The pictures that the gate remembers which a photo is most like, the nearest first.

        They say why the network sees a plant or none; whether the photo is too dark, blurred or
        small is not asked. The memory is read when it is first needed.

        Args:
            photo: As :meth:`check` takes it.
            k: How many; all that it remembers if they are fewer.

        Raises:
            UnreadablePhoto: It cannot be decoded; as `PhotoFileError`, there is no such file.
            GateModelError: The gate was stored without a memory, or that cannot be read.
            TypeError: ``photo`` is not of a type that is taken.
            ValueError: It is an array of another shape, or ``k`` is below 1.
        """
        self._ensure_memory(k)

        def decode(admit: Admit) -> NDArray[np.uint8]:
            image = load_image(photo, self.rules.limits, admit)
            return to_model_input(image, self.rules.input_size)

        pixels = self._decoders.submit(decode).result()
        return self._neighbours.nearest(self.scorer.score(pixels[np.newaxis]).embedding, k)[0]

    def _ensure_memory(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        _ = self._neighbours

    @cached_property
    def _neighbours(self) -> Neighbours:
        neighbours = self._model.neighbours()
        if neighbours is None:
            raise GateModelError(
                f"{self.tag} was stored without a memory, so it cannot say which pictures a photo "
                "is like; train it anew, or only have photos checked."
            )
        return neighbours

    def _iterate(
        self, photos: Iterable[Photo], language: str | None, batch_size: int, k: int
    ) -> Iterator[tuple[Verdict, tuple[Neighbour, ...] | None]]:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        ensure_several(photos)
        language = self._language(language)
        photos = iter(photos)
        decoding: deque[Future[Prepared]] = deque()
        batch: list[Prepared] = []
        try:
            while True:
                for photo in itertools.islice(photos, 2 * batch_size - len(decoding)):
                    decoding.append(self._decoders.submit(self._preparing(photo, language)))
                if not decoding:
                    break
                batch.append(decoding.popleft().result())
                to_score = sum(prepared.verdict is None for prepared in batch)
                if to_score in (0, batch_size) or len(batch) >= 4 * batch_size:
                    yield from self._finish(batch, language, k)
                    batch = []
            yield from self._finish(batch, language, k)
        finally:
            for unwanted in decoding:
                unwanted.cancel()

    def _language(self, wanted: str | None) -> str:
        return self.rules.messages.negotiate(wanted, self.rules.language)

    def _preparing(self, photo: Photo, language: str) -> Work[Prepared]:
        """What a decoding thread has to do for a photo."""
        return lambda admit: prepare_photo(
            photo,
            policy=self.rules.policy,
            limits=self.rules.limits,
            messages=self.rules.messages,
            language=language,
            model=self.tag,
            input_size=self.rules.input_size,
            admit=admit,
        )

    def _finish(
        self, batch: list[Prepared], language: str, k: int
    ) -> list[tuple[Verdict, tuple[Neighbour, ...] | None]]:
        """Score those that have no verdict, in one forward pass; its time is shared among them.

        With ``k`` > 0, each that is scored comes with so many of the pictures that it is like.
        """
        inputs = [p.model_input for p in batch if p.model_input is not None]
        if not inputs:
            return [(p.verdict, None) for p in batch if p.verdict is not None]
        started = time.perf_counter()
        scores = self.scorer.score(np.stack(inputs))
        score_ms = ms_since(started) / len(inputs)
        probabilities = iter(scores.plant_probability.tolist())
        near = iter(self._neighbours.nearest(scores.embedding, k) if k else [None] * len(inputs))
        return [
            (p.verdict, None)
            if p.verdict is not None
            else (
                finish(
                    p,
                    next(probabilities),
                    policy=self.rules.policy,
                    messages=self.rules.messages,
                    language=language,
                    model=self.tag,
                    score_ms=score_ms,
                ),
                next(near),
            )
            for p in batch
        ]
