"""The lineage of gate models that are in the store, as the command prints and draws it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.errors import GateModelNotFound, SettingsError
from plantood.model.entry import BACKBONE, HEAD, KERAS, write_entry
from plantood.model.manifest import TrainingData
from plantood.model.parts.policy import Policy
from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir
from plantood.training.judging.evaluation import Evaluation, Scored
from plantood.training.judging.seen import Seen
from plantood.training.lineage.chain import lineage
from plantood.training.lineage.plot import plot_steps, recorded_steps
from plantood.training.lineage.tables import lineage_table
from plantood.training.photos.data import find_data
from plantood.training.photos.scan import scan_photos
from tests.training.conftest import make_photo

NAME = "gate-with-ancestors"
PHOTOS = TrainingData(kind="photos", path="/farm/photos", photos=500, labels_sha256="a1")
ROUND = TrainingData(kind="round", path="/farm/round-1", photos=70, labels_sha256="b2")
MORE = TrainingData(kind="round", path="/farm/round-1", photos=90, labels_sha256="b3")
SOIL = TrainingData(kind="negatives", path="/farm/soil", photos=12, labels_sha256="c4")


def figures(false_accepts: int, false_retakes: int, photos: int = 10) -> dict[str, Any]:
    """Of a gate with so many errors among so many photos of each class."""
    plants = tuple(make_photo(f"p{n}", 1) for n in range(photos))
    others = tuple(make_photo(f"o{n}", 0) for n in range(photos))
    p = np.r_[np.full(photos, 0.9), np.full(photos, 0.1)].astype(np.float32)
    p[:false_retakes] = 0.2
    p[photos : photos + false_accepts] = 0.8
    scored = Scored(plants + others, p)
    return Evaluation("gap", {"val": scored, "test": scored}, 0.5).figures()


@dataclass
class Store:
    """Makes gate models; deletes them in the end."""

    folder: Path
    tags: list[bentoml.Tag]

    def save(
        self,
        version: str,
        parent: str | None,
        data: list[TrainingData],
        metrics: dict[str, Any],
        name: str = NAME,
    ) -> str:
        entry = self.folder / version
        entry.mkdir()
        for file in (KERAS, BACKBONE, HEAD):
            shutil.copy(starter_dir() / file, entry / file)
        write_entry(
            entry,
            backbone="efficientnet_lite0",
            head="gap_l2",
            input_size=224,
            preprocessing={},
            policy=Policy(),
            metrics=metrics,
            card="# Card",
            parent=parent,
            data=data,
        )
        self.tags.append(save_gate(entry, name=name, version=version))
        return str(self.tags[-1])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, [])
    yield store
    for tag in store.tags:
        bentoml.models.delete(tag)


@pytest.fixture
def family(store: Store) -> dict[str, str]:
    """Three generations, and one that was rejected."""
    first = store.save("v0", None, [PHOTOS], figures(5, 1))
    second = store.save(
        "v1", first, [PHOTOS, ROUND], figures(3, 1, 12) | {"before": figures(6, 2, 12)}
    )
    bad = store.save("v2", second, [PHOTOS, MORE], figures(9, 9), name=f"{NAME}-rejected")
    third = store.save(
        "v3", second, [PHOTOS, ROUND, SOIL], figures(1, 1, 14) | {"before": figures(4, 1, 14)}
    )
    return {"first": first, "second": second, "bad": bad, "third": third}


def test_the_line_goes_from_the_first_to_the_gate(family: dict[str, str]) -> None:
    line = lineage(family["third"])
    assert [g.gate.tag for g in line.generations] == [
        family[k] for k in ("first", "second", "third")
    ]
    assert [g.number for g in line.generations] == [0, 1, 2]
    assert [g.added for g in line.generations] == [(PHOTOS,), (ROUND,), (SOIL,)]
    assert [g.name for g in line.generations] == ["0\nphotos", "1\nround-1", "2\nsoil"]
    assert line.missing is None
    assert [gate.tag for gate in line.others] == [family["bad"]]


def test_latest_is_a_name_for_the_newest(family: dict[str, str]) -> None:
    assert lineage(f"{NAME}:latest").generations[-1].gate.tag == family["third"]


def test_labels_that_changed_are_something_new_to_learn_from(family: dict[str, str]) -> None:
    assert lineage(family["bad"]).generations[-1].added == (MORE,)


def test_children_are_beside_the_line(family: dict[str, str]) -> None:
    line = lineage(family["first"])
    assert len(line.generations) == 1
    assert [gate.tag for gate in line.others] == [family[k] for k in ("second", "bad", "third")]


def test_an_ancestor_that_was_deleted_is_told(family: dict[str, str], store: Store) -> None:
    bentoml.models.delete(family["first"])
    del store.tags[0]
    line = lineage(family["third"])
    assert [g.gate.tag for g in line.generations] == [family["second"], family["third"]]
    assert [g.number for g in line.generations] == [1, 2]
    assert line.missing == family["first"]
    assert f"{family['first']} is no longer in the store" in rounds(family["third"]).output


def test_no_such_gate() -> None:
    with pytest.raises(GateModelNotFound):
        lineage(f"{NAME}:nothing")


def test_the_table_has_the_parent_in_brackets(family: dict[str, str]) -> None:
    header, rows = lineage_table(lineage(family["third"]))
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["learned from"] for row in table] == ["photos (500)", "round-1 (70)", "soil (12)"]
    assert [row["false accepts"] for row in table] == [
        "5 of 10: 50.0% (23.7 to 76.3)",
        "3 (6) of 12: 25.0% (8.9 to 53.2)",
        "1 (4) of 14: 7.1% (1.3 to 31.5)",
    ]
    retakes = [row["false retakes"].split(":")[0] for row in table]
    assert retakes == ["1 of 10", "1 (2) of 12", "1 (1) of 14"]
    assert table[0]["accuracy"] == "0.700, 0.481 to 0.855"
    assert table[1]["accuracy"] == "0.833 (0.667), 0.641 to 0.933"


def test_a_gate_without_figures_has_a_row_all_the_same(store: Store) -> None:
    tag = store.save("bare", None, [], {})
    header, rows = lineage_table(lineage(tag))
    assert rows == [["0", tag, *["-"] * (len(header) - 2)]]


def rounds(tag: str, *arguments: str | Path) -> Result:
    command = ["rounds", tag, *map(str, arguments)]
    with CliRunner().isolated_filesystem():
        return CliRunner().invoke(main, command, catch_exceptions=False)


def test_the_command_prints_and_draws(family: dict[str, str], tmp_path: Path) -> None:
    document = tmp_path / "doc.md"
    document.write_text("<!-- rounds -->\n<!-- /rounds -->\n")
    ran = rounds(family["third"], "--plot", tmp_path / "plot.svg", "--table-into", document)
    assert ran.exit_code == 0
    for tag in family.values():
        assert tag in ran.output
    assert f"Beside it: {family['bad']}, made from {family['second']}." in ran.output
    assert "| 1 (4) of 14: 7.1% (1.3 to 31.5) |" in document.read_text()
    plot = (tmp_path / "plot.svg").read_bytes()
    assert b"<svg" in plot
    # The interval of both errors of three generations, and of the parents of two.
    assert plot.count(b'id="LineCollection_') == 10
    rounds(family["third"], "--plot", tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == plot


def test_by_default_the_plot_lies_among_the_runs(family: dict[str, str], tmp_path: Path) -> None:
    ran = rounds(family["third"], "--runs", tmp_path / "runs")
    assert ran.exit_code == 0
    assert (tmp_path / "runs" / f"rounds-{NAME}-v3.svg").is_file()


def test_all_of_them_on_the_same_photos(
    family: dict[str, str], photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """They have the same network, so that their figures are the same, too."""
    arguments = ("--data", photo_folder(3), "--plot", tmp_path / "p.png", "--cache", tmp_path)
    ran = rounds(family["third"], *arguments)
    assert ran.exit_code == 0
    rows = [line.split() for line in ran.output.splitlines() if line.strip().startswith("farm")]
    assert len(rows) == 1
    cells = rows[0][-15:]  # each: wrong, share, and its interval
    assert cells[:5] == cells[5:10] == cells[10:]
    assert "round 0" in ran.output
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_photos_that_one_of_them_has_learned_from_stand_apart(
    store: Store, photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photo_folder(3)
    photos, _ = scan_photos(find_data(folder).photos, tmp_path)
    seen = Seen(train=frozenset(photo.sha256[:16] for photo in photos if photo.source == "farm"))
    first = store.save("w0", None, [], figures(1, 1))
    second = store.save("w1", first, [], figures(1, 1) | seen.as_dict())
    arguments = ("--data", folder, "--plot", tmp_path / "p.png", "--cache", tmp_path)
    _, _, output = rounds(second, *arguments).output.partition("On the same photos, trained on")
    learned, _, told = output.partition("On the same photos, all")
    told, _, _ = told.partition("Under 30 photos")
    assert "garden" in told
    assert "farm" not in told
    assert "farm" in learned
    assert "garden" not in learned


def test_steps_begin_where_the_parent_stands(family: dict[str, str]) -> None:
    steps = recorded_steps(lineage(family["third"]).generations)["test"]
    wrong = [
        (
            step.parent and step.parent["at_threshold"]["confusion"]["false_accept"],
            step.figures["at_threshold"]["confusion"]["false_accept"],
        )
        for step in steps
    ]
    assert wrong == [(None, 5), (6, 3), (4, 1)]


def test_a_format_that_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"must end in \.svg, \.png, \.pdf"):
        plot_steps(["0"], {}, tmp_path / "plot.doc")
