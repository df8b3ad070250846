"""Which commands run where nothing but what serving needs is installed, as `--help` says.

That `adapt` does is tested where it is.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from plantood.cli import COMMANDS, IMPROVING, TRAINING, main
from plantood.training.review.client import ReviewClient
from tests.photos import encode, scene
from tests.service.server import ROOT, SAMPLES
from tests.training.adapt.test_serving_only import ABSENT, WITHOUT, run_without

STARTER = "plantood-gate:starter"


def test_the_help_has_a_heading_for_each_kind() -> None:
    told = CliRunner().invoke(main, ["--help"]).output
    headings = ("\nJudge and serve:", "\nImprove (needs no more than serving):", "\nTrain (needs ")
    places = [told.index(heading) for heading in headings]
    assert places == sorted(places)
    _, improving, training = (told[place:] for place in places)
    for name in COMMANDS:
        assert (f"  {name} " in improving) == (name in {*IMPROVING, *TRAINING})
        assert (f"  {name} " in training) == (name in TRAINING)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("field")
    shutil.copytree(SAMPLES, folder / "photos")
    CliRunner().invoke(main, ["check", "--gate", STARTER])  # which puts it into the store
    return folder


@pytest.fixture(scope="module")
def mined(field: Path) -> Path:
    """A round that was mined without the trainer's packages."""
    given = ["mine", str(field / "photos"), "--gate", STARTER, "--sample", "all"]
    done = run_without([*given, "--out", str(field / "round")])
    assert done.returncode == 0, done.stderr
    return field / "round"


def test_labels_go_out_and_come_back(mined: Path, field: Path) -> None:
    for file in ("labels.csv", "tasks.json"):
        done = run_without(["labels", "export", str(mined), str(field / file)])
        assert done.returncode == 0, done.stderr
    arguments = ["labels", "import", str(mined), str(field / "labels.csv"), "--reviewer", "ann"]
    assert run_without(arguments).returncode == 0


def test_a_round_is_reviewed(mined: Path) -> None:
    """By two on the same photo, so that there is an agreement to be told."""
    arguments = ["review", str(mined), "--no-browser", "--port", "0"]
    code = WITHOUT.format(absent=ABSENT, arguments=arguments)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            until_it_serves = list(itertools.takewhile(lambda s: "Ctrl-C" not in s, server.stdout))
            (url,) = (line.strip() for line in until_it_serves if line.startswith("http"))
            for reviewer in ("anna", "ben"):
                with ReviewClient(url, reviewer) as review:
                    review.label(review.photos()[0]["id"], "plant")
                    summary = review.summary()
            (pair,) = summary["agreement"]
            assert (pair["photos"], pair["now"]["share"]) == (1, 1)
            server.send_signal(signal.SIGTERM)
            server.wait(30)
        finally:
            server.kill()


def test_negatives_are_cut(field: Path) -> None:
    photo = field / "rows.jpg"
    photo.write_bytes(encode(scene(600, 600)))
    done = run_without(["negatives", "soil", str(photo), "--out", str(field / "soil")])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["evaluate", STARTER, "photos"], ["rounds", STARTER]])
def test_others_say_what_to_install(arguments: list[str], field: Path) -> None:
    """Of `train` it is tested elsewhere; whatever else trains looks at its photos first."""
    assert arguments[0] in TRAINING
    done = run_without(arguments)
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"Error: `plantood {arguments[0]}` needs ")
    assert 'pip install "./plantood[training]"' in said
