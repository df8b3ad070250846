"""The engine of one machine: photos are fetched and decoded in threads beside the network."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

from plantood.defaults import BATCH
from plantood.model.entry import GateModel
from plantood.model.parts.policy import Policy
from plantood.photo.images import Limits
from plantood.training.mining.engines.scoring import BatchJudge, Decoded, Outcome, decode
from plantood.training.mining.worklist import Task
from plantood.training.process.parallel import map_in_order

LONGEST_BATCH = 32 * BATCH
"""Photos that may wait for a batch to fill, unreadable ones included."""


def score_locally(
    gate: GateModel,
    tasks: Iterable[Task],
    is_new: Callable[[str], bool],
    *,
    policy: Policy,
    limits: Limits,
    readers: int,
) -> Generator[Outcome]:
    """Score photos in their order, in full batches; at most four batches are ahead in memory.

    Args:
        gate: Whose network scores.
        tasks: The photos; consumed as they are needed.
        is_new: Asked with the id of every readable photo before it costs a forward pass; if it
            says no, the outcome has no score.
        policy: Thresholds of the verdicts.
        limits: What a photo may cost; above them it is unreadable.
        readers: Photos fetched and decoded at a time.
    """
    judge = BatchJudge(gate.scorer(), gate.memory(), policy)
    size = gate.manifest.input_size
    decoded = map_in_order(
        lambda task: decode(task, size, limits), tasks, readers, ahead=max(4 * BATCH, 2 * readers)
    )
    waiting: list[Decoded | Outcome] = []
    in_batch: set[str] = set()
    for photo in decoded:
        waiting.append(photo)
        if isinstance(photo, Decoded) and photo.id not in in_batch and is_new(photo.id):
            in_batch.add(photo.id)
        if len(in_batch) == BATCH or len(waiting) == LONGEST_BATCH:
            yield from _score(judge, waiting, in_batch)
            waiting, in_batch = [], set()
    yield from _score(judge, waiting, in_batch)


def _score(
    judge: BatchJudge, photos: list[Decoded | Outcome], to_score: set[str]
) -> Iterator[Outcome]:
    """Score the first photo of each id; what else there is keeps its place in the order."""
    readable = [photo for photo in photos if isinstance(photo, Decoded)]
    first = {photo.id: photo for photo in reversed(readable) if photo.id in to_score}
    scores = {outcome.id: outcome for outcome in judge.score(list(first.values()))}
    for photo in photos:
        if isinstance(photo, Outcome):
            yield photo
        elif first.get(photo.id) is photo:
            yield scores[photo.id]
        else:
            yield Outcome(photo.task, photo.id)
