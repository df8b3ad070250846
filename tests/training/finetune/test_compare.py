from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from plantood.training.finetune.compare import compare, is_worse, judge, mcnemar_exact
from plantood.training.finetune.report import change_table
from plantood.training.judging.evaluation import Evaluation, Scored
from tests.training.conftest import make_photo


@pytest.mark.parametrize(
    ("newly_wrong", "newly_right", "expected"),
    [
        (0, 0, 1.0),
        (1, 1, 1.0),
        (0, 5, 2 / 32),
        (1, 5, 2 * (1 + 6) / 64),
        (7, 2, 2 * (1 + 9 + 36) / 512),
    ],
)
def test_mcnemar_by_hand(newly_wrong: int, newly_right: int, expected: float) -> None:
    assert mcnemar_exact(newly_wrong, newly_right) == pytest.approx(expected)


@pytest.mark.parametrize("changed", [1, 2, 9, 40])
def test_mcnemar_is_the_sign_test_of_those_that_changed(changed: int) -> None:
    for newly_wrong in range(changed + 1):
        expected = binomtest(newly_wrong, changed, 0.5).pvalue
        assert mcnemar_exact(newly_wrong, changed - newly_wrong) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "margin", "first_worse"),
    [(6, 0.02, 2), (45, 0.02, 3), (105, 0.02, 5), (500, 0.02, 14), (45, 0.0, 2), (45, 0.1, 8)],
)
def test_worse_is_beyond_the_margin_and_the_noise(
    count: int, margin: float, first_worse: int
) -> None:
    verdicts = [is_worse(wrong, 0, count, margin) for wrong in range(count)]
    assert verdicts.index(True) == first_worse
    assert all(verdicts[first_worse:])


def test_one_photo_is_never_worse_and_what_is_won_counts() -> None:
    assert not any(is_worse(1, 0, count, 0.0) for count in range(1, 100))
    assert is_worse(9, 0, 50, 0.02)
    assert not is_worse(9, 6, 50, 0.02)


LABELS = (1, 1, 1, 0, 0, 0, 0)
SOURCES = "aabbccc"
BEFORE = (0.9, 0.4, 0.9, 0.1, 0.7, 0.8, 0.1)
AFTER = (0.9, 0.8, 0.2, 0.1, 0.2, 0.9, 0.5)


def evaluations(splits: tuple[str, ...] = ("val", "test")) -> tuple[Evaluation, Evaluation]:
    """Thresholds 0.5 and 0.6: the one photo at 0.5 is right in both."""
    photos = tuple(
        make_photo(f"{n}", label, source)
        for n, (label, source) in enumerate(zip(LABELS, SOURCES, strict=True))
    )
    before, after = (np.array(p, np.float32) for p in (BEFORE, AFTER))
    return (
        Evaluation("before", {split: Scored(photos, before) for split in splits}, 0.5),
        Evaluation("after", {split: Scored(photos, after) for split in splits}, 0.6),
    )


def test_changes_by_source() -> None:
    comparison = compare(*evaluations(), "test", margin=0.0)
    found = [
        (c.source, c.error, c.count, c.wrong_before, c.wrong_after, c.newly_wrong, c.newly_right)
        for c in (*comparison.by_source, *comparison.totals)
    ]
    assert found == [
        ("a", "false retakes", 2, 1, 0, 0, 1),
        ("b", "false retakes", 1, 0, 1, 1, 0),
        ("b", "false accepts", 1, 0, 0, 0, 0),
        ("c", "false accepts", 3, 2, 1, 0, 1),
        ("all", "false accepts", 4, 2, 1, 0, 1),
        ("all", "false retakes", 3, 1, 1, 1, 1),
        ("all", "errors", 7, 3, 2, 1, 2),
    ]
    assert comparison.newly_wrong.tolist() == [2]
    assert comparison.newly_right.tolist() == [4, 1]  # the one that moved most first


def test_a_table_has_a_cell_for_every_column() -> None:
    header, rows = change_table(compare(*evaluations(), "test", margin=0.0))
    assert {len(row) for row in rows} == {len(header)}
    assert rows[3] == ["c", "false accepts", "3", "66.7% (2)", "33.3% (1)", "1", "0", "1.000", ""]


def test_a_small_p_value_is_not_shown_as_none() -> None:
    comparison = compare(*evaluations(), "test", margin=0.0)
    small = replace(comparison.by_source[0], p_value=0.0009)
    _, rows = change_table(replace(comparison, by_source=(small,)))
    assert rows[0][7] == "< 0.001"


def test_what_speaks_against_a_child() -> None:
    before, after = evaluations()
    assert judge(before, after, 0.0, improved=True).objections == ()
    assert "No epoch" in judge(before, after, 0.0, improved=False).objections[0]
    assert "forgot" in judge(before, after, 0.0, improved=True, replayed=False).objections[0]
    photos = tuple(make_photo(f"{n}", 0, "attic") for n in range(20))
    scored = [Scored(photos, np.full(20, p, np.float32)) for p in (0.1, 0.9)]
    before, after = (
        Evaluation(name, {"val": s, "left out": s}, 0.5)
        for name, s in zip("ab", scored, strict=True)
    )
    judgement = judge(before, after, 0.02, improved=True)
    assert judgement.objections == (
        "Worse on attic, left out: 0 false accepts before, 20 after, of 20.",
    )
    assert [one.split for one in judgement.comparisons] == ["left out"]
    assert judge(after, before, 0.02, improved=True).objections == ()


def test_other_photos_cannot_be_compared() -> None:
    before, after = evaluations()
    photos = before.splits["test"].photos
    other = Scored((*photos[1:], photos[0]), after.splits["test"].probabilities)
    with pytest.raises(ValueError, match="same photos"):
        compare(before, Evaluation("after", {"test": other}, 0.5), "test", 0.0)
