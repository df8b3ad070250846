"""Try every attack against the service, and print what held: ``python -m tests.security``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.security.attacks import ATTACKS, burst
from tests.security.conftest import MANIFEST_SETTINGS
from tests.service.server import serving


def main() -> int:
    """Run them; the burst as long and as wide as promised in docs/security.md."""
    broken = 0
    with (
        tempfile.TemporaryDirectory() as home,
        serving(Path(home), BENTOML_CONFIG=str(MANIFEST_SETTINGS)) as server,
    ):
        for attack in ATTACKS:
            started = time.monotonic()
            wide = attack.run is burst
            try:
                measured = burst(server, 256, 15) if wide else attack.run(server)
                held = "held"
            except AssertionError as error:
                measured, held = f"{error}"[:500], "BROKEN"
                broken += 1
            seconds = time.monotonic() - started
            print(f"{held:7} {attack.name} ({seconds:.0f} s): {attack.promise}\n        {measured}")
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
