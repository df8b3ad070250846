"""Keep the photos that the gate is unsure about, for mining: opt-in, off by default.

A photo that was refused, or whose plant probability is near the threshold, goes to a folder or
fsspec URL, without the metadata of its camera, with its verdict beside it::

    CAPTURE/2026-03-01/00017.jpg
    CAPTURE/2026-03-01/00017.json

The request never waits: :meth:`Capture.offer` puts the photo into a queue of bounded size and
returns; a thread strips and writes it. A photo for which there is no room is dropped and counted.
The number in a name is claimed by creating the JSON file exclusively, whole or not at all, so that
the daily cap holds for all processes, machines and restarts that share a destination. The photo
follows, whole or not at all; if it cannot be written, the claim is taken back.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from plantood.errors import UnreadablePhoto
from plantood.judging import prometheus
from plantood.judging.capture.destination import open_destination
from plantood.photo.images import Limits
from plantood.photo.metadata import without_metadata
from plantood.settings import Settings
from plantood.verdict import ReasonCode, Verdict

logger = logging.getLogger("bentoml.plantood")

QUEUE_BYTES = 32 << 20
"""Photos that wait to be written, in bytes, in each process."""
QUEUE_PHOTOS = 2000
"""Of them at most so many: a photo of one pixel has 70 bytes, and a verdict some thousand."""
DECODE_BYTES = 192 << 20
"""Bytes in which a photo is decoded to be saved anew, one at a time: beside that of the photos
being judged, for the thread that writes is none of theirs. An HEIC of 24 megapixels takes
160 MB."""

_NOT_DECODED = (ReasonCode.UNREADABLE, ReasonCode.TOO_LARGE)

KEPT, OVER_CAP, DROPPED, FAILED = "kept", "over_cap", "dropped", "failed"
OUTCOMES = (KEPT, OVER_CAP, DROPPED, FAILED)
"""What becomes of a photo that is to be kept: written; too many that day; no room in the queue, as
the destination is too slow; not to be written, or not without its metadata."""

_LOG_SECONDS = 60.0


class Capture:
    """Writes photos to one destination, in a thread of its own."""

    def __init__(
        self, destination: str, *, margin: float, per_day: int, limits: Limits | None = None
    ) -> None:
        """Begin to keep photos.

        Args:
            destination: Absolute path of a folder, or URL of one.
            margin: An accepted photo is kept if P(plant) is at most this far from the threshold.
            per_day: Most photos of a day, by UTC.
            limits: Bounds on photos that have to be decoded; their memory is at most
                `DECODE_BYTES`.

        Raises:
            SettingsError: Nothing can be written there.
        """
        self._margin = margin
        self._per_day = per_day
        limits = limits or Limits()
        self._limits = replace(limits, max_memory=min(limits.max_memory, DECODE_BYTES))
        self._destination = open_destination(destination)
        self._queue: deque[tuple[bytes, Verdict]] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._day, self._next = "", 1
        self._seen: set[bytes] = set()
        self._logged_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    @classmethod
    def from_settings(cls, settings: Settings) -> Capture | None:
        """Keep photos as the settings say; None if they do not ask for it.

        Raises:
            SettingsError: Nothing can be written to the destination.
        """
        for outcome in OUTCOMES:  # a metric is exported from its first value on
            prometheus.CAPTURED.labels(outcome=outcome)
        if not settings.capture:
            return None
        return cls(
            settings.capture,
            margin=settings.capture_margin,
            per_day=settings.capture_per_day,
            limits=settings.limits,
        )

    def offer(self, photo: Any, verdict: Verdict) -> None:
        """Keep a photo if the gate is unsure about it; returns at once, and never raises.

        Args:
            photo: The bytes of its file; of anything else (pixels, a path) nothing is kept.
            verdict: What was made of it.
        """
        if not isinstance(photo, bytes) or not self.wants(verdict):
            return
        with self._changed:
            is_full = (
                self._queued_bytes + len(photo) > QUEUE_BYTES or len(self._queue) >= QUEUE_PHOTOS
            )
            if self._closed or is_full:
                _count(DROPPED)
                return
            self._queued_bytes += len(photo)
            self._queue.append((photo, verdict))
            self._changed.notify_all()

    def wants(self, verdict: Verdict) -> bool:
        """True for a photo that was refused, but could be read, and for one near the threshold."""
        if not verdict.accepted:
            return all(reason.code not in _NOT_DECODED for reason in verdict.reasons)
        probability, threshold = verdict.plant_probability, verdict.threshold
        if probability is None or threshold is None:
            return False
        return probability - threshold <= self._margin

    def close(self, seconds: float = 5.0) -> None:
        """Write what is in the queue, for so long at most, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._closed):
                    self._changed.wait()
                if not self._queue:
                    return
                photo, verdict = self._queue.popleft()
            try:
                outcome = self._keep(photo, verdict)
            except Exception as error:  # each kind of storage has errors of its own
                outcome = FAILED
                self._log(error)
            _count(outcome)
            with self._changed:
                self._queued_bytes -= len(photo)

    def _keep(self, photo: bytes, verdict: Verdict) -> str | None:
        """Write one photo.

        Returns:
            What became of it; None if it was kept already, since people send photos again.
        """
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        if day != self._day:
            self._day, self._next, self._seen = day, self._destination.first_free(day), set()
        digest = hashlib.sha256(photo).digest()
        if digest in self._seen:
            return None
        if self._next > self._per_day:
            return OVER_CAP
        try:
            stripped, suffix = without_metadata(photo, self._limits)
        except (UnreadablePhoto, ValueError) as error:
            self._log(error)
            return FAILED
        description = verdict.model_dump_json(indent=2).encode()
        while self._next <= self._per_day:
            name = f"{day}/{self._next:05}"
            if not self._destination.create(f"{name}.json", description):
                self._next += 1  # somebody else's
                continue
            try:
                self._destination.write(name + suffix, stripped)
            except Exception:  # each kind of storage has errors of its own
                with contextlib.suppress(Exception):
                    self._destination.remove(f"{name}.json")  # the number is free again
                raise
            self._next += 1
            self._seen.add(digest)
            return KEPT
        return OVER_CAP

    def _log(self, error: Exception) -> None:
        """Say what is wrong, but not for every photo."""
        if time.monotonic() - self._logged_at > _LOG_SECONDS:
            self._logged_at = time.monotonic()
            what = " ".join(str(error).split())
            logger.warning("A photo could not be kept: %s: %s", type(error).__name__, what)


def _count(outcome: str | None) -> None:
    if outcome is not None:
        prometheus.CAPTURED.labels(outcome=outcome).inc()
