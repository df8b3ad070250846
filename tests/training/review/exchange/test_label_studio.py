"""Label Studio's JSON; ``label_studio_export.json`` is what Label Studio 1.23.2 gave back.

Our own export of a round was imported there with its labelling interface, then task 2 was changed
on its page, task 7 labelled and task 8 skipped through its API, and the project exported as JSON.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.exchange.found import Choices, LabelFileError, import_labels
from plantood.training.review.exchange.label_studio import labelling_interface, write_tasks
from plantood.training.review.exchange.label_studio_export import read_tasks
from plantood.training.review.log import DecisionLog
from tests.training.review.rounds import mined_photo, numbered_log, photos_only, say

EXPORT = Path(__file__).parent / "label_studio_export.json"


def take(log: DecisionLog, file: Path, **options: object) -> object:
    found = read_tasks(file, PhotoFinder(log.photos), Choices())
    return import_labels(log, found, "label_studio", **options)


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    log = numbered_log(tmp_path / "round-1", [0.1, 0.2, 0.3, 0.4, 0.5, 0.55])
    for photo, (label, kind) in enumerate(
        [("plant", None), ("other", "no_plant"), ("other", "unfit"), ("other", None)]
    ):
        say(log, photo, "anna", label, kind=kind)
    say(log, 0, "ben", "unsure")
    return log


def test_what_label_studio_exports_is_imported(tmp_path: Path) -> None:
    tasks = json.loads(EXPORT.read_text())
    photos = [mined_photo(task["data"]["sha256"], "", 0.1, task["data"]["path"]) for task in tasks]
    log = photos_only(tmp_path / "round", photos)
    assert take(log, EXPORT).added == 4
    said = [
        {name: (e.decision.label, e.decision.kind) for name, e in log.votes(photo.id).items()}
        for photo in photos
    ]
    assert said == [
        {"anna": ("plant", None)},
        {"label studio 1": ("plant", None)},  # changed there, so no longer what anna said
        {"anna": ("other", "unfit")},
        {"label studio 1": ("other", "no_plant")},
        {},  # skipped there
    ]
    entry = log.votes(photos[3].id)["label studio 1"].decision
    assert entry.origin == "label_studio"
    assert entry.time.isoformat() == "2026-11-24T10:21:10.838707+00:00"
    again = take(log, EXPORT)
    assert (again.added, again.unchanged, len(log.entries)) == (0, 4, 4)


def test_export_has_the_form_that_label_studio_took(log: DecisionLog, tmp_path: Path) -> None:
    assert write_tasks(log, tmp_path / "tasks.json") == 5
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert len(tasks) == 6
    assert tasks[0]["data"]["image"].startswith("/data/local-files/?d=round-1/")
    interface = ElementTree.parse(tmp_path / "tasks.xml").getroot()
    control = interface.find("Choices")
    offered = {choice.get("value") for choice in control}
    accepted = json.loads(EXPORT.read_text())[0]["annotations"][0]["result"][0]
    for task in tasks:
        assert interface.find("Image").get("value").removeprefix("$") in task["data"]
        for annotation in task["annotations"]:
            # it refuses annotators it does not know, and takes an import for the truth otherwise
            assert "completed_by" not in annotation
            assert annotation["ground_truth"] is False
            (result,) = annotation["result"]
            assert result.keys() == accepted.keys()
            assert (result["from_name"], result["to_name"], result["type"]) == (
                control.get("name"),
                control.get("toName"),
                "choices",
            )
            assert offered.issuperset(result["value"]["choices"])
    ids = [r["id"] for t in tasks for a in t["annotations"] for r in a["result"]]
    assert len(set(ids)) == len(ids)


def test_there_and_back_is_the_same(log: DecisionLog, tmp_path: Path) -> None:
    write_tasks(log, tmp_path / "tasks.json", "https://example.org/r/")
    assert (result := take(log, tmp_path / "tasks.json")).unchanged == 5
    assert (result.added, result.differ, result.unknown) == (0, 0, 0)
    empty = numbered_log(tmp_path / "elsewhere", [0.1, 0.2, 0.3, 0.4, 0.5, 0.55])
    assert take(empty, tmp_path / "tasks.json").added == 5
    for photo in log.photos:
        ours, theirs = (
            {
                n: (e.decision.label, e.decision.kind, e.decision.time)
                for n, e in one.votes(photo).items()
            }
            for one in (log, empty)
        )
        assert ours == theirs


def test_a_label_that_differs_stays_unless_it_is_to_be_replaced(
    log: DecisionLog, tmp_path: Path
) -> None:
    write_tasks(log, tmp_path / "tasks.json")
    say(log, 0, "anna", "other", kind="no_plant")
    result = take(log, tmp_path / "tasks.json")
    assert (result.differ, log.standing("0" * 64, "anna").decision.label) == (1, "other")
    result = take(log, tmp_path / "tasks.json", replace=True)
    assert (result.differ, log.standing("0" * 64, "anna").decision.label) == (1, "plant")


def test_annotations_of_a_project_of_their_own(log: DecisionLog, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    tasks = [
        # found by the digest that an upload keeps in its name; the newest of two labels counts
        {
            "data": {"photo": f"/data/upload/3/1f-{'4' * 64}.jpg"},
            "annotations": [
                annotation("Leaf", "2026-02-02T00:00:00Z", {"email": "cleo@example.org"}),
                annotation("Hand", "2026-01-01T00:00:00Z", {"email": "cleo@example.org"}),
            ],
        },
        # found by the end of its path; nested choices
        {
            "data": {"image": "s3://bucket/x/5.jpg"},
            "annotations": [
                annotation(["Other", "Hand"], None, 7),
            ],
        },
        {
            "data": {"image": "s3://bucket/unknown.jpg"},
            "annotations": [annotation("Leaf", None, 7)],
        },
        {"data": {"image": "s3://bucket/x/3.jpg"}},
    ]
    file.write_text(json.dumps(tasks))
    with pytest.raises(LabelFileError, match=r"'Leaf' is none of plant, .* --choice 'Leaf=plant'"):
        take(log, file)
    choices = Choices({"leaf": "plant", "Hand": "Other:  no plant"})
    result = import_labels(log, read_tasks(file, PhotoFinder(log.photos), choices), "label_studio")
    assert (result.added, result.unknown) == (2, 1)
    assert log.votes("4" * 64)["cleo@example.org"].decision.label == "plant"
    assert log.votes("5" * 64)["label studio 7"].decision.kind == "no_plant"


def annotation(choice: object, time: str | None, by: object) -> dict[str, object]:
    result = {"type": "choices", "from_name": "c", "to_name": "i", "value": {"choices": [choice]}}
    return {"completed_by": by, "updated_at": time, "result": [result]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no JSON"),
        (b"", "is no JSON"),
        (bytes(range(256)), "is no JSON"),
        (b"\xef\xbb\xbf", "is no JSON"),
        (b"[" * 100_000, "is no JSON .*recursion limit"),
        (b'[{"data": {}, "annotations": ' + b"[" * 100_000, "is no JSON .*recursion limit"),
        (b"[" + b"9" * 5000 + b"]", "is no JSON .*number out of range"),
        ('[{"data": {"image": "ä"}}]'.encode("latin-1"), "is no JSON .*unicode"),
        (b'[{"data": {"image": "\\ud800"}}]', "is no JSON"),
        (json.dumps([]).encode("utf-16"), "is no JSON"),
        (b'{"a": 1}', "export it from Label Studio as JSON"),
        (b"null", "export it from Label Studio as JSON"),
        (b'[{"image": "a.jpg", "label": "plant"}]', "Task 1, data of .*not JSON-MIN"),
        (b'[{"data": {}}, 7]', "Task 2 of .*: Input should be an object"),
    ],
)
def test_other_files_are_refused(
    log: DecisionLog, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "wrong.json").write_bytes(content)
    refused(log, tmp_path / "wrong.json", message)


def refused(log: DecisionLog, file: Path, message: str) -> None:
    """It is, in one sentence that names the file, and nothing is taken from it."""
    before = len(log.entries)
    with pytest.raises(LabelFileError, match=message) as error:
        take(log, file)
    assert str(file) in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500 + len(str(file))
    assert log.refresh() == before


ODD = {
    "null": None,
    "true": True,
    "number": 10**30,
    "NaN": float("nan"),
    "text": "x" * 10_000,
    "list": [],
    "list in a list": [[]],
    "object": {"a": 1},
}
PLACES = {
    "Task 2": (1,),
    "Task 2, data": (1, "data"),
    "Task 2, annotations": (1, "annotations"),
    "Task 2, annotations 1": (1, "annotations", 0),
    "Task 2, annotations 1, completed_by": (1, "annotations", 0, "completed_by"),
    "Task 2, annotations 1, updated_by": (1, "annotations", 0, "updated_by"),
    "Task 2, annotations 1, created_at": (1, "annotations", 0, "created_at"),
    "Task 2, annotations 1, was_cancelled": (1, "annotations", 0, "was_cancelled"),
    "Task 2, annotations 1, result": (1, "annotations", 0, "result"),
    "Task 2, annotations 1, result 1": (1, "annotations", 0, "result", 0),
    "Task 2, annotations 1, result 1, type": (1, "annotations", 0, "result", 0, "type"),
    "Task 2, annotations 1, result 1, value": (1, "annotations", 0, "result", 0, "value"),
    "Task 2, annotations 1, result 1, value, choices": (
        *(1, "annotations", 0, "result", 0),
        *("value", "choices"),
    ),
    "Task 2, annotations 1, result 1, value, choices 1": (
        *(1, "annotations", 0, "result", 0),
        *("value", "choices", 0),
    ),
    "Task 2, annotations 1, result 1, meta": (1, "annotations", 0, "result", 0, "meta"),
    "Task 2, annotations 1, result 1, meta, text": (
        *(1, "annotations", 0, "result", 0),
        *("meta", "text"),
    ),
    "Task 2, annotations 1, result 1, meta, text 1": (
        *(1, "annotations", 0, "result", 0),
        *("meta", "text", 0),
    ),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("where", PLACES)
def test_something_odd_anywhere_is_told_by_its_place(
    log: DecisionLog, tmp_path: Path, where: str, odd: object
) -> None:
    tasks = json.loads(EXPORT.read_text())
    *path, last = PLACES[where]
    within = tasks
    for step in path:
        within = within[step]
    within[last] = odd
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(tasks))
    with contextlib.suppress(LabelFileError):  # some may be missing, and data be anything
        assert take(log, file).unknown
        return
    refused(log, file, f"({where}.*|Task 2) of ")


def test_a_byte_order_mark_is_passed_over(log: DecisionLog, tmp_path: Path) -> None:
    write_tasks(log, tmp_path / "tasks.json")
    file = tmp_path / "marked.json"
    file.write_bytes(b"\xef\xbb\xbf" + (tmp_path / "tasks.json").read_bytes())
    assert take(log, file).unchanged == 5


def test_other_kinds_of_results_are_passed_over(log: DecisionLog, tmp_path: Path) -> None:
    tasks = json.loads(EXPORT.read_text())
    others = [
        {"type": "relation", "from_id": "a", "to_id": "b"},
        {"type": "rating", "value": {"rating": 3}, "meta": {}},
        {"type": "rectanglelabels", "value": {"choices": 7}, "meta": None},
    ]
    tasks[0]["annotations"][0]["result"][:0] = others
    file = tmp_path / "more.json"
    file.write_text(json.dumps(tasks))
    finder, choices = PhotoFinder(log.photos), Choices()
    assert read_tasks(file, finder, choices) == [
        replace(label, where=label.where.replace(str(EXPORT), str(file)))
        for label in read_tasks(EXPORT, finder, choices)
    ]


def test_the_interface_offers_every_word() -> None:
    choices = ElementTree.fromstring(labelling_interface()).findall("Choices/Choice")
    meanings = {Choices().meaning(choice.get("value"), "") for choice in choices}
    assert len(meanings) == len(choices) == 5
