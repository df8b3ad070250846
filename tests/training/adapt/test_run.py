from __future__ import annotations

import csv
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from plantood.cli import main
from plantood.errors import TrainingDataError
from plantood.model.calibration import sigmoid
from plantood.model.entry import MEMORY, open_gate, write_entry
from plantood.model.store import damage, list_gates, load_gate, save_gate, store_dir
from plantood.photo.images import to_model_input
from plantood.training.adapt.photos import LABELS, ROUND, read_photos
from plantood.training.adapt.run import adapt
from plantood.training.adapt.settings import AdaptOptions
from plantood.training.fitting.features import read_input
from plantood.training.rounds import layout
from tests.service.tiny_gate import SIZE
from tests.training.adapt.conftest import CALIBRATION, blue
from tests.training.conftest import draw

Make = Callable[..., Path]


@pytest.fixture
def options(tag: str, few: Make, tmp_path: Path) -> AdaptOptions:
    return AdaptOptions(tag, few(), cache=tmp_path / "cache", gate_name=tmp_path.name.lower())


def accepted(tag: str, pictures: list[np.ndarray]) -> float:
    gate = load_gate(tag)
    batch = np.stack([to_model_input(picture, SIZE) for picture in pictures])
    p = gate.scorer(1).score(batch).plant_probability
    return float(np.mean(p >= gate.manifest.policy.plant_threshold))


def test_the_child_knows_what_it_was_shown(options: AdaptOptions) -> None:
    strangers = [blue(5000 + i) for i in range(40)]
    others, plants = ([draw(label, 6000 + i) for i in range(40)] for label in (0, 1))
    assert accepted(options.tag, strangers) == 0
    result = adapt(options)
    assert accepted(result.tag, strangers) > 0.9
    assert accepted(result.tag, others) == accepted(options.tag, others) == 0
    assert accepted(result.tag, plants) == accepted(options.tag, plants) == 1
    retakes = next(one for one in result.judged.new if one.error == "false retakes")
    assert (retakes.wrong_before, retakes.count) == (10, 10)
    assert retakes.wrong_after <= 1
    assert result.latest


def test_the_child_says_what_it_is(options: AdaptOptions) -> None:
    child, parent = load_gate(adapt(options).tag), load_gate(options.tag)
    assert child.manifest.parent == parent.tag
    assert child.manifest.calibration == CALIBRATION
    assert child.manifest.data[:-1] == parent.manifest.data
    assert child.manifest.data[-1].photos == 20
    assert child.manifest.policy.min_shorter_side == 32
    assert child.card.startswith(f"# {parent.tag}, adapted")
    assert parent.card in child.card
    assert len(child.metrics["seen"]["train"]) > len(parent.metrics["seen"]["train"])
    memory, before = child.memory(), parent.memory()
    assert memory is not None
    assert before is not None
    assert len(memory) == len(before) + 20
    np.testing.assert_allclose(memory.weight.sum(), 1, atol=1e-5)
    names = memory.sources[memory.source]
    assert names[:120].tolist() == before.sources[before.source].tolist()
    assert sorted(set(names[120:])) == ["other", "plant"]
    assert np.all(memory.plant[120:] == (names[120:] == "plant"))


def test_again_it_is_the_same(options: AdaptOptions) -> None:
    first = adapt(options)
    assert adapt(options).tag == first.tag
    assert len(list_gates(options.gate_name)) == 1


def test_a_child_learns_on(options: AdaptOptions, few: Make) -> None:
    child = adapt(options).tag
    more = AdaptOptions(child, few(0, 12, name="more"), cache=options.cache)
    grandchild = load_gate(adapt(more).tag)
    assert grandchild.manifest.parent == child
    assert accepted(str(grandchild.tag), [blue(5000 + i) for i in range(40)]) > 0.9


def test_a_manifest_and_a_round(options: AdaptOptions, tmp_path: Path) -> None:
    assert (ROUND, LABELS) == (layout.INFO, layout.LABELS)
    folder = tmp_path / "round"
    folder.mkdir()
    (folder / ROUND).write_text("{}")
    asked = AdaptOptions(options.tag, folder, cache=options.cache, gate_name="of-a-round")
    with pytest.raises(TrainingDataError, match="plantood review"):
        adapt(asked)
    with (folder / LABELS).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "source"])
        for path in sorted(options.photos.glob("*/*.jpg")):
            rows.writerow([path, path.parent.name, "my field"])
    by_round = load_gate(adapt(asked).tag)
    assert by_round.manifest.data[-1].kind == "round"
    asked = AdaptOptions(options.tag, folder / LABELS, cache=options.cache, gate_name="of-a-table")
    by_table = load_gate(adapt(asked).tag)
    assert by_table.manifest.data[-1].kind == "photos"
    assert by_round.manifest.files["correction.npz"] == by_table.manifest.files["correction.npz"]


def test_a_gate_without_memory(entry: Path, few: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(entry, tmp_path / "entry"))
    (folder / MEMORY).unlink()
    manifest = open_gate(entry).manifest
    about = manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"})
    write_entry(folder, policy=manifest.policy, metrics={}, card="# No memory", **about)
    tag = str(save_gate(folder, name="tiny-forgetful"))
    with pytest.raises(TrainingDataError, match="remembers nothing"):
        adapt(AdaptOptions(tag, few(), cache=tmp_path))


def test_what_is_judged_is_what_is_served(options: AdaptOptions) -> None:
    """The new photos, by the child's scorer, as by the correction of what its parent says."""
    parent = load_gate(options.tag)
    given = read_photos(parent, options.photos, options.cache)
    pixels = np.stack([read_input(photo.path, SIZE) for photo in given.photos])
    served = parent.scorer(1).score(pixels).plant_probability
    np.testing.assert_allclose(sigmoid(given.scored.logit), served, atol=1e-5)
    child = load_gate(adapt(options).tag)
    correction = child.correction()
    assert correction is not None
    expected = correction.logit(given.scored.logit, given.scored.embedding)
    after = child.scorer(1).score(pixels).plant_probability
    np.testing.assert_allclose(after, sigmoid(expected), atol=1e-4)
    assert np.abs(after - served).max() > 0.1


def test_one_class_only(options: AdaptOptions, few: Make) -> None:
    plants = AdaptOptions(options.tag, few(8, 0, name="plants"), cache=options.cache)
    assert accepted(adapt(plants).tag, [blue(5000 + i) for i in range(40)]) > 0.9


def die_at_copy(number: int, options: AdaptOptions) -> None:
    """Adapt, and be killed in the middle of copying a file."""
    real, left = shutil.copyfile, number

    def copyfile(source: Path, target: Path, **options: Any) -> Path:
        nonlocal left
        left -= Path(source).name != "model.yaml"  # of BentoML's own half records the store tells
        if left < 0:
            content = Path(source).read_bytes()
            Path(target).write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(source, target, **options)

    shutil.copyfile = copyfile  # type: ignore[assignment]
    adapt(options)


def test_killed_anywhere_it_leaves_no_half_model(options: AdaptOptions) -> None:
    context = multiprocessing.get_context("fork")
    copies, exitcode = 0, None
    while exitcode != 0:
        process = context.Process(target=die_at_copy, args=(copies, options))
        process.start()
        process.join(60)
        exitcode = process.exitcode
        assert exitcode in (0, -signal.SIGKILL)
        whole = [gate for gate in list_gates(options.gate_name) if damage(gate.tag) is None]
        assert len(whole) == (exitcode == 0)
        copies += 1
    assert copies > 15  # of the parent, then of the child: beside the store, and into it
    (summary,) = list_gates(options.gate_name)
    assert load_gate(summary.tag).correction() is not None
    latest = store_dir() / str(options.gate_name) / "latest"
    assert latest.read_text() == summary.tag.partition(":")[2]


def test_what_it_prints(options: AdaptOptions) -> None:
    arguments = ["adapt", options.tag, str(options.photos), "--gate-name", "printed"]
    result = CliRunner().invoke(main, [*arguments, "--cache", str(options.cache)])
    assert result.exit_code == 0, result.output
    for text in ("false retakes", "100.0% (10)", "Threshold 0.5500 before", "plantood serve"):
        assert text in result.output
