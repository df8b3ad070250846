from __future__ import annotations

import numpy as np

from plantood.training.judging.unseen import (
    Accepted,
    accepted_shares,
    unseen_table,
)

PHOTOS = [
    ("farm", 1, 0.9),
    ("farm", 1, 0.7),
    ("farm", 1, 0.4),
    ("farm", 1, 0.8),
    ("garden", 1, 0.6),
    ("street", 0, 0.2),
    ("street", 0, 0.7),
    ("farm", 0, 0.1),
]


def shares(threshold: float) -> list[Accepted]:
    sources, labels, probabilities = zip(*PHOTOS, strict=True)
    return accepted_shares(labels, probabilities, sources, threshold)


def test_shares_by_hand() -> None:
    assert sorted(shares(0.5), key=lambda one: (one.label, one.source)) == [
        Accepted("farm", "other", 1, 0.0),
        Accepted("street", "other", 2, 0.5),
        Accepted("farm", "plant", 4, 0.75),
        Accepted("garden", "plant", 1, 1.0),
    ]
    strict = {(one.source, one.label): one.share for one in shares(0.7)}
    assert strict["farm", "plant"] == 0.75  # the threshold itself is accepted
    assert strict["garden", "plant"] == 0.0
    assert strict["street", "other"] == 0.5


def test_means_are_over_sources_not_photos() -> None:
    found = [Accepted("x", "plant", 1000, 1.0), Accepted("y", "plant", 10, 0.5)]
    _, rows = unseen_table({"a": found})
    assert rows[-1][0] == "mean of 2 sources"
    assert rows[-1][3].startswith("75.0%")


def test_sources_that_belong_together_are_one_in_a_mean() -> None:
    kept = {"a": 1.0, "b": 0.8, "c": 0.6}
    found = [Accepted(name, "plant", 100, share) for name, share in kept.items()]
    _, rows = unseen_table({"a": found}, (frozenset({"a", "b"}),))
    assert [row[0] for row in rows] == ["a", "b", "c", "mean of 3 sources in 2 units"]
    assert rows[-1][3].startswith("75.0%")


def test_the_table_shows_every_source_and_the_means() -> None:
    header, rows = unseen_table({"at half": shares(0.5), "strict": shares(0.7)})
    assert header == ["source left out", "figure", "photos", "at half", "strict"]
    assert [row[:3] for row in rows] == [
        ["farm", "plants kept", "4"],
        ["garden", "plants kept", "1"],
        ["mean of 2 sources", "plants kept", ""],
        ["farm", "false accepts", "1"],
        ["street", "false accepts", "2"],
        ["mean of 2 sources", "false accepts", ""],
    ]
    # A source beside Wilson's interval, by R: binom::binom.wilson(3, 4) 0.3006, 0.9544.
    assert rows[0][3:] == ["75.0% (30.1 to 95.4)"] * 2
    assert rows[2][3:] == ["87.5%", "37.5%"]  # two sources say nothing of others
    assert [row[3].split()[0] for row in rows] == [
        "75.0%",
        "100.0%",
        "87.5%",
        "0.0%",
        "50.0%",
        "25.0%",
    ]


def test_a_stray_photo_is_no_source_of_the_mean() -> None:
    many = [Accepted(name, "plant", 100, kept) for name, kept in (("x", 0.96), ("y", 0.98))]
    stray = Accepted("plant", "plant", 1, 0.0)
    _, rows = unseen_table({"a": [*many, stray]})
    assert [row[0] for row in rows] == ["plant", "x", "y", "mean of 2 sources"]
    assert rows[-1][3] == "97.0%"


def test_a_class_without_a_source_has_no_row() -> None:
    _, rows = unseen_table({"a": accepted_shares([1], np.array([0.9]), ["x"], 0.5)})
    assert [row[0] for row in rows] == ["x", "mean of 1 sources"]
