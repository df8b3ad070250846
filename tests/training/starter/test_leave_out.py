from __future__ import annotations

from pathlib import Path

import numpy as np

from plantood.training.recipe.samples import Sample
from plantood.training.starter.leave_out import leave_each_out


def test_each_unit_is_scored_by_a_training_without_it() -> None:
    def photo(source: str, *, test: bool = False) -> Sample:
        own = (Path(source),)
        return Sample("photo", source != "street", (source,), (), own, measured_only=test)

    samples = [
        Sample("copy", True, ("farm",), (1,), (Path("farm"),)),
        photo("farm"),
        photo("street"),
        Sample("planted", True, ("farm", "street"), (1,), (Path("farm"),)),
        photo("farm", test=True),
        photo("garden"),
    ]
    asked = []

    def train(left_out: frozenset[str], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append((left_out, rows.tolist()))
        return rows.astype(np.float32), rows.astype(np.float32) / 10

    unit = frozenset({"farm", "garden"})
    found = leave_each_out(samples, train, (unit,))
    assert asked == [(unit, [1, 4, 5]), (frozenset({"street"}), [2])]
    assert found.sources.tolist() == ["farm", "street", "farm", "garden"]
    assert found.plant.tolist() == [True, False, True, True]
    assert found.told_only.tolist() == [False, False, True, False]
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp([[-1.0, -2.0, -4.0, -5.0]])))
    np.testing.assert_allclose(found.margins, [0.1, 0.2, 0.4, 0.5])
    assert found.together == (unit,)
