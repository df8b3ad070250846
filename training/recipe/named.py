"""The parts that a user says sources play: on the command line, or in a column of the manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from plantood.errors import SettingsError, TrainingDataError
from plantood.training.common.settings import LINEAR_HEADS, ROLES
from plantood.training.files.paths import composed
from plantood.training.photos.data import CLASS_NAMES, LABELS, LabelledPhoto
from plantood.training.recipe.roles import Roles

OPTION = "--role NAME=SOURCE[,SOURCE]"

Named = dict[str, tuple[str, ...]]
"""Sources by the name of their role, one of `ROLES`, each sorted."""


def ensure_linear(recipe: str, heads: Sequence[str]) -> None:
    """Check that a recipe can fit these heads.

    Raises:
        SettingsError: it cannot.
    """
    if wrong := [head for head in heads if head not in LINEAR_HEADS]:
        raise SettingsError(
            f"--recipe {recipe} fits linear heads only ({', '.join(LINEAR_HEADS)}), not "
            f"{', '.join(wrong)}; name those with --heads."
        )


def named_roles(given: Sequence[str], photos: Iterable[LabelledPhoto]) -> Named:
    """Who plays which part, checked against the photos.

    Args:
        given: ``NAME=SOURCE[,SOURCE]`` each; for a class of a source it wins over the manifest.
        photos: all of them, left out or not.

    Raises:
        SettingsError: a role or source that there is not, or a source that cannot play its role.
        TrainingDataError: the manifest names such a role; there is nothing to cut out, or nothing
            to paste it on.
    """
    photos = tuple(photos)
    there = {(photo.source, photo.label) for photo in photos}
    chosen: dict[tuple[str, int], str] = {}
    for role, source in _pairs(given):
        cell = source, _label(role)
        if cell not in there:
            raise SettingsError(_cannot(source, role, {name for name, _ in there}))
        if chosen.setdefault(cell, role) != role:
            raise SettingsError(f"--role: {_twice(source, chosen[cell], role)}")
    for (source, label), role in _of_manifest(photos).items():
        chosen.setdefault((source, label), role)
    named = {
        role: tuple(sorted(source for (source, _), mine in chosen.items() if mine == role))
        for role in ROLES
    }
    ensure_enough(named, photos)
    return named


def ensure_enough(named: Named, photos: Iterable[LabelledPhoto]) -> Roles:
    """The roles that these photos can play.

    Raises:
        TrainingDataError: there is nothing to cut out, or nothing to paste it on.
    """
    there = {(photo.source, photo.label) for photo in photos}
    left = {
        role: tuple(source for source in sources if (source, _label(role)) in there)
        for role, sources in named.items()
    }
    for wanted, why in (
        (("leaves", "plants"), "cut out"),
        (("ground", "other"), "paste a leaf on"),
    ):
        if not any(left[role] for role in wanted):
            label = LABELS[ROLES[wanted[0]].of_class]
            sources = ", ".join(sorted(source for source, of in there if of == label)) or "none"
            raise TrainingDataError(
                f"The recipe has nothing to {why}: give a source of class {CLASS_NAMES[label]} the "
                f"role {wanted[0]} or {wanted[1]} with {OPTION} (there are: {sources})."
            )
    return Roles.of(**left)


def _label(role: str) -> int:
    return LABELS[ROLES[role].of_class]


def _pairs(given: Sequence[str]) -> list[tuple[str, str]]:
    """Role and source, from what stands on the command line."""
    pairs = []
    for text in given:
        role, equals, sources = text.partition("=")
        role, names = role.strip().lower(), [composed(name.strip()) for name in sources.split(",")]
        if not equals or not all(names):
            raise SettingsError(f"--role {text} says no role and source; write {OPTION}.")
        if role not in ROLES:
            raise SettingsError(f"--role {text}: {_unknown(role)}")
        pairs += [(role, name) for name in names]
    return pairs


def _of_manifest(photos: Iterable[LabelledPhoto]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    for photo in photos:
        if photo.role:
            found[photo.source, photo.label].add(photo.role)
    chosen = {}
    for (source, label), (role, *more) in ((cell, sorted(roles)) for cell, roles in found.items()):
        if role not in ROLES:
            raise TrainingDataError(f"The manifest, source {source}: {_unknown(role)}")
        if more:
            raise TrainingDataError(f"The manifest: {_twice(source, role, more[0])}")
        if _label(role) != label:
            raise TrainingDataError(f"The manifest: {_of_class(source, role, CLASS_NAMES[label])}")
        chosen[source, label] = role
    return chosen


def _unknown(role: str) -> str:
    return f"there is no role {role!r}; roles are {', '.join(ROLES)}."


def _twice(source: str, one: str, other: str) -> str:
    return f"the source {source} has two roles, {one} and {other}; give it one of them."


def _cannot(source: str, role: str, sources: set[str]) -> str:
    if source not in sources:
        return (
            f"--role {role}={source}: no source is called {source}; there are: "
            f"{', '.join(sorted(sources))}."
        )
    wrong = next(name for name in LABELS if name != ROLES[role].of_class)
    return f"--role {role}={source}: {_of_class(source, role, wrong)}"


def _of_class(source: str, role: str, label: str) -> str:
    fitting = " or ".join(name for name, one in ROLES.items() if one.of_class == label)
    return (
        f"{role} is a role of photos of class {ROLES[role].of_class}, and those of {source} are of "
        f"class {label}; give it the role {fitting}, or none."
    )
