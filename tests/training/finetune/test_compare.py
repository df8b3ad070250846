from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from plantood.model.parts.calibration import sigmoid
from plantood.training.common.settings import CostSettings
from plantood.training.finetune.compare import Comparison, Judgement, compare_gates, judge
from plantood.training.finetune.report import change_table, judgement_markdown
from plantood.training.judging.changes import (
    at_fixed_points,
    change_of,
    cost_of,
    is_worse,
    mcnemar_exact,
)
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
    verdicts = [is_worse(np.ones(wrong), count, margin) for wrong in range(count)]
    assert verdicts.index(True) == first_worse
    assert all(verdicts[first_worse:])


def test_one_photo_is_never_worse_and_what_is_won_counts() -> None:
    assert not any(is_worse(np.ones(1), count, 0.0) for count in range(1, 100))
    assert is_worse(np.ones(9), 50, 0.02)
    assert not is_worse(np.array([1.0] * 9 + [-1.0] * 6), 50, 0.02)


def test_a_scene_is_won_or_lost_as_one() -> None:
    """Ten frames of one scene that turn wrong are one piece of luck, not ten."""
    before, after = np.zeros(400, bool), np.arange(400) < 10
    alone = change_of("a", "errors", before, after, 0.0)
    frames = change_of("a", "errors", before, after, 0.0, scenes=np.arange(400) // 10)
    assert alone.worse
    assert alone.p_value == pytest.approx(2 / 2**10)
    assert not frames.worse  # as one photo never is
    assert frames.p_value == 1.0
    assert (frames.newly_wrong, frames.count) == (10, 400)
    plants = np.ones(400)
    spread = cost_of(plants, before, after, CostSettings()).standard_error
    assert spread == pytest.approx(10**0.5)
    by_scene = cost_of(plants, before, after, CostSettings(), np.arange(400) // 10)
    assert by_scene.standard_error == pytest.approx(10.0)


def test_a_child_as_good_as_its_parent_is_seldom_worse_though_photos_are_frames() -> None:
    """400 others, ten frames a scene, that turn by the scene: one standard error calls 10 % so.

    As if each photo were a scene, it is 15 % and more, and half of all p are below 0.05.
    """
    rng = np.random.default_rng(0)
    scenes = np.arange(400) // 10

    def shares(of: NDArray[np.int64] | None) -> tuple[float, float]:
        found = []
        for _ in range(300):
            before, after = (rng.random((2, 40)) < 0.1)[:, scenes]
            one = change_of("a", "false accepts", before, after, 0.02, scenes=of)
            found.append((one.worse, one.p_value < 0.05))
        return tuple(np.mean(found, axis=0))

    worse, significant = shares(scenes)
    assert worse < 0.12
    assert significant < 0.05
    worse, significant = shares(None)
    assert worse > 0.15
    assert significant > 0.4


def test_a_child_that_fails_in_the_one_scene_of_a_source_is_worse() -> None:
    plants = [make_photo(f"{n}", 1, "farm") for n in range(300)]
    others = [make_photo(f"o{n}", 0, "camera") for n in range(200)]
    said = [np.repeat([0.9, p], [300, 200]).astype(np.float32) for p in (0.1, 0.95)]
    groups = {photo.sha256: 1 for photo in others}
    one, two = (
        Evaluation(name, {"test": Scored((*plants, *others), p)}, 0.5, groups=groups)
        for name, p in zip("ab", said, strict=True)
    )
    comparison = compare_gates(one, two, "test", 0.02, CostSettings())
    worse = [change.source for change in comparison.by_source if change.worse]
    assert worse == ["camera"]
    # The plants have kept their places: one scene has moved, which may be luck.
    assert [change.worse for change in comparison.fixed] == [False, False]
    assert all(change.p_value > 0.3 for change in comparison.fixed)


def test_luck_at_fixed_points_exchanges_scenes_whole() -> None:
    rng = np.random.default_rng(1)
    scenes = np.arange(400) // 10
    labels = (scenes % 2).astype(np.float64)
    photos = tuple(make_photo(f"{n}", int(label)) for n, label in enumerate(labels))
    alone, whole = [], []
    for _ in range(40):
        one, two = (
            Scored(photos, sigmoid(2 * labels - 1 + rng.normal(0, 1.5, 40)[scenes]))
            for _ in range(2)
        )
        alone += [c.p_value for c in at_fixed_points(one, two, 0.5, 0.0)]
        whole += [c.p_value for c in at_fixed_points(one, two, 0.5, 0.0, scenes=scenes)]
    assert np.mean(np.array(alone) < 0.05) > 0.2
    assert np.mean(np.array(whole) < 0.05) < 0.12


def test_luck_at_fixed_points_knows_scenes_of_any_size() -> None:
    """A burst of 120 others and 30 by themselves, which two equal gates put somewhere by luck."""
    rng = np.random.default_rng(2)
    scenes = np.concatenate([np.arange(100), np.full(120, 100), np.arange(101, 131)])
    labels = (np.arange(250) < 100).astype(np.float64)
    photos = tuple(make_photo(f"{n}", int(label)) for n, label in enumerate(labels))
    found = []
    for _ in range(100):
        one, two = (
            Scored(photos, sigmoid(2 * labels - 1 + rng.normal(0, 1.5, 131)[scenes]))
            for _ in range(2)
        )
        found += [c.p_value for c in at_fixed_points(one, two, 0.5, 0.0, scenes=scenes)]
    assert np.mean(np.array(found) < 0.05) <= 0.05


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


def compared() -> Comparison:
    return compare_gates(*evaluations(), "test", 0.0, CostSettings())


def judged(before: Evaluation, after: Evaluation, margin: float, **values: object) -> Judgement:
    return judge(before, after, margin, costs=CostSettings(), **{"improved": True, **values})


def test_changes_by_source() -> None:
    comparison = compared()
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
    header, rows = change_table(compared())
    assert {len(row) for row in rows} == {len(header)}
    assert rows[3] == [
        "c",
        "false accepts",
        "3",
        "2: 66.7% (20.8 to 93.9)",
        "1: 33.3% (6.1 to 79.2)",
        "1",
        "0",
        "1.000",
        "",
    ]


def test_a_small_p_value_is_not_shown_as_none() -> None:
    comparison = compared()
    small = replace(comparison.by_source[0], p_value=0.0009)
    _, rows = change_table(replace(comparison, by_source=(small,)))
    assert rows[0][7] == "< 0.001"


def test_what_speaks_against_a_child() -> None:
    before, after = evaluations()
    assert judged(before, after, 0.0).objections == ()
    assert "Nothing was better" in judged(before, after, 0.0, improved=False).objections[0]
    assert "forgot" in judged(before, after, 0.0, replayed=False).objections[0]
    photos = tuple(make_photo(f"{n}", 0, "attic") for n in range(20))
    scored = [Scored(photos, np.full(20, p, np.float32)) for p in (0.1, 0.9)]
    before, after = (
        Evaluation(name, {"val": s, "left out": s}, 0.5)
        for name, s in zip("ab", scored, strict=True)
    )
    judgement = judged(before, after, 0.02)
    assert judgement.objections == (
        "Worse on attic, left out: 0 false accepts before, 20 after, of 20.",
        "Worse on all, left out: 0 false accepts before, 20 after, of 20.",
        "Worse on all, left out: 0 errors before, 20 after, of 20.",
        "Costlier on all, left out: its errors cost as much as 60 false retakes, those of its "
        "parent 0.",
    )
    assert [one.split for one in judgement.comparisons] == ["left out"]
    assert judged(after, before, 0.02).objections == ()


def test_many_sources_that_each_lose_a_little_are_worse_together() -> None:
    """One photo of each of twelve sources: no source is worse, but all of them are."""
    photos = tuple(make_photo(f"{n}", 0, f"field {n % 12}") for n in range(120))
    p = np.full(120, 0.1, np.float32)
    before = Evaluation("before", {"test": Scored(photos, p)}, 0.5)
    lost = np.where(np.arange(120) < 12, np.float32(0.9), p)
    judgement = judged(before, Evaluation("after", {"test": Scored(photos, lost)}, 0.5), 0.02)
    (comparison,) = judgement.comparisons
    assert not any(change.worse for change in comparison.by_source)
    assert judgement.objections[0] == (
        "Worse on all, test: 0 false accepts before, 12 after, of 120."
    )


def test_what_the_errors_cost_has_to_grow_beyond_the_noise() -> None:
    """Of 2,000 photos the margin allows 20 more; five more false accepts are no luck."""
    photos = tuple(make_photo(f"{n}", 0, "field") for n in range(2000))
    p = np.full(2000, 0.1, np.float32)
    before = Evaluation("before", {"test": Scored(photos, p)}, 0.5)
    for lost, costlier in ((4, False), (5, True)):
        after = np.where(np.arange(2000) < lost, np.float32(0.9), p)
        judgement = judged(before, Evaluation("after", {"test": Scored(photos, after)}, 0.5), 0.02)
        assert [text.startswith("Costlier") for text in judgement.objections] == [True] * costlier
        assert judgement.comparisons[0].cost.after == 3 * lost
        assert judgement.comparisons[0].cost.standard_error == pytest.approx(3 * lost**0.5)


def test_what_the_errors_cost_where_others_are_rarer_than_here() -> None:
    """Half of the photos are others, one tenth will be: a plant counts 1.8 fold, an other 0.2."""
    photos = tuple(make_photo(f"{n}", n % 2, "field") for n in range(20))
    p = np.where(np.arange(20) % 2, 0.9, 0.1).astype(np.float32)
    lost = p.copy()
    lost[[0, 2, 1]] = 0.9, 0.9, 0.1  # two others let through, and a plant sent back
    one, two = (Evaluation(n, {"test": Scored(photos, q)}, 0.5) for n, q in (("a", p), ("b", lost)))
    costs = CostSettings(share_of_others=0.1)
    cost = compare_gates(one, two, "test", 0.02, costs).cost
    assert (cost.before, cost.after) == (0, pytest.approx(2 * 3 * 0.2 + 1.8))
    assert cost.standard_error == pytest.approx((2 * 0.6**2 + 1.8**2) ** 0.5)
    assert compare_gates(one, two, "test", 0.02, CostSettings()).cost.after == 7


def test_errors_that_both_make_speak_against_nobody() -> None:
    photos = tuple(make_photo(f"{n}", n % 2, "field") for n in range(100))
    wrong = Scored(photos, np.where(np.arange(100) % 2, 0.2, 0.8).astype(np.float32))
    one, two = (Evaluation(name, {"test": wrong}, 0.5) for name in "ab")
    judgement = judged(one, two, 0.02)
    assert judgement.objections == ()
    assert judgement.comparisons[0].cost.before == judgement.comparisons[0].cost.after == 200


def test_another_threshold_is_no_other_gate_at_fixed_points() -> None:
    """The same order of photos in other numbers: the verdicts at 0.5 differ, these do not."""
    rng = np.random.default_rng(0)
    photos = tuple(make_photo(f"{n}", n % 2, "s") for n in range(400))
    p = np.clip(rng.normal(0.35 + 0.3 * (np.arange(400) % 2), 0.15), 0.01, 0.99).astype(np.float32)
    one, two = (Evaluation(n, {"test": Scored(photos, q)}, 0.5) for n, q in (("a", p), ("b", p**2)))
    comparison = compare_gates(one, two, "test", 0.02, CostSettings())
    assert comparison.totals[1].wrong_after > comparison.totals[1].wrong_before + 20
    assert [(c.newly_wrong, c.newly_right, c.worse) for c in comparison.fixed] == [
        (0, 0, False),
        (0, 0, False),
    ]
    retakes, accepts = comparison.fixed  # up to the next photo of the other kind, so a few fewer
    assert 0 < retakes.wrong_before <= comparison.totals[1].wrong_before
    assert 0 < accepts.wrong_before <= comparison.totals[0].wrong_before


@pytest.mark.parametrize(("noise", "centre"), [(0.7, 5.0), (1.5, 3.0)])
def test_at_fixed_points_equally_good_gates_are_hardly_ever_told_apart(
    noise: float, centre: float
) -> None:
    """Few others get through, so where the threshold lies is luck, and moves all plants together.

    By McNemar's test p was below 0.05 for more than half of the pairs with the lesser noise.
    """
    rng = np.random.default_rng(0)
    plants = np.arange(500) < 250
    photos = tuple(make_photo(f"{n}", int(plant), "s") for n, plant in enumerate(plants))
    told = []
    for _ in range(40):
        logits = rng.normal(np.where(plants, centre, -centre), 2.5)
        pair = (Scored(photos, sigmoid(logits + rng.normal(0, noise, 500))) for _ in range(2))
        told += at_fixed_points(*pair, 0.75, 0.02)
    assert np.mean([one.p_value < 0.05 for one in told]) <= 0.08  # 80 of them: 0.05, and luck
    assert np.mean([one.worse for one in told]) <= 0.05


def test_at_fixed_points_a_gate_that_puts_plants_lower_is_told() -> None:
    rng = np.random.default_rng(0)
    plants = np.arange(800) < 400
    photos = tuple(make_photo(f"{n}", int(plant), "s") for n, plant in enumerate(plants))
    before, after = (
        Scored(photos, sigmoid(rng.normal(np.where(plants, centre, -2), 2.0)))
        for centre in (3.0, 1.0)
    )
    retakes, accepts = at_fixed_points(before, after, 0.5, 0.02)
    for one in (retakes, accepts):
        assert one.p_value < 0.01
        assert one.worse


def test_fixed_points_by_hand() -> None:
    """Before, at 0.5: the other at 0.7 gets through, the plant at 0.4 is sent back.

    After, with one other let through: plants have to be above 0.6. With one plant sent back: others
    get through from 0.5 up, all of them.
    """
    photos = tuple(make_photo(f"{n}", int(n < 3), "s") for n in range(6))
    before = Scored(photos, np.array([0.9, 0.8, 0.4, 0.7, 0.3, 0.2], np.float32))
    after = Scored(photos, np.array([0.9, 0.5, 0.4, 0.7, 0.6, 0.55], np.float32))
    retakes, accepts = at_fixed_points(before, after, 0.5, 0.02)
    assert (retakes.source, retakes.error) == ("all, at 1 false accepts", "false retakes")
    assert (retakes.wrong_before, retakes.wrong_after) == (0, 2)
    assert (accepts.source, accepts.error) == ("all, at 1 false retakes", "false accepts")
    assert (accepts.wrong_before, accepts.wrong_after) == (0, 3)
    assert [one.count for one in (retakes, accepts)] == [3, 3]


def test_of_photos_with_one_probability_all_or_none_are_let_through() -> None:
    photos = tuple(make_photo(f"{n}", int(n < 2), "s") for n in range(5))
    before = Scored(photos, np.array([0.9, 0.4, 0.8, 0.2, 0.1], np.float32))
    tied = Scored(photos, np.array([0.9, 0.6, 0.6, 0.6, 0.1], np.float32))
    retakes, accepts = at_fixed_points(before, tied, 0.5, 0.02)
    assert (retakes.wrong_before, retakes.wrong_after) == (0, 1)
    assert (accepts.wrong_before, accepts.wrong_after) == (0, 0)


def test_one_class_alone_has_no_fixed_points() -> None:
    photos = tuple(make_photo(f"{n}", 0, "s") for n in range(3))
    scored = Scored(photos, np.full(3, 0.5, np.float32))
    assert at_fixed_points(scored, scored, 0.5, 0.02) == ()


def test_how_many_photos_were_left_out_is_told() -> None:
    text = judgement_markdown(judged(*evaluations(), 0.0, seen={"test": 7, "val": 0}))
    assert "near-duplicates: 7 of test." in text
    assert "near-duplicates: none." in judgement_markdown(judged(*evaluations(), 0.0))


def test_other_photos_cannot_be_compared() -> None:
    before, after = evaluations()
    photos = before.splits["test"].photos
    other = Scored((*photos[1:], photos[0]), after.splits["test"].probabilities)
    with pytest.raises(ValueError, match="same photos"):
        compare_gates(
            before, Evaluation("after", {"test": other}, 0.5), "test", 0.0, CostSettings()
        )
