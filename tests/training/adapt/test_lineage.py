"""Children that were adapted, as `plantood rounds` and `plantood models` show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.training.adapt.run import Adapted, adapt
from plantood.training.adapt.settings import AdaptOptions
from plantood.training.lineage.chain import adapted_figures, lineage
from plantood.training.lineage.plot import recorded_steps
from plantood.training.lineage.tables import lineage_table


@pytest.fixture
def adapted(tag: str, few: Callable[..., Path], tmp_path: Path) -> Adapted:
    """The child of a gate that has no figures."""
    folders = {"runs": tmp_path / "runs", "cache": tmp_path / "cache"}
    return adapt(AdaptOptions(tag, (few(),), gate_name=tmp_path.name.lower(), **folders))


def test_a_child_that_was_adapted_shows_what_adapt_measured(
    adapted: Adapted, tmp_path: Path
) -> None:
    line = lineage(adapted.tag)
    header, rows = lineage_table(line)
    assert rows[0][3:] == ["-"] * (len(header) - 3)  # its parent has no figures
    table = {row[3]: dict(zip(header, row, strict=True)) for row in rows[1:]}
    assert set(table) == {"new photos", "memory"}
    judged = adapted.judged
    for figures, changes in zip(judged.figures, (judged.new, judged.known), strict=True):
        row = table[figures.photos]
        assert row["photos"] == str(figures.count)
        before, after = figures.log_loss
        assert row["loss"] == f"{after:.3f} ({before:.3f})"
        assert (row["accuracy"], row["F1"]) == ("-", "-")
        for change in changes[:2]:
            told = f"{change.wrong_after} ({change.wrong_before}) of {change.count}: "
            assert row[change.error].startswith(told)
    command = ["rounds", adapted.tag, "--plot", str(tmp_path / "plot.svg")]
    ran = CliRunner().invoke(main, command, catch_exceptions=False)
    assert ran.exit_code == 0
    assert f"{adapted.tag} was judged by adapt" in " ".join(ran.output.split())
    steps = recorded_steps(line.generations)
    assert [step.place for step in steps["new photos"]] == [1]
    assert (tmp_path / "plot.svg").is_file()


def test_of_new_photos_of_one_class_there_are_no_errors_of_the_other(
    adapted: Adapted,
) -> None:
    said = adapted.judged.as_dict()
    said["new"] = [one for one in said["new"] if one["error"] == "false retakes"]
    figures = adapted_figures(said, 1)["new photos"]
    assert (figures["at_half"]["others"], figures["at_half"]["plants"]) == (0, 10)
    assert figures["at_threshold"]["confusion"]["false_accept"] == 0


def test_the_list_of_gates_says_where_its_figures_are(adapted: Adapted, tag: str) -> None:
    ran = CliRunner().invoke(main, ["models"], catch_exceptions=False)
    told = " ".join(ran.output.split())
    assert "adapted" in told[told.index(adapted.tag) : told.index(tag)]
    assert "plantood rounds TAG" in told
    as_json = CliRunner().invoke(main, ["models", "--json"]).output
    listed = {one["tag"]: one for one in json.loads(as_json)}
    assert (listed[adapted.tag]["adapted"], listed[tag]["adapted"]) == (True, False)
