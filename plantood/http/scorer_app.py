"""The web application around the scorer: what gates may send, and no waiting for batches.

Two things that BentoML (1.4.39) does otherwise than a scorer must:

- It unpickles what another service sends, and so runs whatever code is in it. Between two processes
  of one pod nobody else is there to send any; a scorer of its own listens on the network.
- Its batching holds a lone request back for as long as requests waited on average a while ago.
  After a burst that is seconds, and what it holds back has waited: the figure feeds itself, for
  ever. Photos that come together are merged by the gates already, and here while the network is
  busy.
"""

from __future__ import annotations

import pickle
from http import HTTPStatus
from io import BytesIO
from typing import Any, cast

import bentoml
import numpy as np
from starlette.middleware import Middleware
from starlette.requests import Request

from plantood.bentoml_private import Payload, PickleSerde, never_wait
from plantood.http.app import EdgeApp, EdgeService
from plantood.http.inputs import is_of_the_bento
from plantood.http.uploads import UploadLimit
from plantood.refusals import RequestRefused

MAX_BODY_BYTES = 64 << 20
"""Of one call: 256 photos of 224 pixels a side are 39 MB."""

_ARRAYS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct"),
}
"""All that the pickle of an array names, as NumPy 2 and 1 write it."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(module, name)


class ArraySerde(PickleSerde):
    """BentoML's pickles, of which only arrays are read."""

    def deserialize_value(self, payload: Payload) -> Any:
        """The arrays in a request.

        Raises:
            ValueError: There is anything else in it.
        """
        data = memoryview(b"".join(payload.data))
        try:
            lengths = [int(n) for n in payload.metadata.get("buffer-lengths", "").split(",") if n]
            pieces, start = [], 0
            for length in lengths or [len(data)]:
                pieces.append(data[start : start + length])
                start += length
            return _ArrayUnpickler(BytesIO(pieces[0]), buffers=pieces[1:]).load()
        except Exception as error:  # a broken pickle raises nearly anything
            raise ValueError(f"This holds no arrays: {error}") from error


class ScoreInput(bentoml.IODescriptor):
    """A batch of photos."""

    images: np.ndarray

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> ScoreInput:
        """Read a batch; of a pickle only arrays.

        Raises:
            RequestRefused: 400, if there is anything else in it, or it is no batch.
        """
        if is_of_the_bento(serde):
            serde = ArraySerde()
        try:
            given = cast(ScoreInput, await super().from_http_request(request, serde))
        except ValueError as error:  # pydantic's are of this kind, too
            raise RequestRefused(f"{error}"[:200], HTTPStatus.BAD_REQUEST) from None
        images = given.images
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
            raise RequestRefused(
                f"A batch is uint8 [N,S,S,3], not {images.dtype} {list(images.shape)}"[:200],
                HTTPStatus.BAD_REQUEST,
            )
        return given


class NoInput(bentoml.IODescriptor):
    """Nothing: what is sent all the same is not read."""

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> NoInput:
        """Read nothing."""
        return cls()


class ScorerApp(EdgeApp):
    """The application of `PlantScorer`."""

    def __init__(self, service: bentoml.Service[Any], is_main: bool = False) -> None:
        super().__init__(service, is_main=is_main)
        never_wait(self.dispatchers.values())

    @property
    def middlewares(self) -> list[Middleware]:
        """The edge's, and the bound of a body."""
        limit = Middleware(UploadLimit, photo_bytes=MAX_BODY_BYTES, max_photos=1)
        return [*super().middlewares, limit]


class ScorerService(EdgeService):
    """A BentoML service whose web application is :class:`ScorerApp`."""

    application = ScorerApp
