"""Labels from the JSON that Label Studio exports: whatever its projects ask and its users answer.

Tasks that went there from a round come back with the reviewers' names, see
:mod:`plantood.training.review.exchange.label_studio`; projects of its own may have other questions,
other words and users that are numbers.
"""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from plantood.training.photos.walk import why_no_photo
from plantood.training.process.progress import say
from plantood.training.review.exchange.finder import PhotoFinder
from plantood.training.review.exchange.found import Choices, FoundLabel, LabelFileError, parse_time
from plantood.training.review.exchange.label_studio import CONTROL, REVIEWER


def _reviewer_of(user: Any) -> str | None:
    """The name under which a user's labels count; users are numbers, or objects."""
    if user is None:
        return None
    within = isinstance(user, dict)
    name = (user.get("email") or user.get("id") or "") if within else user
    if type(name) not in (int, str):  # a bool is no number here
        raise ValueError("a user is a number, or an object with an email or id")
    return str(name) if within else f"label studio {name}"


def _as_list(text: Any) -> Any:
    return [text] if isinstance(text, str) else text or []


def _innermost(choice: Any) -> Any:
    """Nested choices come as a list from the outermost on."""
    return choice[-1] if isinstance(choice, list) and choice else choice


_User = Annotated[str | None, BeforeValidator(_reviewer_of)]
_Choices = TypeAdapter(list[Annotated[str, BeforeValidator(_innermost)]])


class _Meta(BaseModel):
    text: Annotated[list[str], BeforeValidator(_as_list)] = []


class _Result(BaseModel):
    type: str | None = None
    from_name: Any = None
    value: dict[str, Any] = {}
    meta: _Meta | None = None


class _Annotation(BaseModel):
    was_cancelled: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    completed_by: _User = None
    updated_by: _User = None
    result: list[_Result] = []


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Annotation] = []


_Tasks = TypeAdapter(list[_Task])


def read_tasks(file: Path, finder: PhotoFinder, choices: Choices) -> list[FoundLabel]:
    """Read the labels of a JSON file that Label Studio exported (format JSON), the newest last.

    Skipped (cancelled) annotations, results other than choices, and other questions of the project
    than the one for the label are passed over.

    Raises:
        LabelFileError: It is no such file, or a choice means nothing; the message says where.
    """
    try:
        tasks = _Tasks.validate_json(file.read_bytes().removeprefix(codecs.BOM_UTF8))
        controls = _controls(tasks, choices)
        found = [
            label
            for number, task in enumerate(tasks)
            for label in _labels(
                task, finder.find(*_hints(task.data)), _Place(file, number, controls), choices
            )
        ]
    except OSError as error:
        raise LabelFileError(f"{file} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise _no_export(file, error) from error
    found.sort(key=lambda label: label.time.timestamp() if label.time else 0.0)
    return found


def _no_export(
    file: Path, error: ValidationError, within: tuple[str | int, ...] = ()
) -> LabelFileError:
    first = error.errors(include_input=False)[0]
    if first["type"] == "json_invalid":
        return LabelFileError(f"{file} is no JSON ({first['msg']}).")
    what = first["msg"].removeprefix("Value error, ")
    return LabelFileError(
        f"{_place(within + first['loc'])}{file}: {what}; export it from Label Studio as "
        "JSON (not JSON-MIN)."
    )


def _place(path: Sequence[str | int]) -> str:
    """Where something stands: ``Task 2, annotations 1, result 1 of``."""
    words: list[str] = []
    for step in ("Task", *path) if path else ():
        if isinstance(step, int):
            words[-1] += f" {step + 1}"
        else:
            words.append(step)
    return f"{', '.join(words)} of " if words else ""


class _Place(NamedTuple):
    """A task of a file, and which controls of its project ask for the label; None: all do."""

    file: Path
    task: int
    controls: set[str] | None

    def is_label(self, result: _Result) -> bool:
        if result.type != "choices":
            return False
        return self.controls is None or str(result.from_name) in self.controls


def _controls(tasks: Sequence[_Task], choices: Choices) -> set[str] | None:
    """Names of the controls that ask for the label, if some do not; None if all count.

    A project may ask more than one question of a photo. Only those of whose answers one is known
    here are about the label; of these ours alone, if it is among them.
    """
    words: dict[str, set[str]] = defaultdict(set)
    for task in tasks:
        for annotation in task.annotations:
            for result in annotation.result:
                if result.type == "choices":
                    with suppress(ValidationError):  # told later, with its place
                        words[str(result.from_name)].update(_words(result))
    ours = {name for name, said in words.items() if any(map(choices.knows, said))}
    ours = {CONTROL} if CONTROL in ours else ours
    others = words.keys() - ours
    if not ours or not others:
        return None
    say(f"Not the label, so passed over: the choices of {', '.join(sorted(others))}.")
    return ours


def _words(result: _Result) -> list[str]:
    return _Choices.validate_python(result.value.get("choices", []))


def _labels(
    task: _Task, photo: str | None, place: _Place, choices: Choices
) -> Iterator[FoundLabel]:
    for annotation_number, annotation in enumerate(task.annotations):
        if annotation.was_cancelled:
            continue
        said: dict[str, list[str]] = defaultdict(list)
        for result_number, result in enumerate(annotation.result):
            if not place.is_label(result):
                continue
            try:
                said[_reviewer(annotation, result)] += _words(result)
            except ValidationError as error:
                within = ("annotations", annotation_number, "result", result_number)
                at = (place.task, *within, "value", "choices")
                raise _no_export(place.file, error, at) from error
        where = f"{_place([place.task])}{place.file}"
        time = parse_time(annotation.updated_at or annotation.created_at, where)
        for reviewer, words in said.items():
            if words:
                yield FoundLabel(photo, choices.together(words, where), reviewer, time, where)


def _hints(data: Mapping[str, Any]) -> list[str]:
    """What a task says of which photo it is: ours, and whatever else may be a path."""
    ours = [data.get(key) for key in ("sha256", "image", "path")]
    paths = (
        value
        for value in data.values()
        if isinstance(value, str) and not why_no_photo(_bare(value))
    )
    return [hint for hint in ours if isinstance(hint, str)] + list(paths)


def _bare(address: str) -> str:
    """Without the query of a URL, unless that is where the path is."""
    return address if "?d=" in address else address.partition("?")[0]


def _reviewer(annotation: _Annotation, result: _Result) -> str:
    """Who said it: the name that we exported, unless somebody changed the label over there."""
    if annotation.updated_by is not None:
        return annotation.updated_by
    for text in result.meta.text if result.meta else ():
        if text.startswith(REVIEWER):
            return text.removeprefix(REVIEWER)
    return annotation.completed_by or ""
