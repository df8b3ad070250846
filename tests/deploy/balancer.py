"""What a Kubernetes Service does: each new connection goes to the next of its ready pods."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class Balancer:
    """A TCP server that connects its callers to one of its ``pods`` in turn."""

    def __init__(self) -> None:
        self.pods: list[int] = []
        """Ports on this machine; changed by the test as pods become ready or leave."""
        self.port = 0
        self._turn = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._turn += 1
            port = self.pods[self._turn % len(self.pods)]
            there = await asyncio.open_connection("127.0.0.1", port)
        except (OSError, ZeroDivisionError):
            writer.close()
            return
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    def run(self) -> None:
        """Serve until the loop is stopped."""
        asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(self._serve())
        self._loop.run_forever()
        task.cancel()
        self._loop.run_until_complete(task)

    def wait(self) -> None:
        """Return when it listens."""
        assert self._ready.wait(10)

    def stop(self) -> None:
        """Let `run` return."""
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.contextmanager
def balancing(*pods: int) -> Iterator[Balancer]:
    """A balancer that runs in a thread of its own."""
    balancer = Balancer()
    balancer.pods = list(pods)
    thread = threading.Thread(target=balancer.run)
    thread.start()
    try:
        balancer.wait()
        yield balancer
    finally:
        balancer.stop()
        thread.join()
