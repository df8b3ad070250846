"""A memory limit as a container has one, where this machine lets a test make it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


class MemoryLimit:
    """A cgroup (version 1 or 2) with a limit on memory, which ends with whatever is in it."""

    def __init__(self, limit: int) -> None:
        """Make it.

        Raises:
            OSError: This machine or this user cannot.
        """
        self._is_v2 = (_ROOT / "cgroup.controllers").is_file()
        self.folder = (_ROOT if self._is_v2 else _ROOT / "memory") / f"plantood-{os.getpid()}"
        self.folder.mkdir()
        try:
            if self._is_v2:
                self._write("memory.max", limit)
                self._write("memory.swap.max", 0)
            else:
                self._write("memory.limit_in_bytes", limit)
        except OSError:
            self.folder.rmdir()
            raise

    def command(self, command: list[str]) -> list[str]:
        """The command within the limit."""
        script = 'echo $$ > "$0"/cgroup.procs && exec "$@"'
        return ["sh", "-c", script, str(self.folder), *command]

    @property
    def killed(self) -> int:
        """How many processes were killed because of it."""
        name = "memory.events" if self._is_v2 else "memory.oom_control"
        lines = (self.folder / name).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    @property
    def in_use(self) -> int:
        """Bytes that its processes have, without the files that the kernel keeps at hand."""
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return int(stat["anon"] if self._is_v2 else stat["total_rss"])

    def close(self) -> None:
        """Remove it; its processes must have ended."""
        for _ in range(50):
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        left = (self.folder / "cgroup.procs").read_text().split()
        subprocess.run(["kill", "-9", *left], check=False)

    def _write(self, name: str, value: int) -> None:
        (self.folder / name).write_text(str(value))
