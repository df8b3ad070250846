"""Labels as the JSON that Label Studio imports: a list of tasks, each a photo with annotations.

The format is Label Studio's own, for import and export alike:
https://labelstud.io/guide/task_format and https://labelstud.io/guide/tasks. One reviewer's label
is one annotation with one result of type ``choices``. Label Studio sets ``completed_by`` to who
imports unless all annotators have accounts there, so the reviewer's name travels in the ``meta`` of
the result, which comes back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from plantood.training.files.atomic import write_json, write_text
from plantood.training.files.paths import spelled
from plantood.training.review.exchange.found import WORDS, word_for
from plantood.training.review.log import DecisionLog
from plantood.training.review.tally import Entry
from plantood.training.rounds.mined import MinedPhoto

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves files of its own machine, by path below its document root."""

CONTROL, OBJECT = "label", "image"
"""Names in the labelling interface: of the question for the label, and of the photo."""
REVIEWER = "reviewer: "
"""What stands before a reviewer's name in the ``meta`` of a result."""

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
        f'  <Image name="{OBJECT}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <Choices name="{CONTROL}" toName="{OBJECT}" choice="single" required="true">\n'
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
        image_prefix = f"{LOCAL_FILES}{spelled(log.round.path.resolve().name)}/"
    tasks = [_task(photo, log.votes(photo.id), image_prefix) for photo in log.photos.values()]
    write_json(file, tasks)
    interface = labelling_interface()
    write_text(file.with_suffix(".xml"), interface)
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
                "from_name": CONTROL,
                "to_name": OBJECT,
                "type": "choices",
                "value": {"choices": [word_for(decision)]},
                "meta": {"text": [REVIEWER + decision.reviewer]},
            }
        ],
    }
