"""The web application around the scorer: what gates may send, and no waiting for batches.

Two things that BentoML (1.4.39) does otherwise than a scorer must:

- It unpickles what another service sends, and so runs whatever code is in it. Between two processes
  of one pod nobody else is there to send any; a scorer of its own listens on the network. Not even
  the opcodes of a pickle that names nothing are harmless: a few bytes of them fill the memory. So a
  batch travels as the bytes of its pixels, and nothing here reads a pickle.
- Its batching holds a lone request back for as long as requests waited on average a while ago.
  After a burst that is seconds, and what it holds back has waited: the figure feeds itself, for
  ever. Photos that come together are merged by the gates already, and here while the network is
  busy.
"""

from __future__ import annotations

import struct
from http import HTTPStatus
from typing import Any, ClassVar

import bentoml
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request

from plantood.bentoml_private import PickleSerde, never_wait
from plantood.http.apps.edge import EdgeApp, EdgeService
from plantood.http.inputs import is_of_the_bento
from plantood.http.uploads import bounded
from plantood.refusals import RequestRefused
from plantood.settings import MOST_PHOTOS

MAX_BODY_BYTES = 64 << 20
"""Of one call: 256 photos of 224 pixels a side are 39 MB."""

_SHAPE = struct.Struct("<4I")
"""What stands before the pixels: photos, height, width, channels."""


class ScoreInput(bentoml.IODescriptor):
    """A batch of photos; on the wire its shape and its pixels, uint8 ``[N, S, S, 3]``."""

    # The body is no pickle. By this type BentoML knows a call of a service of the bento, and
    # answers it in kind: a pickle, which the gate reads.
    media_type: ClassVar[str] = PickleSerde.media_type

    images: np.ndarray

    def model_dump(self, **_: Any) -> bytes:  # type: ignore[override]  # BentoML sends bytes as such
        """What a gate sends."""
        return b"".join((_SHAPE.pack(*self.images.shape), np.ascontiguousarray(self.images).data))

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> ScoreInput:
        """Read a batch that this scorer can score.

        BentoML makes one array of what waits together: one batch of another size would take the
        others with it.

        Raises:
            RequestRefused: 415, if it is not sent as gates send it; 408 or 413, if the body is too
                slow or too large; 400, if it is no such batch.
        """
        if not is_of_the_bento(serde):
            raise RequestRefused(
                "Only gates call the scorer; send photos to one.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            )
        body = await bounded(request, MAX_BODY_BYTES, 1).body()
        size: int = request.app.state.input_size
        if len(body) < _SHAPE.size:
            raise RequestRefused("This holds no batch.", HTTPStatus.BAD_REQUEST)
        shape = photos, *photo = _SHAPE.unpack_from(body)
        if photo != [size, size, 3] or not 1 <= photos <= MOST_PHOTOS:
            raise RequestRefused(
                f"A batch is uint8 [N,{size},{size},3], N from 1 to {MOST_PHOTOS}, not "
                f"{list(shape)}.",
                HTTPStatus.BAD_REQUEST,
            )
        pixels = np.frombuffer(body, np.uint8, offset=_SHAPE.size)
        if pixels.size != photos * size * size * 3:
            raise RequestRefused(
                f"{pixels.size} bytes are no batch {list(shape)}.", HTTPStatus.BAD_REQUEST
            )
        return cls(images=pixels.reshape(shape))


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

    async def create_and_check(self, app: Starlette) -> None:
        """Create the scorer, and say what batches it takes."""
        await super().create_and_check(app)
        app.state.input_size = bentoml.get_current_service().scorer.input_size


class ScorerService(EdgeService):
    """A BentoML service whose web application is :class:`ScorerApp`."""

    application = ScorerApp
