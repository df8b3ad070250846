"""Mine a round: draw a sample of unlabelled photos, score it, and choose what to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from plantood.errors import GateModelError, RoundError
from plantood.model.entry import MANIFEST, GateModel, sha256
from plantood.model.parts.policy import Policy, with_overrides
from plantood.model.runtime import usable_cpus
from plantood.photo.images import Limits
from plantood.settings import Settings, naming
from plantood.tags import LATEST, tag_of
from plantood.training.common.gates import find_gate
from plantood.training.files.paths import spelled
from plantood.training.mining.alike import fingerprints
from plantood.training.mining.draw import SKIPPED, Engine, draw_photos
from plantood.training.mining.engines.local import score_locally
from plantood.training.mining.select import select_photos
from plantood.training.mining.sources import is_url
from plantood.training.mining.worklist import FILE as WORK_LIST
from plantood.training.photos.walk import is_hidden
from plantood.training.process.run import differences, hold
from plantood.training.rounds.layout import DECISIONS, INFO, MINED, SCORES, Round, RoundInfo

REMOTE_READERS = 16
"""Photos fetched at a time over a network, where waiting costs more than decoding."""
SELECTION = ("at_most", "unlike", "margin", "audit", "skip_refused", "near_duplicates")
"""Choices that may be changed without scoring anything again."""
SCORING_COUNTS = ("listed", "already_labelled", "copies", "sampled", "unreadable", "scored")
"""The part of the funnel that does not depend on the selection."""


@dataclass(frozen=True)
class MineOptions:
    """What stands on the command line of ``mine``.

    Attributes:
        source: Folder, list or URL of the photos.
        out: Folder of the round.
        gate: Tag of the gate model that scores; None for that of ``PLANTOOD_GATE``.
        sample: Photos to draw; None for all.
        at_most: Choose photos up to this plant probability.
        seed: Of the sample.
        labelled: CSV files, rounds and folders whose labelled photos are left out.
        unlike: Choose so many more, of those farthest from the training photos.
        margin: Choose so many more, of those nearest to the gate's threshold.
        audit: Draw so many of all scored photos besides, to estimate shares from.
        skip_refused: Choose no photo that its quality refuses.
        near_duplicates: Keep photos that are alike to labelled or chosen ones.
        engine: Where to score.
        readers: Photos fetched and decoded at a time; None for what suits the source.
    """

    source: str
    out: Path
    gate: str | None = None
    sample: int | None = 5000
    at_most: float = 0.6
    seed: int = 0
    labelled: tuple[str, ...] = ()
    unlike: int = 0
    margin: int = 0
    audit: int = 50
    skip_refused: bool = False
    near_duplicates: bool = False
    engine: Literal["local", "ray"] = "local"
    readers: int | None = None


def mine_photos(options: MineOptions) -> Round:
    """Mine a round, or go on where an earlier call was interrupted; the result is the same.

    Returns:
        The round, with the funnel in ``info.counts``.

    Raises:
        RoundError: The folder holds a round that was mined otherwise, or is reviewed already, or
            something else than a round.
        SourceError: The photos cannot be listed or fetched.
        GateModelError: The gate cannot be used, or remembers no pictures for ``unlike``.
        SettingsError: Another process mines into the same folder, or ``PLANTOOD_*`` is wrong.
    """
    _ensure_own(options.out)
    settings = Settings.from_environment()
    gate = find_gate(_tag(options, settings))
    with naming("policy"):
        policy = with_overrides(gate.manifest.policy, settings.policy)
    if options.unlike and gate.memory() is None:
        raise GateModelError(
            f"{gate.tag} remembers no picture, so nothing is known to be unlike its training "
            "photos; mine without --unlike, or with a gate that train saved."
        )
    with hold(options.out):
        round_ = _open(options, gate, policy, settings.limits)
        counts = round_.info.counts
        if "scored" not in counts:
            counts = draw_photos(round_, _engine(options, gate, policy, settings.limits))
            round_ = _with_counts(round_, counts)
        if "mined" not in counts:
            scorer = gate.scorer()
            chosen = select_photos(
                round_,
                policy.plant_threshold,
                lambda files, what: fingerprints(files, scorer, settings.limits, what),
            )
            round_ = _with_counts(round_, counts | chosen)
    return round_


def _ensure_own(out: Path) -> None:
    """Make sure that a round is not put among what else somebody has.

    Raises:
        RoundError: There are files in the folder, and it is no round.
    """
    if not out.is_dir() or (out / INFO).exists():
        return
    for name in sorted(entry.name for entry in out.iterdir()):
        if is_hidden(name) or (name.startswith(INFO) and name.endswith(".tmp")):
            continue  # of an attempt that was killed before it began
        raise RoundError(
            f"{out} is not empty and no round: it has {spelled(name)} and no {INFO}; give a new "
            "folder with --out."
        )


def _tag(options: MineOptions, settings: Settings) -> str:
    """The gate asked for; a round that was begun with the latest one goes on with that one."""
    asked = tag_of(options.gate or settings.gate)
    if asked.version == LATEST and (options.out / INFO).exists():
        begun = Round.open(options.out).info.gate
        if tag_of(begun).name == asked.name:
            return begun
    return str(asked)


def _open(options: MineOptions, gate: GateModel, policy: Policy, limits: Limits) -> Round:
    """Begin the round, or open it if it is the same; another selection is made anew."""
    info = RoundInfo(
        gate=gate.tag,
        gate_sha256=sha256(gate.path / MANIFEST),
        source=spelled(options.source),
        sample=options.sample,
        at_most=options.at_most,
        seed=options.seed,
        labelled=list(map(spelled, options.labelled)),
        policy=policy.model_dump(),
        limits=limits,
        options={
            "unlike": options.unlike,
            "margin": options.margin,
            "audit": options.audit,
            "skip_refused": options.skip_refused,
            "near_duplicates": options.near_duplicates,
        },
    )
    if not (options.out / INFO).exists():
        return Round.create(options.out, info)
    round_ = Round.open(options.out)
    if not round_.info.policy:
        known = {"policy": gate.manifest.policy.model_dump()}
        round_ = Round(round_.path, round_.info.model_copy(update=known))
    before, now = _choices(round_.info), _choices(info)
    selected = (
        {name: before.pop(name, None) for name in SELECTION},
        {name: now.pop(name) for name in SELECTION},
    )
    if changed := differences(before, now):
        if any((options.out / name).exists() for name in (SCORES, SKIPPED, MINED, DECISIONS)):
            raise RoundError(
                f"{options.out} holds another round ({changed}); give another --out, or remove "
                "the folder."
            )
        (options.out / WORK_LIST).unlink(missing_ok=True)  # of an attempt that came to nothing
        return Round.create(options.out, info)
    if not (changed := differences(*selected)):
        return round_
    if (options.out / DECISIONS).exists():
        raise RoundError(
            f"{options.out} is reviewed already, so its photos stay as they were chosen "
            f"({changed}); give another --out."
        )
    (options.out / MINED).unlink(missing_ok=True)  # nobody is to review what is chosen no more
    scored = {k: v for k, v in round_.info.counts.items() if k in SCORING_COUNTS}
    return _with_counts(Round(options.out, info), scored)


def _choices(info: RoundInfo) -> dict[str, object]:
    """All that the result depends on, by name."""
    plain = info.model_dump(exclude={"counts", "options", "policy", "limits"})
    return plain | info.options | info.policy | asdict(info.limits)


def _with_counts(round_: Round, counts: dict[str, int]) -> Round:
    return Round.create(round_.path, round_.info.model_copy(update={"counts": counts}))


def _engine(options: MineOptions, gate: GateModel, policy: Policy, limits: Limits) -> Engine:
    readers = options.readers or usable_cpus()
    if is_url(options.source) and not options.readers:
        readers = max(REMOTE_READERS, readers)
    if options.engine == "ray":
        from plantood.training.mining.engines.ray_engine import score_on_ray

        return partial(score_on_ray, gate, policy=policy, limits=limits, readers=readers)
    return lambda tasks, is_new, _: score_locally(
        gate, tasks, is_new, policy=policy, limits=limits, readers=readers
    )
