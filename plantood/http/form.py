"""Multipart forms, read in a time that their bytes bound.

The parser (python-multipart, by Starlette) runs in the event loop, which is the one of all
requests. On what no client sends it spends hundreds of times as long as on a photo: on lines that
begin as those between parts do, on spaces, and on parameters of a header. What has more of these
than a form needs is refused before it is parsed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from http import HTTPStatus

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from plantood.http.body import upload
from plantood.http.room import uploads_of_process
from plantood.http.uploads import TooManyFiles
from plantood.refusals import RequestRefused

_MAX_TEXT = 128 * 1024
"""Bytes of all that is no file in one form, its parts' headers and its fields of text: they stay in
memory, are not counted among the uploads, and the parser looks at many of them one by one."""
_MAX_PARAMETERS = 20
"""Of one `Content-Disposition`, of which two mean something. To read it takes the parser as long as
their number squared."""
_AFTER_DELIMITER = (b"\r\n", b"--")


async def read_form(
    request: Request, *, max_files: int, max_fields: int, max_filled: int
) -> FormData:
    """The fields and files of a multipart form, of which so many files may hold anything.

    Raises:
        RequestRefused: 400, if it cannot be read, or holds too many files; 429, if there is no room
            for it.
    """
    parser = _FormParser(
        request.headers, request.stream(), max_files=max_files, max_fields=max_fields
    )
    parser.max_filled = max_filled
    try:
        return await parser.parse()
    except MultiPartException as broken:
        raise RequestRefused(
            f"The form cannot be read: {broken.message}", HTTPStatus.BAD_REQUEST
        ) from None


class _FormParser(MultiPartParser):
    """Starlette's parser, whose files are counted, and whose text is short and in UTF-8.

    Starlette decodes text as whatever its sender names, in the event loop: punycode takes a minute
    for a megabyte, and others raise what Starlette does not expect.
    """

    max_filled: int
    _filled = 0
    _filling: object = None
    _file_bytes = 0

    async def parse(self) -> FormData:
        """Read all of it, refusing what would take long before it is parsed."""
        self.stream = self._looked_at(self.stream)
        return await super().parse()

    async def _looked_at(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The pieces of the form, each parsed when the next one is asked for.

        Raises:
            MultiPartException: Its lines between parts, or its text, are such as no client sends.
        """
        _, options = parse_options_header(self.headers["content-type"])
        if not options.get(b"boundary"):
            raise MultiPartException("It names no boundary.")
        delimiter = b"\r\n--" + options[b"boundary"]
        left, received = b"", 0
        async for piece in pieces:
            left = _ensure_whole_lines(left + piece, delimiter)
            yield piece
            received += len(piece)
            if received - self._file_bytes > _MAX_TEXT:
                raise MultiPartException(f"Its text has more than {_MAX_TEXT // 1024} kB.")

    def on_part_begin(self) -> None:
        self._charset = "utf-8"
        super().on_part_begin()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        if part.file is not None:
            self._file_bytes += end - start
            if part is not self._filling:
                self._filling = part
                self._filled += 1
            if self._filled > self.max_filled:
                raise TooManyFiles(self.max_filled)
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode()
            except UnicodeDecodeError:
                raise MultiPartException("A field of text is not UTF-8.") from None
        super().on_part_end()

    def on_headers_finished(self) -> None:
        part = self._current_part
        if (part.content_disposition or b"").count(b";") > _MAX_PARAMETERS:
            raise MultiPartException("A part has too many parameters.")
        kind = dict(part.item_headers).get(b"content-type", b"").lower()
        if part.content_disposition and kind.startswith((b"image/", b"application/octet-stream")):
            _, options = parse_options_header(part.content_disposition)
            if b"filename" not in options:  # some clients name none, and mean a file all the same
                part.content_disposition += b'; filename="photo"'
        super().on_headers_finished()
        theirs = self._current_part.file
        if theirs is not None:
            theirs.file.close()
            file = uploads_of_process().open()
            self._files_to_close_on_error[-1] = file
            self._current_part.file = upload(file, theirs.headers, theirs.filename)


def _ensure_whole_lines(seen: bytes, delimiter: bytes) -> bytes:
    """Refuse what begins as a line between two parts and goes on in another way.

    No form has it: such a beginning is in no part's data, however the line goes on, and whoever
    composes a form writes no spaces behind it (RFC 2046, section 5.1.1). The parser takes it for
    data all the same, and looks at the spaces one by one, hundreds of times as slowly as at other
    bytes. In the random bytes of a photo the shortest boundary comes once in 10^12.

    Args:
        seen: What has arrived, with what was left before it.
        delimiter: How such a line begins.

    Returns:
        The end of what has arrived, which may go on as such a line.

    Raises:
        MultiPartException: There is one.
    """
    length = len(delimiter)
    at = seen.find(delimiter)
    while at >= 0:
        after = seen[at + length : at + length + 2]
        if not any(end.startswith(after) for end in _AFTER_DELIMITER):
            raise MultiPartException("A line between its parts goes on behind the boundary.")
        at = seen.find(delimiter, at + length)
    return seen[-length - 1 :]
