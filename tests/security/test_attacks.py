"""Nothing that a stranger sends stops the service, slows it down for good, or is told too much."""

from __future__ import annotations

import pytest

from tests.security.attacks import ATTACKS, Attack
from tests.service.server import Server


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_holds(attack: Attack, attacked: Server) -> None:
    print(attack.run(attacked))
    assert "Traceback" not in attacked.output, attacked.output[-3000:]
