from __future__ import annotations

import pytest
from rich.console import Console

from plantood.cli.tables import WholeWords

TAG = "plantood-gate-of-the-field:efficientnet_lite0-gap_l2-xmh7edxkx6bucax4"


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_word_is_in_one_line_however_narrow_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    table = WholeWords()
    for name in ("gate", "false accepts", "nothing"):
        table.add_column(name, overflow="fold")
    table.add_row(TAG, "5 of 433: 1.2% (0.5 to 2.7)", "")
    Console(width=width).print(table, crop=False)
    printed = capsys.readouterr().out
    assert {TAG, "accepts", "nothing", "433:"} <= set(printed.split())
