"""Tables of which a tag can be copied, and found by grep."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table


class WholeWords(Table):
    """A table of texts that breaks lines between words only: wider than the terminal, if need be.

    Print it with ``crop=False`` or ``soft_wrap=True``, or the terminal's width cuts it.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render it with each column at least as wide as its longest word."""
        for column in self.columns:
            words = " ".join(map(str, [column.header, *column.cells])).split()
            column.min_width = max(map(cell_len, words), default=0)
        needed = Measurement.get(console, options.update(max_width=10_000), self).minimum
        # what Rich finds too wide it squeezes before it looks at what a column needs
        wide = options.update(max_width=max(options.max_width, needed))
        yield from super().__rich_console__(console, wide)
