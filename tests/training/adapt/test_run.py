from __future__ import annotations

import csv
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from threadpoolctl import threadpool_info, threadpool_limits

from plantood.cli import main
from plantood.errors import TrainingDataError
from plantood.model.entry import MEMORY, open_gate, write_entry
from plantood.model.parts.calibration import logit, sigmoid
from plantood.model.saving import save_gate
from plantood.model.store import damage, list_gates, load_gate, store_dir
from plantood.photo.images import to_model_input
from plantood.training.adapt.child import memory_of
from plantood.training.adapt.correction.fit import fit_logistic
from plantood.training.adapt.photos import read_photos
from plantood.training.adapt.run import adapt
from plantood.training.adapt.settings import AdaptOptions
from plantood.training.adapt.terms import Terms
from plantood.training.common.settings import CostSettings
from plantood.training.features.cache import read_input
from plantood.training.judging.decision.guarantee import guaranteed_threshold
from plantood.training.rounds.labels import Decision
from tests.service.tiny_gate import SIZE
from tests.training.adapt.conftest import CALIBRATION, blue
from tests.training.conftest import draw, write_photo
from tests.training.review.rounds import make_round

Make = Callable[..., Path]


@pytest.fixture
def options(tag: str, few: Make, tmp_path: Path) -> AdaptOptions:
    return AdaptOptions(
        tag,
        (few(),),
        runs=tmp_path / "runs",
        cache=tmp_path / "cache",
        gate_name=tmp_path.name.lower(),
    )


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
    assert (retakes.wrong_before, retakes.count) == (1, 10)  # at a threshold of its own choice
    assert retakes.wrong_after == 0
    new, known = result.judged.figures
    assert new.log_loss[1] < new.log_loss[0] / 4
    assert new.calibration_error[1] < new.calibration_error[0] / 2
    assert max(known.log_loss) < 0.05
    assert result.latest


def test_its_many_fits_have_one_thread_and_a_bar(
    options: AdaptOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = set()

    def counted(*given: Any, **named: Any) -> np.ndarray:
        threads.update(one["num_threads"] for one in blas())
        return fit_logistic(*given, **named)

    def blas() -> list[dict[str, Any]]:
        return [one for one in threadpool_info() if one["user_api"] == "blas"]

    monkeypatch.setattr("plantood.training.adapt.correction.correct.fit_logistic", counted)
    with threadpool_limits(2, user_api="blas"):
        assert max(one["num_threads"] for one in blas()) == 2
        adapt(options)
    assert threads == {1}
    said = capsys.readouterr().err
    assert "Choosing how far the gate may move" in said
    assert "Judging each scene by the others" in said


def test_the_child_says_what_it_is(options: AdaptOptions) -> None:
    child, parent = load_gate(adapt(options).tag), load_gate(options.tag)
    assert child.manifest.parent == parent.tag
    assert child.manifest.calibration == CALIBRATION
    assert child.manifest.data[:-1] == parent.manifest.data
    assert child.manifest.data[-1].photos == 20
    assert child.manifest.policy.min_shorter_side == 32
    assert "share_of_others" not in child.metrics  # nobody said so
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
    more = replace(options, tag=child, photos=(few(0, 12, name="more"),), gate_name=None)
    result = adapt(more)
    assert result.told.notes[0].startswith("10 of 12 photos are left out")  # of the first twenty
    assert result.judged.new[0].count == 2
    grandchild = load_gate(result.tag)
    assert grandchild.manifest.parent == child
    assert accepted(str(grandchild.tag), [blue(5000 + i) for i in range(40)]) > 0.9


def test_a_manifest_and_a_round(options: AdaptOptions, tmp_path: Path) -> None:
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "source"])
        for path in sorted(options.photos[0].glob("*/*.jpg")):
            rows.writerow([path, path.parent.name, "farm"])
    by_table = load_gate(adapt(replace(options, photos=(tmp_path / "table.csv",))).tag)
    assert by_table.manifest.data[-1].kind == "photos"
    round_ = make_round(tmp_path / "round", 6)
    round_.append_decisions(
        Decision(reviewer="ann", id=photo.id, label="other") for photo in round_.mined()[:4]
    )
    by_round = load_gate(adapt(replace(options, photos=(round_.path,))).tag)
    assert (by_round.manifest.data[-1].kind, by_round.manifest.data[-1].photos) == ("round", 4)


def test_a_gate_without_memory(entry: Path, few: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(entry, tmp_path / "entry"))
    (folder / MEMORY).unlink()
    manifest = open_gate(entry).manifest
    about = manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"})
    write_entry(folder, policy=manifest.policy, metrics={}, card="# No memory", **about)
    tag = str(save_gate(folder, name="tiny-forgetful"))
    with pytest.raises(TrainingDataError, match="remembers nothing"):
        adapt(AdaptOptions(tag, (few(),), runs=tmp_path, cache=tmp_path))


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
    plants = replace(options, photos=(few(8, 0, name="plants"),))
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
    arguments = ["adapt", options.tag, str(options.photos[0]), "--gate-name", "printed"]
    folders = ["--cache", str(options.cache), "--runs", str(options.runs)]
    result = CliRunner().invoke(main, [*arguments, *folders])
    assert result.exit_code == 0, result.output
    for text in ("false retakes", "1: 10.0% (1.8 to 40.4)", "serves with 0.5500", "plantood serve"):
        assert text in result.output
    assert "Costs: false accept 3, false retake 1." in result.output
    assert "other costs" not in result.output


def test_costs_that_its_parent_was_not_made_for_are_told(options: AdaptOptions, few: Make) -> None:
    dear = adapt(replace(options, costs=CostSettings(false_accept_cost=10)))
    assert "Costs: false accept 10, false retake 1." in load_gate(dear.tag).card
    result = adapt(replace(options, tag=dear.tag, photos=(few(12, 12, name="more"),)))
    (note,) = [note for note in result.told.notes if "other costs" in note]
    assert note.endswith("to keep those: --false-accept-cost 10 --false-retake-cost 1")
    assert note in load_gate(result.tag).card


def test_what_it_knows_already_teaches_it_nothing(options: AdaptOptions) -> None:
    """The second time by the name of the latest: its parent is what came of the first time."""
    child = adapt(options).tag
    with pytest.raises(TrainingDataError, match=f"or adapt {options.tag}, which it comes from"):
        adapt(replace(options, tag=child))


def test_another_share_of_others_moves_what_is_served(options: AdaptOptions) -> None:
    """P(plant) of the child, by Bayes' rule from one tenth instead of a half."""
    parent = load_gate(options.tag)
    gates = [
        load_gate(adapt(replace(options, costs=CostSettings(share_of_others=share))).tag)
        for share in (0.5, 0.9)
    ]
    given = read_photos(parent, options.photos, options.cache)
    pixels = np.stack([read_input(photo.path, SIZE) for photo in given.photos])
    half, most = (logit(gate.scorer(1).score(pixels).plant_probability) for gate in gates)
    np.testing.assert_allclose(half - most, np.log(9), atol=1e-3)
    assert gates[1].metrics["chosen_threshold"]["share_of_others"] == 0.9
    assert gates[1].metrics["share_of_others"] == 0.9
    assert "Share of others: 90.0%, as asked for" in gates[1].card
    # Its child is judged by the share that it is of.
    again = Terms.of(gates[1], memory_of(gates[1]), CostSettings())
    assert (again.share_of_others, again.shift, again.given) == (0.9, 0, True)


def test_photos_that_teach_nothing_change_no_verdict(options: AdaptOptions, tmp_path: Path) -> None:
    """Of what the gate knows for certain, at costs that ask for another threshold."""
    for label in ("plant", "other"):
        for i in range(10):
            write_photo(tmp_path / "known" / label / f"{i}.jpg", int(label == "plant"), 3000 + i)
    costs = CostSettings(false_accept_cost=30.0)
    result = adapt(replace(options, photos=(tmp_path / "known",), costs=costs))
    for change in (*result.judged.new, *result.judged.known):
        assert (change.newly_right, change.newly_wrong) == (0, 0)
    assert result.judged.before.threshold == pytest.approx(result.judged.after.threshold, abs=1e-3)


def test_what_is_told_of_too_few(options: AdaptOptions, few: Make, tmp_path: Path) -> None:
    told = adapt(replace(options, photos=(few(6, 3, name="six"),))).told
    assert "6 new plants and 3 new others" in told.facts[0]
    assert "chosen by 6 of these photos and 120 remembered ones of 6 sources" in told.facts[0]
    assert told.notes[0].startswith("3 new others are too few to choose by (at least 5)")
    assert told.notes[1].startswith("Fewer than 30 new plants and others")


def test_what_shows_one_scene_counts_once(options: AdaptOptions, tmp_path: Path) -> None:
    """Whoever names groups gets a child, and figures, of their own."""

    def table(name: str, group: Callable[[int], int]) -> Path:
        with (tmp_path / name).open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "label", "group"])
            for at, path in enumerate(sorted(options.photos[0].glob("*/*.jpg"))):
                rows.writerow([path, path.parent.name, f"{path.parent.name}{group(at)}"])
        return tmp_path / name

    each, all_ = (
        adapt(replace(options, photos=(table(name, group),)))
        for name, group in (("each.csv", lambda at: at), ("all.csv", lambda _: 0))
    )
    assert each.tag != all_.tag
    told = " ".join(all_.told.notes)
    assert "10 new plants show 1 scenes" in told
    assert "1 new plants are too few to choose by" in told
    assert "Penalty 0.3" in " ".join(all_.told.facts)
    assert "scenes" not in " ".join(each.told.notes)


def test_what_its_parent_promised_does_not_hold(
    entry: Path, options: AdaptOptions, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(entry, tmp_path / "promising"))
    gate = open_gate(entry)
    kept = guaranteed_threshold([0, 1] * 400, [0.1, 0.9] * 400, max_false_accept=0.01)
    write_entry(
        folder,
        policy=gate.manifest.policy,
        metrics=gate.metrics | {"guarantee": kept.as_dict()},
        card="# Promised",
        memory=gate.memory(),
        calibration=CALIBRATION,
        **gate.manifest.model_dump(include={"backbone", "head", "input_size", "preprocessing"}),
    )
    tag = str(save_gate(folder, name="tiny-promising"))
    result = adapt(replace(options, tag=tag))
    (said,) = [note for note in result.told.notes if "promised" in note]
    assert said.startswith(f"{tag} promised at most 1 % of others accepted, 95 % sure: that does")
    assert said in load_gate(result.tag).card
