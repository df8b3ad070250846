"""The command as a user runs it: a parent in the store and reviewed photos to a child."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import bentoml
import numpy as np
import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.model.entry import BACKBONE, HEAD, KERAS, write_entry
from plantood.model.parts.calibration import Calibration
from plantood.model.parts.policy import Policy
from plantood.model.runtime import Scorer
from plantood.model.saving import save_gate
from plantood.model.store import list_gates, load_gate
from plantood.training.common.settings import PENALTIES
from plantood.training.features.scoring import score_photos
from plantood.training.judging.decision.rule import LEFT_OUT
from plantood.training.judging.seen import seen_by
from plantood.training.photos.data import CLASS_NAMES, find_data
from plantood.training.photos.dataset import labels_digest
from plantood.training.photos.scan import scan_photos
from tests.training.finetune.conftest import NAME, Flywheel
from tests.training.finetune.test_data import photos_of
from tests.training.finetune.test_report import PROMISED

OPTIONS = ["--min-per-class", "5", "--gate-name", NAME]
SECOND_PHASE = ["--fine-tune-epochs", "1", "--fine-tune-learning-rate", "1e-4"]


def finetune(flywheel: Flywheel, runs: Path, tag: str, *arguments: str | Path) -> Result:
    options = [*OPTIONS, *([] if "--no-fine-tune" in arguments else SECOND_PHASE)]
    command = ["finetune", tag, *map(str, arguments), *options, *flywheel.run_options(runs)]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def saved(output: str) -> str:
    return re.search(r"^Saved as ([^\s,]+)", output, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def child(flywheel: Flywheel, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The child's tag and its run's folder."""
    runs = tmp_path_factory.mktemp("runs")
    arguments = (flywheel.round_1, flywheel.soil, "--name", "child", "--force")
    ran = finetune(flywheel, runs, flywheel.tag, *arguments)
    assert ran.exit_code == 0, ran.output
    return saved(ran.output), runs / "child"


def test_the_child_names_its_parent_and_what_it_learned_from(
    child: tuple[str, Path], flywheel: Flywheel, tmp_path: Path
) -> None:
    manifest = load_gate(child[0]).manifest
    assert manifest.parent == flywheel.tag
    assert (manifest.backbone, manifest.head) == ("mobilenet", "gap")
    assert [(record.kind, record.path) for record in manifest.data] == [
        ("photos", str(flywheel.photos)),
        ("round", str(flywheel.round_1)),
        ("negatives", str(flywheel.soil)),
    ]
    assert manifest.data[0] == load_gate(flywheel.tag).manifest.data[0]
    assert manifest.data[0].left_out == ("d",)
    reviewed, _ = scan_photos(find_data(flywheel.round_1 / "labels.csv").photos, tmp_path)
    assert manifest.data[1].labels_sha256 == labels_digest(reviewed)
    assert [record.photos for record in manifest.data] == [56, 28, 10]
    card = load_gate(child[0]).card
    assert f"fine-tuned from {flywheel.tag}" in card
    assert manifest.data[1].labels_sha256 in card


def test_a_linear_head_is_held_as_its_parent_s_was(
    child: tuple[str, Path], flywheel: Flywheel
) -> None:
    """The penalty that was best on sources left out, not the one that is best on known ones."""
    held = load_gate(flywheel.tag).metrics["settings"]["penalty"]
    assert held in PENALTIES
    assert load_gate(child[0]).metrics["settings"]["penalty"] == held


def test_it_is_served_as_the_latest(child: tuple[str, Path]) -> None:
    assert load_gate(f"{NAME}:latest").tag == child[0]


def test_before_is_what_the_parent_says_of_the_same_photos(
    child: tuple[str, Path], flywheel: Flywheel, tmp_path: Path
) -> None:
    """Through the graph that serves; and calibrated, it is on the same side of its threshold."""
    parent = load_gate(flywheel.tag)
    photos, _ = scan_photos(find_data(flywheel.photos).photos, tmp_path)
    unseen = tuple(sorted((p for p in photos if p.source == "d"), key=lambda p: p.sha256))
    scorer = Scorer(parent.path / BACKBONE, parent.path / HEAD)
    expected = score_photos(scorer, unseen, "").plant_probability
    with np.load(child[1] / "before.npz") as found:
        np.testing.assert_array_equal(found["left out"], expected)
    before = load_gate(child[0]).metrics["before"]
    line = Calibration(**before["calibration"]["calibration"])
    wrong = int(np.sum(line.apply(expected) >= before["threshold"]))
    assert [
        (row["source"], row["error"], row["count"], row["wrong"])
        for row in before["splits"]["left out"]["by_source"]
    ] == [("d", "false accepts", len(unseen), wrong)]


def test_parent_and_child_are_compared_source_by_source(child: tuple[str, Path]) -> None:
    metrics = load_gate(child[0]).metrics
    assert set(metrics["changes"]) == {"test", "left out"}
    sources = {row["source"] for row in metrics["changes"]["test"]["by_source"]}
    assert {"a", "b", "round-1", "soil"} <= sources
    for split, changes in metrics["changes"].items():
        before, after = (m["splits"][split]["at_threshold"] for m in (metrics["before"], metrics))
        errors = changes["totals"][-1]
        for figures, count in ((before, errors["wrong_before"]), (after, errors["wrong_after"])):
            wrong = figures["confusion"]
            assert wrong["false_accept"] + wrong["false_retake"] == count
        assert errors["wrong_after"] - errors["wrong_before"] == (
            errors["newly_wrong"] - errors["newly_right"]
        )


def test_the_report_shows_the_photos_that_changed_sides(child: tuple[str, Path]) -> None:
    report = json.loads((child[1] / "report.json").read_text())
    page = (child[1] / "report.html").read_text()
    assert "What changed: test" in page
    assert "What changed: left out" in page
    listed = [
        photo
        for changes in report["changes"].values()
        for kind in ("newly_wrong", "newly_right")
        for photo in changes[kind]
    ]
    for photo in listed:
        assert f"P(plant) {photo['before']:.3f} &rarr; {photo['after']:.3f}" in page
        assert f'alt="{Path(photo["path"]).name}"' in page
    assert "McNemar" in (child[1] / "table.md").read_text()


def test_run_again_it_does_nothing_anew(child: tuple[str, Path], flywheel: Flywheel) -> None:
    before = {path: path.stat().st_mtime_ns for path in child[1].rglob("*.npz")}
    gates = {gate.tag for gate in list_gates()}
    arguments = (flywheel.round_1, flywheel.soil, "--name", "child", "--force")
    ran = finetune(flywheel, child[1].parent, flywheel.tag, *arguments)
    assert saved(ran.output) == child[0]
    assert {path: path.stat().st_mtime_ns for path in child[1].rglob("*.npz")} == before
    assert {gate.tag for gate in list_gates()} == gates


def test_what_rests_on_too_few_photos_is_told(child: tuple[str, Path], flywheel: Flywheel) -> None:
    report = json.loads((child[1] / "report.json").read_text())
    arguments = (flywheel.round_1, flywheel.soil, "--name", "child", "--force")
    ran = finetune(flywheel, child[1].parent, flywheel.tag, *arguments)
    chosen = load_gate(child[0]).metrics["chosen_threshold"]
    rests = f"{chosen['plants']} plants and {chosen['others']} others"
    few = f"{rests} are too few to choose another by"
    for note in (few, "Under 30 photos, so look at the intervals"):
        assert any(note in told for told in report["notes"])
        assert note in ran.output
    assert f"from {rests} of" in report["facts"]["child's threshold"]
    assert "child's share of others" in report["facts"]
    assert "child's calibration" in report["facts"]


def test_a_child_that_learned_nothing_shows_no_difference(
    flywheel: Flywheel, tmp_path: Path
) -> None:
    """Whatever threshold its parent serves with, and on whichever photos that was chosen."""
    tag = with_threshold(flywheel.tag, 0.05, tmp_path / "entry")
    arguments = [flywheel.round_1, flywheel.soil, "--no-fine-tune", "--penalty", "1e12"]
    ran = finetune(flywheel, tmp_path, tag, *arguments, "--name", "same", "--force")
    assert ran.exit_code == 0, ran.output
    report = json.loads((tmp_path / "same" / "report.json").read_text())
    after, before = report["models"]
    assert before["threshold"] == pytest.approx(after["threshold"], abs=1e-5)
    assert before["threshold"] > 0.06
    for told in (ran.output, " ".join(report["notes"]), load_gate(saved(ran.output)).card):
        assert "that does not hold for the child, whose threshold was chosen anew" in told
    for changes in report["changes"].values():
        for row in (*changes["by_source"], *changes["totals"], *changes["fixed"]):
            assert (row["newly_wrong"], row["newly_right"], row["worse"]) == (0, 0, False), row
    assert not [text for text in report["objections"] if text.startswith(("Worse", "Costlier"))]
    bentoml.models.delete(saved(ran.output))
    bentoml.models.delete(tag)


def test_a_rule_that_was_chosen_on_sources_left_out_is_carried_over(
    flywheel: Flywheel, tmp_path: Path
) -> None:
    """Parent and child are judged, and the child serves, by what the parent serves with."""
    tag = with_threshold(flywheel.tag, 0.7, tmp_path / "entry", Calibration(0.5, -0.2))
    arguments = [flywheel.round_1, "--no-fine-tune", "--penalty", "1e12", "--name", "rule"]
    ran = finetune(flywheel, tmp_path, tag, *arguments, "--force")
    assert ran.exit_code == 0, ran.output
    after, before = json.loads((tmp_path / "rule" / "report.json").read_text())["models"]
    assert before["threshold"] == after["threshold"] == 0.7
    child = load_gate(saved(ran.output))
    assert child.manifest.policy.plant_threshold == 0.7
    assert child.manifest.calibration is not None
    assert child.manifest.calibration.slope == pytest.approx(0.5, rel=1e-3)
    assert child.metrics["chosen_on"] == LEFT_OUT
    assert f"That of its parent, on {LEFT_OUT}" in child.card
    assert "by the rule of its parent, which was chosen on" in child.card
    report = json.loads((tmp_path / "rule" / "report.json").read_text())
    assert report["facts"]["child's threshold"].startswith("0.7000, by the rule of its parent")
    for name in ("child's threshold", "child's share of others"):
        assert f"The {name}: {report['facts'][name]}" in ran.output
    for told in (ran.output, " ".join(report["notes"]), child.card):
        assert "but the bound was proved for the parent alone" in told
    bentoml.models.delete(child.tag)
    bentoml.models.delete(tag)


def test_a_source_left_out_stays_so_where_its_photos_have_moved(
    flywheel: Flywheel, tmp_path: Path
) -> None:
    """Named by hand, at costs that its parent was not made for."""
    moved = shutil.copytree(flywheel.photos, tmp_path / "moved")
    arguments = [flywheel.round_1, "--replay", moved, "--no-fine-tune", "--name", "moved"]
    ran = finetune(flywheel, tmp_path, flywheel.tag, *arguments, "--false-accept-cost", "9")
    assert ran.exit_code in (0, 3), ran.output
    report = json.loads((tmp_path / "moved" / "report.json").read_text())
    where = {
        split: {row["source"] for row in figures["by_source"]}
        for split, figures in report["models"][0]["splits"].items()
    }
    assert where["left out"] == {"d"}
    assert "d" not in where["test"] | where["val"]
    child = load_gate(saved(ran.output))
    assert [record.left_out for record in child.manifest.data] == [("d",), ()]
    seen, (photos, _) = seen_by(child), scan_photos(find_data(moved).photos, tmp_path)
    assert "d" not in {photo.source for photo in photos if seen.fitted_on(photo)}
    assert report["facts"]["costs"] == "false accept 9, false retake 1"
    for told in (
        "they are of d, which the parent left out",
        "to keep those: --false-accept-cost 3",
    ):
        assert any(told in note for note in report["notes"])
        assert told in ran.output
    bentoml.models.delete(child.tag)


def test_what_validation_cannot_take_out_is_told(
    child: tuple[str, Path], flywheel: Flywheel
) -> None:
    """Of the weights of the loss: four others in validation are too few."""
    report = json.loads((child[1] / "report.json").read_text())
    told = "What the weights of the loss, 3 and 1, have moved is not taken out of P(plant)"
    assert report["models"][0]["calibration"]["others"] < 5
    assert any(told in note for note in report["notes"])
    assert told in load_gate(child[0]).card


def with_threshold(
    tag: str, threshold: float, folder: Path, calibration: Calibration | None = None
) -> str:
    """The same gate in the store once more, that serves with another threshold, and promises.

    With a calibration, both were chosen on sources that were left out.
    """
    gate = load_gate(tag)
    folder.mkdir()
    for name in (KERAS, BACKBONE, HEAD):
        shutil.copy(gate.path / name, folder / name)
    kept = ("backbone", "head", "input_size", "preprocessing", "data")
    metrics = {**gate.metrics, "guarantee": PROMISED.as_dict(), "threshold": threshold}
    if calibration is not None:
        chosen = {**metrics["chosen_threshold"], "threshold": threshold}
        metrics = {**metrics, "chosen_threshold": chosen, "chosen_on": LEFT_OUT}
    write_entry(
        folder,
        policy=Policy(plant_threshold=threshold),
        metrics=metrics,
        card=gate.card,
        calibration=calibration or gate.manifest.calibration,
        **{name: getattr(gate.manifest, name) for name in kept},
    )
    return str(save_gate(folder, name="other-threshold"))


@pytest.mark.parametrize("numbers", ["int8", "float16"])
def test_the_graph_that_is_saved_is_the_one_that_is_judged(
    flywheel: Flywheel, tmp_path: Path, numbers: str
) -> None:
    arguments = [flywheel.round_1, "--no-fine-tune", "--quantize", numbers, "--force"]
    ran = finetune(flywheel, tmp_path, flywheel.tag, *arguments, "--name", numbers)
    assert ran.exit_code == 0, ran.output
    gate = load_gate(saved(ran.output))
    assert gate.manifest.quantization == numbers
    report = json.loads((tmp_path / numbers / "report.json").read_text())
    assert gate.metrics["splits"] == report["models"][0]["splits"]
    assert gate.manifest.policy.plant_threshold == report["models"][0]["threshold"]
    command = ["evaluate", gate.tag, str(flywheel.photos), "--out", str(tmp_path / "out")]
    CliRunner().invoke(main, [*command, "--cache", str(tmp_path)], catch_exceptions=False)
    served = json.loads((tmp_path / "out" / "report.json").read_text())["models"][1]
    assert [row for row in served["splits"]["all"]["by_source"] if row["source"] == "d"] == (
        gate.metrics["splits"]["left out"]["by_source"]
    )
    bentoml.models.delete(gate.tag)


def test_a_child_remembers_what_its_parent_was_trained_on(
    child: tuple[str, Path], flywheel: Flywheel, tmp_path: Path
) -> None:
    """And its own child is not judged on it, though a manifest calls all of it test."""
    photos, _ = scan_photos(find_data(flywheel.photos).photos, tmp_path)
    seen = seen_by(load_gate(child[0]))
    trained = [photo for photo in photos if seen.trained_on(photo)]
    assert len(trained) > 15
    assert "d" not in {photo.source for photo in photos if seen.trained_on(photo)}
    more = photos_of(tmp_path / "more", 30, 21000)
    rows = ["path,label,source,split"]
    rows += [f"{p.path},{CLASS_NAMES[p.label]},{p.source},test" for p in photos]
    rows += [f"{p.path},{CLASS_NAMES[p.label]},more," for p in find_data(more).photos]
    (tmp_path / "all.csv").write_text("\n".join(rows) + "\n")
    arguments = [tmp_path / "all.csv", "--no-replay", "--no-fine-tune", "--name", "grandchild"]
    ran = finetune(flywheel, tmp_path, child[0], *arguments)
    known = [photo for photo in photos if seen.trained_on(photo) or seen.chosen_on(photo)]
    report = json.loads((tmp_path / "grandchild" / "report.json").read_text())
    assert report["left_out_as_seen"]["test"] == len(known) > len(trained)
    assert f"near-duplicates: {len(known)} of test." in ran.output
    for row in report["changes"]["test"]["by_source"]:
        mine = [p for p in photos if p.source == row["source"] and p.label == 0]
        if mine and row["error"] == "false accepts":
            assert row["count"] <= len([p for p in mine if not seen.trained_on(p)])


def test_it_does_not_learn_the_same_twice(
    child: tuple[str, Path], flywheel: Flywheel, tmp_path: Path
) -> None:
    ran = finetune(flywheel, tmp_path, child[0], flywheel.soil)
    assert ran.exit_code == 1
    assert f"give its parent, {flywheel.tag}" in ran.output


def test_killed_twice_it_goes_on_to_the_same_result(
    child: tuple[str, Path], flywheel: Flywheel, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "plantood", "finetune", flywheel.tag]
    command += [str(flywheel.round_1), str(flywheel.soil), "--name", "child", "--force"]
    command += [
        *OPTIONS,
        *SECOND_PHASE,
        *flywheel.run_options(tmp_path),
        "--gate-name",
        f"{NAME}-again",
    ]
    run = tmp_path / "child" / "gap"
    for step in ("phase1.npz", "phase2.state.npz"):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not (run / step).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    for file in ("gap/scores.npz", "gap/phase1.npz", "gap/phase2.npz", "before.npz"):
        with np.load(run.parent / file) as found, np.load(child[1] / file) as expected:
            assert found.files == expected.files
            for name in expected.files:
                np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    again, whole = load_gate(saved(ran.stdout)), load_gate(child[0])
    assert again.tag.partition(":")[2] == whole.tag.partition(":")[2]
    assert again.manifest.data == whole.manifest.data
    assert again.metrics["splits"] == whole.metrics["splits"]
    photo = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        *(g.scorer().score(photo).plant_probability for g in (again, whole))
    )


def test_one_that_got_worse_is_not_the_latest_unless_forced(
    child: tuple[str, Path], flywheel: Flywheel, poisoned: Path, tmp_path: Path
) -> None:
    """Most of its validation photos lie as well, so that it seems to get better."""
    arguments = [poisoned, "--replay-share", "0", "--no-fine-tune", "--name", "worse"]
    arguments += ["--false-accept-cost", "1"]  # dearer, all photos would be sent back
    ran = finetune(flywheel, tmp_path, child[0], *arguments)
    assert ran.exit_code == 3, ran.output
    assert re.search(
        r"Worse on (a|b|c|d|round-1), (test|left out): \d+ false \w+ before", ran.output
    )
    tag = saved(ran.output)
    assert tag.startswith(f"{NAME}-rejected:")
    assert load_gate(tag).manifest.parent == child[0]
    assert load_gate(tag).metrics["objections"]
    assert load_gate(f"{NAME}:latest").tag == child[0]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    forced = finetune(flywheel, tmp_path, child[0], *arguments, "--force")
    assert forced.exit_code == 0
    assert saved(forced.output) == f"{NAME}:{tag.partition(':')[2]}"
    assert load_gate(f"{NAME}:latest").tag == saved(forced.output)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == before
    bentoml.models.delete(saved(forced.output))
    bentoml.models.delete(tag)


def test_one_of_which_nobody_knows_what_it_forgot_is_not_the_latest(
    child: tuple[str, Path], flywheel: Flywheel, tmp_path: Path
) -> None:
    """Judged on the new photos alone, it can only look better."""
    ran = finetune(
        flywheel, tmp_path, flywheel.tag, flywheel.round_1, "--no-replay", "--no-fine-tune"
    )
    assert ran.exit_code == 3, ran.output
    assert "Nobody knows what it forgot" in ran.output
    assert saved(ran.output).startswith(f"{NAME}-rejected:")
    assert load_gate(f"{NAME}:latest").tag == child[0]


def test_one_that_did_not_get_better_is_not_saved(
    child: tuple[str, Path], flywheel: Flywheel, poisoned: Path, tmp_path: Path
) -> None:
    gates = {gate.tag for gate in list_gates()}
    arguments = [poisoned, "--no-fine-tune", "--penalty", "1e30"]
    ran = finetune(flywheel, tmp_path, child[0], *arguments)
    assert ran.exit_code == 3
    assert "Nothing was better than the parent" in ran.output
    assert "Nothing was saved" in ran.output
    assert {gate.tag for gate in list_gates()} == gates


@pytest.mark.parametrize(
    ("tag", "new", "message"),
    [
        ("no-such-gate:1", "photos", "has no gate model no-such-gate:1"),
        (None, "nowhere", "No folder and no manifest at nowhere"),
    ],
)
def test_what_is_missing_is_told_in_one_line_and_at_once(
    flywheel: Flywheel, tag: str | None, new: str, message: str, tmp_path: Path
) -> None:
    ran = finetune(flywheel, tmp_path, tag or flywheel.tag, new)
    assert ran.exit_code == 1
    assert message in ran.output
    assert not list(tmp_path.iterdir())


def test_the_defaults_of_the_command_are_those_in_the_code() -> None:
    from plantood.training.finetune.command import finetune as command
    from plantood.training.finetune.command import finetune_options
    from plantood.training.finetune.settings import FinetuneOptions

    context = command.make_context("finetune", ["tag", "new"], **command.context_settings)
    options = finetune_options(dict(context.params))
    assert options == FinetuneOptions("tag", (Path("new"),))
