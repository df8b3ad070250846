"""``plantood check``: what photos, and how verdicts are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plantood.cli.output import DIGITS, rounded
from plantood.defaults import DEFAULT_LANGUAGE
from plantood.errors import PlantoodError

if TYPE_CHECKING:
    from plantood.judging.gate import Gate
    from plantood.model.parts.neighbours import Neighbour
    from plantood.verdict import Reason, Verdict

    Judged = tuple[Verdict, tuple[Neighbour, ...] | None]
    """A verdict, and what the photo is like if that was asked and the network saw it."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"}
    | {".heic", ".heif"}
)
"""Files of a folder that are taken for photos; a file named by itself may be called anything."""

SAMPLES = Path(__file__).parents[1] / "model" / "starter" / "samples"
EXIT_RETAKE, EXIT_NOT_JUDGED = 1, 2
_PROGRESS_FROM = 20
_STDIN = "-"


class NotJudged(click.ClickException):
    """Photos could not be judged; told apart from photos that have to be taken again."""

    exit_code = EXIT_NOT_JUDGED


class Check(click.Command):
    """A command that judges: what keeps it from that has an exit status of its own."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except PlantoodError as error:
            raise NotJudged(str(error)) from error


@click.command(cls=Check)
@click.argument("photos", nargs=-1, metavar="[PHOTO]...", type=click.Path(allow_dash=True))
@click.option("--gate", help="Tag in the model store. Default: PLANTOOD_GATE, or the latest.")
@click.option(
    "--language",
    help=f"Of the messages: en, fr, sw. Default: PLANTOOD_LANGUAGE, or {DEFAULT_LANGUAGE}.",
)
@click.option(
    "--messages", type=click.Path(path_type=Path), help="JSON file with messages of your own."
)
@click.option(
    "--policy",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Thresholds that replace the gate's, written as in PLANTOOD_POLICY: plant_threshold=0.6",
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
@click.option(
    "--explain",
    is_flag=True,
    help="Under each verdict the five pictures that the gate remembers which the photo is most "
    'like; with --json under "nearest".',
)
@click.option("--fail-on-retake", is_flag=True, help="Exit with 1 if a photo has to be retaken.")
def check(
    photos: tuple[str, ...],
    *,
    gate: str | None,
    language: str | None,
    messages: Path | None,
    policy: tuple[str, ...],
    as_json: bool,
    explain: bool,
    fail_on_retake: bool,
) -> None:
    """Judge photos: files, folders (searched through), or - for one from the standard input.

    Without PHOTO, judges the samples that ship. With --json, every line is an object: the verdict
    as the service gives it, its numbers rounded, and the name under "photo". If the model store has
    no gate, the starter gate is put there first.

    With --explain, distances are between 0 (alike) and 2 (opposite). Photos that are refused before
    the network sees them are compared with nothing.

    The exit status is 0 if every photo was judged, also if some have to be taken again (1 with
    --fail-on-retake), and 2 if a file or folder is missing or nothing could be judged.
    """
    names, troubles = _find(photos or (str(SAMPLES),))
    accepted = 0
    if names:
        judge = _load(gate, messages, policy, language)
        most = judge.rules.limits.max_bytes + 1  # what has more is refused, and may have no end
        read = (sys.stdin.buffer.read(most) if name == _STDIN else name for name in names)
        show = _print_json if as_json else _print_verdicts
        judged: Iterable[Judged]
        if explain:
            judged = judge.iter_explain(read, language)
        else:
            judged = ((verdict, None) for verdict in judge.iter_check(read, language))
        accepted = show(names, judged, judge.tag, explain=explain)
    for trouble in troubles:
        click.echo(f"Error: {trouble}", err=True)
    if troubles:
        sys.exit(EXIT_NOT_JUDGED)
    if fail_on_retake and accepted < len(names):
        sys.exit(EXIT_RETAKE)


def _find(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Files as named, folders as the photos within them, in order of their names.

    Returns:
        The photos, and in one sentence each what is missing.
    """
    found: list[str] = []
    troubles: list[str] = []
    for name in names:
        path = Path(name)
        try:
            if name == _STDIN or (path.exists() and not path.is_dir()):  # a pipe may be named too
                found.append(name)
            elif path.is_dir():
                inside = _photos_in(path, troubles)
                found += inside
                if not inside:
                    troubles.append(f"no photos in {name}")
            else:
                troubles.append(f"{name}: no such file or folder")
        except OSError as error:
            troubles.append(f"{name}: {error.strerror}")
    return found, troubles


def _photos_in(folder: Path, troubles: list[str]) -> list[str]:
    def note(error: OSError) -> None:
        troubles.append(f"{error.filename}: {error.strerror}")

    files = (Path(at, name) for at, _, names in os.walk(folder, onerror=note) for name in names)
    photos = (file for file in files if file.suffix.lower() in SUFFIXES)
    return [str(file) for file in sorted(photos) if file.is_file()]


def _load(
    tag: str | None, messages: Path | None, policy: Sequence[str], language: str | None
) -> Gate:
    from plantood.errors import SettingsError
    from plantood.judging.gate import Gate

    thresholds = _thresholds(policy) if policy else None
    gate = Gate.load(tag, messages=messages, policy=thresholds)
    if language is not None:
        try:
            gate.rules.messages.ensure_known(language)
        except SettingsError as error:
            raise SettingsError(f"--language: {error}.") from error
    return gate


def _thresholds(policy: Sequence[str]) -> dict[str, float]:
    from plantood.errors import SettingsError
    from plantood.settings import parse_policy

    try:
        thresholds: dict[str, float] = parse_policy(",".join(policy))
    except ValueError as error:
        raise SettingsError(f"--policy: {error}.") from error
    return thresholds


def _print_json(names: Sequence[str], judged: Iterable[Judged], _: str, *, explain: bool) -> int:
    """Print lines of JSON; how many are accepted."""
    accepted = 0
    for name, (verdict, nearest) in zip(names, judged, strict=True):
        accepted += verdict.accepted
        line = {"photo": name, **_json(verdict)}
        if explain:
            near = None if nearest is None else [one._asdict() for one in nearest]
            line["nearest"] = near
        click.echo(json.dumps(line))
    return accepted


def _json(verdict: Verdict) -> dict[str, Any]:
    """A verdict for people and files: rounded, but to no other verdict."""
    shown: dict[str, Any] = rounded(verdict.model_dump(mode="json"))
    if verdict.plant_probability is not None:
        probability, _ = _beside(verdict.plant_probability, verdict.threshold, DIGITS)
        shown |= {"plant_probability": probability, "threshold": verdict.threshold}
    return shown


def _beside(value: float, bound: float | None, digits: int) -> tuple[float, int]:
    """Round to so many digits, or as many more as it takes to stay on its side of a bound."""
    while bound is not None and digits < 17:
        if (round(value, digits) < bound) == (value < bound):
            break
        digits += 1
    return round(value, digits), digits


def _with_progress(judged: Iterable[Judged], total: int) -> Iterable[Judged]:
    if total < _PROGRESS_FROM or not sys.stderr.isatty():
        return judged
    from rich.console import Console
    from rich.progress import track

    return track(judged, "Judging", total=total, console=Console(stderr=True), transient=True)


def _why(reason: Reason, name: str) -> str:
    """A reason in the table; of a photo that was not decoded also what is wrong with its file."""
    from plantood.verdict import ReasonCode

    of_the_file = reason.code in (ReasonCode.UNREADABLE, ReasonCode.TOO_LARGE)
    detail = (reason.detail or "").removeprefix(f"{Path(name)}: ")  # it stands beside it
    return f"{reason.code}: {reason.message}" + (f" ({detail})" if of_the_file and detail else "")


def _like(nearest: Sequence[Neighbour] | None) -> str:
    """What a photo is like, a line for each."""
    if nearest is None:
        return "refused before the network, so compared with nothing"
    return "\n".join(f"like {one.label} {one.source} {one.distance:.2f}" for one in nearest)


def _print_verdicts(
    names: Sequence[str], judged: Iterable[Judged], tag: str, *, explain: bool
) -> int:
    """Print a table; how many are accepted."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Photo", overflow="fold")
    table.add_column("Verdict")
    table.add_column("P(plant)", justify="right")
    table.add_column("Why", overflow="fold")
    accepted = 0
    shown = _with_progress(judged, len(names))
    for name, (verdict, nearest) in zip(names, shown, strict=True):
        accepted += verdict.accepted
        probability = "-"
        if verdict.plant_probability is not None:
            value, digits = _beside(verdict.plant_probability, verdict.threshold, 3)
            probability = f"{value:.{digits}f}"
        table.add_row(
            Text(os.path.relpath(name, SAMPLES) if name.startswith(str(SAMPLES)) else name),
            Text(verdict.verdict, "green" if verdict.accepted else "yellow"),
            probability,
            Text("\n".join(_why(reason, name) for reason in verdict.reasons)),
        )
        if explain:
            table.add_row("", "", "", Text(_like(nearest), "dim"))
    Console().print(table)
    click.echo(f"{accepted} of {len(names)} accepted by {tag}")  # in one line, however long
    return accepted
