from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.log import DecisionLog
from plantood.training.rounds.layout import Round
from tests.training.review.rounds import INFO, mined_photo

A, B = "a" * 64, "b" * 64


def finder(*paths: str, source: str = "") -> PhotoFinder:
    """Of photos with the ids 0000..., 1111..., ... at these paths."""
    photos = [mined_photo(f"{n:x}" * 64, "", 0.1, path) for n, path in enumerate(paths)]
    return PhotoFinder({photo.id: photo for photo in photos}, source)


def found(finder: PhotoFinder, *hints: str) -> int | None:
    """Number of the photo."""
    identity = finder.find(*hints)
    return None if identity is None else int(identity[0], 16)


POOL = ("/pool/camA/IMG_0003.jpg", "/pool/camA/IMG_0004.jpg", "/pool/camC/IMG_0004.jpg")


@pytest.mark.parametrize(
    ("hints", "number"),
    [
        # another camera's photo of the same name, by path, by digest, by both
        (["camB/IMG_0003.jpg"], None),
        (["/pool/camB/IMG_0003.jpg"], None),
        ([B, "camB/IMG_0003.jpg"], None),
        ([B, "camA/IMG_0003.jpg"], None),
        ([B, "IMG_0003.jpg"], None),
        (["IMG_0003.jpg", "camB/IMG_0003.jpg"], None),
        (["camA/IMG_0003.jpg", "camA/IMG_0004.jpg"], None),
        (["0" * 64, "camA/IMG_0004.jpg"], None),
        (["0" * 64, "1" * 64], None),
        # the longest end of the path
        (["IMG_0003.jpg"], 0),
        (["IMG_0004.jpg"], None),
        (["camA/IMG_0004.jpg"], 1),
        (["camC/IMG_0004.jpg"], 2),
        (["mnt/pool/camC/IMG_0004.jpg"], 2),
        (["IMG_0004.jpg", "camC/IMG_0004.jpg"], 2),
        (["pool\\camA\\IMG_0004.jpg"], 1),
        (["2" * 64], 2),
        (["2" * 64, "elsewhere/x.jpg"], 2),
        (["2" * 64, "/pool/camC/IMG_0004.jpg"], 2),
        # as servers give them
        (["/data/local-files/?d=pool/camA/IMG_0004.jpg"], 1),
        (["http://localhost:8080/data/local-files/?d=pool%2FcamA%2FIMG_0004.jpg"], 1),
        (["/data/local-files/?d=pool/camB/IMG_0003.jpg"], None),
        ([f"https://host/pool/camC/IMG_0004.jpg?X-Amz-Signature={B}&X-Amz-Expires=9"], 2),
        ([f"https://host/camB/IMG_0003.jpg?X-Amz-Signature={B}"], None),
        (["/data/upload/3/a1b2c3d4-IMG_0003.jpg"], 0),
        (["https://host/data/upload/3/a1b2c3d4-IMG_0003.jpg"], 0),
        (["a1b2c3d4-IMG_0003.jpg"], 0),
        (["/data/upload/3/a1b2c3d4-IMG_0004.jpg"], None),
        ([f"/data/upload/3/a1b2c3d4-{'2' * 64}.jpg"], 2),
        ([f"/data/local-files/?d=round-1/photos/22/{'2' * 64}.jpg"], 2),
        ([""], None),
        (["/"], None),
        (["?d="], None),
    ],
)
def test_a_label_finds_its_photo_or_none(hints: list[str], number: int | None) -> None:
    assert found(finder(*POOL), *hints) == number


def test_below_the_folder_that_was_mined_the_same_is_the_same_elsewhere() -> None:
    paths = ("/pool/camA/1.jpg", "/pool/camA/day/2.jpg", "/pool/3.jpg")
    assert found(finder(*paths), "/mnt/x/camA/1.jpg") is None
    moved = finder(*paths, source="/pool")
    assert found(moved, "/data/local-files/?d=cams/camA/1.jpg") == 0
    assert found(moved, "/mnt/x/camA/day/2.jpg") == 1
    assert found(moved, "/mnt/x/camB/day/2.jpg") is None
    assert found(moved, "/mnt/x/3.jpg") is None  # any folder may hold a photo of this name


def test_a_bucket_by_its_presigned_address() -> None:
    bucket = finder("s3://bucket/camA/1.jpg", "s3://bucket/camB/1.jpg")
    for host in ("bucket.s3.amazonaws.com", "s3.amazonaws.com/bucket"):
        assert found(bucket, f"https://{host}/camB/1.jpg?AWSAccessKeyId=x&Expires=1") == 1
    assert found(bucket, "https://bucket.s3.amazonaws.com/camC/1.jpg?Expires=1") is None
    web = finder("https://one.example/a/1.jpg")
    assert found(web, "https://one.example/a/1.jpg?token=x") == 0
    assert found(web, "https://two.example/a/1.jpg") is None


def test_names_as_they_are() -> None:
    odd = finder("/p/caf\u00e9.jpg", "/p/what?.jpg", "/p/100%25.jpg", f"/p/{A}.jpg")
    assert found(odd, "p/cafe\u0301.jpg") == 0
    assert found(odd, "what?.jpg") == 1
    assert found(odd, "p/100%25.jpg") == 2
    assert found(odd, f"p/{A}.jpg") == 3  # a name that happens to be some other digest


@pytest.fixture
def labels(tmp_path: Path) -> Callable[..., tuple[Result, DecisionLog]]:
    """Imports a file of labels into a round of one photo, of camera A."""
    round_ = Round.create(tmp_path / "round", INFO)
    round_.write_mined([mined_photo(A, "", 0.1, "/pool/camA/IMG_0003.jpg")])

    def run(name: str, content: str) -> tuple[Result, DecisionLog]:
        (tmp_path / name).write_text(content)
        command = ["labels", "import", str(round_.path), str(tmp_path / name)]
        ran = CliRunner().invoke(main, [*command, "--reviewer", "ann"])
        return ran, DecisionLog(round_)

    return run


def test_another_cameras_row_labels_nothing(labels: Callable) -> None:
    ran, log = labels("l.csv", f"sha256,path,label\n{B},camB/IMG_0003.jpg,plant\n")
    assert ran.output.startswith("0 labels added")
    assert "1 are of photos that this round does not have" in ran.output
    assert "Line 2 of" in ran.output
    assert not log.votes(A)


def task(*results: tuple[str, list[str]], image: str = "camA/IMG_0003.jpg") -> str:
    result = [
        {"type": "choices", "from_name": name, "to_name": "i", "value": {"choices": words}}
        for name, words in results
    ]
    return json.dumps([{"data": {"image": image}, "annotations": [{"result": result}]}])


def test_choices_that_contradict_each_other_are_refused(labels: Callable) -> None:
    for results in (
        [("c", ["plant", "other"])],
        [("c", ["plant"]), ("d", ["unsure"])],
        [("c", ["other: no plant", "other: blurred or too close"])],
    ):
        ran, log = labels("l.json", task(*results))
        assert ran.exit_code == 1
        assert "Task 1 of" in ran.output
        assert "are chosen; leave one" in ran.output
        assert not log.votes(A)


def test_choices_that_say_the_same_are_one(labels: Callable) -> None:
    ran, log = labels("l.json", task(("c", ["other", "other: no plant"])))
    assert ran.output.startswith("1 labels added")
    assert log.votes(A)["ann"].decision.kind == "no_plant"


def test_another_question_of_the_project_is_passed_over(labels: Callable) -> None:
    ran, log = labels("l.json", task(("crop", ["maize"]), ("answer", ["plant"])))
    assert "passed over: the choices of crop" in ran.stderr
    assert "1 labels added" in ran.output
    assert log.votes(A)["ann"].decision.label == "plant"


def test_our_own_question_goes_before_one_with_a_word_of_ours(labels: Callable) -> None:
    _, log = labels("l.json", task(("sure", ["unsure"]), ("label", ["plant"])))
    assert log.votes(A)["ann"].decision.label == "plant"


def test_rows_that_contradict_each_other_are_told(labels: Callable) -> None:
    path = "camA/IMG_0003.jpg"
    ran, log = labels("l.csv", f"path,label\n{path},plant\n{path},plant\n{path},other\n")
    assert "1 photos have different labels of one reviewer" in ran.output
    assert "Line 3 of" in ran.output
    assert "Line 4 of" in ran.output
    assert log.votes(A)["ann"].decision.label == "other"


def test_of_two_times_the_later_counts(labels: Callable) -> None:
    path = "camA/IMG_0003.jpg"
    rows = f"{path},plant,2026-02-02T00:00:00Z\n{path},other,2026-01-01T00:00:00Z\n"
    ran, log = labels("l.csv", f"path,label,time\n{rows}")
    assert "different labels" not in ran.output
    assert log.votes(A)["ann"].decision.label == "plant"
