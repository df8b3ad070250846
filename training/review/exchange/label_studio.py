"""Labels as Label Studio's JSON: a list of tasks, each a photo with its annotations.

The format is Label Studio's own, for import and export alike:
https://labelstud.io/guide/task_format and https://labelstud.io/guide/tasks. One reviewer's label
is one annotation with one result of type ``choices``. Label Studio sets ``completed_by`` to who
imports unless all annotators have accounts there, so the reviewer's name travels in the ``meta`` of
the result, which comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from training.atomic import write_atomic, write_json
from training.review.exchange.found import (
    WORDS,
    Choices,
    FoundLabel,
    LabelFileError,
    PhotoFinder,
    parse_time,
    word_for,
)
from training.review.log import DecisionLog, Entry
from training.rounds.layout import MinedPhoto

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves files of its own machine, by path below its document root."""

_CONTROL, _OBJECT = "label", "image"
_REVIEWER = "reviewer: "
_HOTKEYS = {"plant": "p", "other: no plant": "n", "other: blurred or too close": "b", "unsure": "u"}


def labelling_interface() -> str:
    """The labelling configuration of a Label Studio project that takes and gives these labels."""
    choices = "\n".join(
        f"    <Choice value={quoteattr(word)}"
        + (f" hotkey={quoteattr(_HOTKEYS[word])}/>" if word in _HOTKEYS else "/>")
        for word in WORDS
    )
    return (
        "<View>\n"
        f'  <Image name="{_OBJECT}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <Choices name="{_CONTROL}" toName="{_OBJECT}" choice="single" required="true">\n'
        f"{choices}\n"
        "  </Choices>\n"
        "</View>\n"
    )


def write_tasks(log: DecisionLog, file: Path, image_prefix: str | None = None) -> int:
    """Write all photos as tasks, with all labels that stand; returns the number of labels.

    Beside the file, with the ending ``.xml``, the labelling interface is written.

    Args:
        log: Of the round.
        file: To write.
        image_prefix: What Label Studio puts before ``photos/ab/ab12....jpg`` to fetch a photo;
            None: its local files, with the round's folder right below its document root.
    """
    if image_prefix is None:
        image_prefix = f"{LOCAL_FILES}{log.round.path.resolve().name}/"
    tasks = [_task(photo, log.votes(photo.id), image_prefix) for photo in log.photos.values()]
    write_json(file, tasks)
    interface = labelling_interface().encode()
    write_atomic(file.with_suffix(".xml"), lambda opened: opened.write(interface))
    return sum(len(task["annotations"]) for task in tasks)


def _task(photo: MinedPhoto, votes: Mapping[str, Entry], image_prefix: str) -> dict[str, Any]:
    return {
        "data": {
            "image": image_prefix + photo.file,
            "sha256": photo.id,
            "path": photo.path,
            "plant_probability": photo.plant_probability,
            "reasons": ", ".join(photo.reasons),
        },
        "annotations": [_annotation(entry) for _, entry in sorted(votes.items())],
    }


def _annotation(entry: Entry) -> dict[str, Any]:
    decision = entry.decision
    return {
        "created_at": decision.time.isoformat(),
        "ground_truth": False,  # Label Studio takes an import for the truth if it is not said
        "result": [
            {
                "id": f"{decision.id[:8]}-{entry.number}",
                "from_name": _CONTROL,
                "to_name": _OBJECT,
                "type": "choices",
                "value": {"choices": [word_for(decision)]},
                "meta": {"text": [_REVIEWER + decision.reviewer]},
            }
        ],
    }


def read_tasks(file: Path, finder: PhotoFinder, choices: Choices) -> list[FoundLabel]:
    """Read the labels of a JSON file that Label Studio exported (format JSON), the newest last.

    Skipped (cancelled) annotations, and results other than choices, are passed over.

    Raises:
        LabelFileError: It is no such file, or a choice means nothing.
    """
    try:
        tasks = json.loads(file.read_bytes())
    except OSError as error:
        raise LabelFileError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise LabelFileError(f"{file} is no JSON ({error}).") from error
    if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
        raise LabelFileError(
            f"{file} is no list of tasks with data and annotations; export it from Label Studio as "
            "JSON (not JSON-MIN)."
        )
    found = [
        label
        for number, task in enumerate(tasks, start=1)
        for label in _labels(task, f"Task {number} of {file}", finder, choices)
    ]
    found.sort(key=lambda label: label.time.timestamp() if label.time else 0.0)
    return found


def _is_task(task: Any) -> bool:
    return (
        isinstance(task, dict)
        and isinstance(task.get("data"), dict)
        and isinstance(task.get("annotations", []), list)
    )


def _labels(
    task: Mapping[str, Any], where: str, finder: PhotoFinder, choices: Choices
) -> Iterator[FoundLabel]:
    data = task["data"]
    hints = [data.get("sha256"), data.get("image"), data.get("path"), *data.values()]
    photo = finder.find(*(hint for hint in hints if isinstance(hint, str)))
    for annotation in task.get("annotations", []):
        if annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result", []):
            if result.get("type") != "choices":
                continue
            time = parse_time(annotation.get("updated_at") or annotation.get("created_at"))
            for word in _last_words(result.get("value", {}).get("choices", [])):
                meaning = choices.meaning(word, where)
                yield FoundLabel(photo, meaning, _reviewer(annotation, result), time)


def _last_words(chosen: Iterable[str | list[str]]) -> Iterator[str]:
    """The choices; of nested ones, which come as a list from the outermost, the innermost."""
    for choice in chosen:
        yield choice[-1] if isinstance(choice, list) else choice


def _reviewer(annotation: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Who said it: the name that we exported, unless somebody changed the label over there."""
    changed_by = annotation.get("updated_by")
    if changed_by is None:
        for text in (result.get("meta") or {}).get("text") or []:
            if str(text).startswith(_REVIEWER):
                return str(text).removeprefix(_REVIEWER)
    by = annotation.get("completed_by") if changed_by is None else changed_by
    if isinstance(by, Mapping):
        return str(by.get("email") or by.get("id") or "")
    return "" if by is None else f"label studio {by}"
