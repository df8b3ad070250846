"""What an operator can set: environment variables ``PLANTOOD_*``.

``python -m plantood.settings`` prints the table of ``docs/configuration.md``.
"""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from plantood.defaults import DEFAULT_GATE, DEFAULT_LANGUAGE
from plantood.errors import GateModelError, SettingsError
from plantood.photo.decoding import HEAVY_SHARE
from plantood.photo.images import Limits
from plantood.tags import FORMS, tag_of

PREFIX = "PLANTOOD_"
MEBIBYTE = 1 << 20
MEGAPIXEL = 1_000_000
MOST_PHOTOS = 256
"""In one request, and in one forward pass; more are not even counted."""


def parse_policy(value: Any) -> Any:
    """``plant_threshold=0.6, min_sharpness=0.2`` -> a mapping of numbers.

    Args:
        value: A text, its items apart by commas or spaces. What is none is handed on as it is.

    Returns:
        Of a text, dict of str to float; the names are not looked at.

    Raises:
        ValueError: An item is not of the form ``name=number``.
    """
    if not isinstance(value, str):
        return value
    pairs: dict[str, float] = {}
    for item in value.replace(",", " ").split():
        key, equals, number = item.partition("=")
        if not equals:
            raise ValueError(f"{item!r} is not of the form name=number")
        try:
            pairs[key] = float(number)
        except ValueError:
            raise ValueError(f"{number!r} is not a number, in {item!r}") from None
    return pairs


def _absolute(place: str | None) -> str | None:
    """An absolute path, or a URL: the processes of a service may each run in another folder."""
    if place and "://" not in place and not Path(place).is_absolute():
        raise ValueError("a relative path")
    return place


def _tag(text: str) -> str:
    try:
        return str(tag_of(text))
    except GateModelError:
        raise ValueError("no tag; a file is imported first: bentoml models import FILE") from None


_IN_WORDS: dict[Any, str] = {_absolute: "an absolute path, or a URL", _tag: FORMS}
"""What a check of ours allows."""


class Settings(BaseSettings):
    """The configuration; every field is the variable ``PLANTOOD_<FIELD>``.

    Read it by :meth:`from_environment`, whose errors are one sentence each.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        str_strip_whitespace=True,
    )

    gate: Annotated[str, AfterValidator(_tag)] = Field(
        default=DEFAULT_GATE,
        description="Tag of the gate model in the Bento model store that judges. If the default is "
        "asked for and the store holds no gate, the starter gate that ships is put into it; in a "
        "bento, the default is the gate that it packs.",
    )
    gate_sha256: str | None = Field(
        default=None,
        pattern="^(sha256:)?[0-9a-fA-F]{64}$",
        description="SHA-256 of the `gate.json` of the only gate model that may judge; another one "
        "stops the start. A bento sets it to that of the gate that it packs.",
    )
    policy: Annotated[dict[str, float], NoDecode, BeforeValidator(parse_policy)] = Field(
        default_factory=dict,
        description="Thresholds that replace those saved with the gate model, as `name=number` "
        "separated by commas. Example: `plant_threshold=0.6,min_sharpness=0.2`. `GET /model` shows "
        "the names and the values in force.",
    )
    language: str = Field(
        default=DEFAULT_LANGUAGE,
        min_length=2,
        description="Language of the messages when the request asks for none that is known.",
    )
    messages_file: Path | None = Field(
        default=None,
        description="JSON file with messages of your own by language; what it lacks is taken from "
        "the built-in ones.",
    )
    max_upload_mb: int = Field(
        default=Limits.max_bytes // MEBIBYTE,
        ge=1,
        le=1000,
        description="Largest photo in MiB; a larger one is `too_large`, or 413 as an upload of its "
        "own.",
    )
    max_megapixels: int = Field(
        default=Limits.max_pixels // MEGAPIXEL,
        ge=1,
        le=178,
        description="Largest photo in millions of pixels, known from its header before it is "
        "decoded; a larger one is `too_large`. See also `PLANTOOD_DECODE_MEMORY_MB`.",
    )
    uploads_mb: int = Field(
        default=512,
        ge=1,
        le=100_000,
        description="Most MiB of uploads that one worker holds at a time, of all requests "
        "together, in memory (up to 128) and on disk; what would pass it is a 429. At least the "
        "largest request that the limits below and above allow.",
    )
    decode_memory_mb: int = Field(
        default=int(Limits.max_memory / HEAVY_SHARE) // MEBIBYTE,
        ge=64,
        le=100_000,
        description="Memory in MiB that all photos being decoded by one worker, or by one `Gate` "
        "of a program, may take together. One photo may take three quarters of it, a larger one is "
        "`too_large`: 110 megapixels as a JPEG, 70 as an HEIC of a phone, 90 as a PNG, 23 as a "
        "WebP.",
    )
    max_photos: int = Field(
        default=16, ge=1, le=MOST_PHOTOS, description="Most photos in one `POST /check_batch`."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that receive, decode and answer. The scorer is always one process; "
        "for a service with the gate in front it is BentoML's `workers=` that counts.",
    )
    decode_threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Photos that one worker, or one `Gate` of a program, decodes at a time. This "
        "bounds its memory. Default: the cores that it may use.",
    )
    scorer_threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Threads of the network's forward pass. Default: the cores that it may use.",
    )
    max_batch_size: int = Field(
        default=8,
        ge=2,
        le=MOST_PHOTOS,
        description="Most photos in one forward pass of a service. `plantood check` and "
        "`Gate.check_many` are no service: they have 16, or as many as the program says.",
    )
    max_latency_ms: int = Field(
        default=10_000,
        ge=100,
        le=600_000,
        description="Longest time in milliseconds that a photo may wait for its score; one that "
        "would wait longer is answered 503 at once.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Port on which `/metrics` is answered, on all addresses, in place of the one "
        "on which photos are, so that a firewall can tell them apart.",
    )
    timeout_s: int = Field(
        default=300,
        ge=1,
        le=3600,
        description="Longest time in seconds for a whole request with its upload; then 504. For a "
        "service with the gate in front: unless its `traffic=` names another.",
    )
    on_gate_error: Literal["accept", "retake", "raise"] = Field(
        default="raise",
        description="For a service with the gate in front: what becomes of a photo that the gate "
        "cannot judge. `accept` lets it through, `retake` asks to send it again, `raise` "
        "answers 503.",
    )
    gate_timeout_s: int = Field(
        default=20,
        ge=1,
        le=3600,
        description="Longest time in seconds for a verdict, once the photo is there; then its "
        "scorer, or for a service with the gate in front the gate, counts as failed.",
    )

    capture: Annotated[str | None, AfterValidator(_absolute)] = Field(
        default=None,
        description="Folder (absolute path) or URL (`s3://bucket/captured`, or whatever else "
        "fsspec knows) to which photos go that were refused or are near the threshold, without "
        "their metadata, with their verdict as JSON. Default: no photo is kept. Services keep "
        "photos, also those with the gate in front; `plantood check` and `Gate.check` do not.",
    )
    capture_margin: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="A photo is near the threshold if its plant probability is at most this far "
        "above it.",
    )
    capture_per_day: int = Field(
        default=500,
        ge=1,
        le=99_999,
        description="Most photos kept on one day (UTC), by all processes with the same "
        "`PLANTOOD_CAPTURE` together.",
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_blank(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in given.items() if not (isinstance(v, str) and not v.strip())}

    @property
    def max_upload_bytes(self) -> int:
        """Largest photo in bytes."""
        return self.max_upload_mb * MEBIBYTE

    @property
    def max_uploads_bytes(self) -> int:
        """Most bytes of uploads in one worker; never less than one request may have."""
        return max(self.uploads_mb * MEBIBYTE, self.max_photos * self.max_upload_bytes + MEBIBYTE)

    @property
    def decode_memory_bytes(self) -> int:
        """Memory of the photos being decoded in one worker, in bytes."""
        return self.decode_memory_mb * MEBIBYTE

    @property
    def max_pixels(self) -> int:
        """Largest photo in pixels."""
        return self.max_megapixels * MEGAPIXEL

    @property
    def limits(self) -> Limits:
        """What one photo may cost."""
        return Limits(
            max_bytes=self.max_upload_bytes,
            max_pixels=self.max_pixels,
            max_memory=int(self.decode_memory_bytes * HEAVY_SHARE),
        )

    @classmethod
    def from_environment(cls) -> Settings:
        """Read ``PLANTOOD_*``; an empty value counts as not set.

        Raises:
            SettingsError: Naming the first variable that cannot be used, its value, and what is
                allowed; or one whose name is nearly that of a setting.
        """
        _ensure_no_slip(os.environ, [variable(field) for field in cls.model_fields])
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            given, allowed = first["input"], _allowed(cls.model_fields[field])
            what = str(first["msg"]).removeprefix("Value error, ")
            raise SettingsError(
                f"{variable(field)}={given!r} cannot be used ({what}); allowed is {allowed}."
            ) from None


def _ensure_no_slip(environment: Iterable[str], known: list[str]) -> None:
    """Refuse a variable that looks like a setting but is none: it would be obeyed by nobody.

    Raises:
        SettingsError: Naming it, and the one that it looks like.
    """
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            for meant in difflib.get_close_matches(name, known, n=1, cutoff=0.85):
                raise SettingsError(f"{name} is no setting; is {meant} meant?")


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Let what is wrong with a setting's value name the variable that holds it."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{variable(field)}: {error}") from error


def variable(field: str) -> str:
    """Name of the environment variable of a field."""
    return PREFIX + field.upper()


def _allowed(field: FieldInfo) -> str:
    """In words, what a field's variable may hold."""
    if field.annotation == dict[str, float]:
        return "name=number, separated by commas"
    if get_origin(field.annotation) is Literal:
        return " or ".join(get_args(field.annotation))
    bounds = {
        name: bound
        for item in field.metadata
        for name in ("ge", "le", "min_length")
        if (bound := getattr(item, name, None)) is not None
    }
    if any(getattr(item, "pattern", None) for item in field.metadata):
        return "64 hexadecimal digits"
    for item in field.metadata:
        if words := _IN_WORDS.get(getattr(item, "func", None)):
            return words
    if "ge" in bounds:
        kind = "number" if field.annotation is float else "whole number"
        return f"a {kind} from {bounds['ge']} to {bounds['le']}"
    kinds = get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
    return (
        "a path"
        if Path in kinds
        else f"a text of at least {bounds.get('min_length', 1)} characters"
    )


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) is types.UnionType


def documentation() -> list[tuple[str, str, str]]:
    """Name, default and meaning of each variable, in the order of the fields."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, {}) else f"`{default}`"
        rows.append((f"`{variable(name)}`", shown, field.description or ""))
    return rows


def documentation_table() -> str:
    """The table of ``docs/configuration.md``, in Markdown."""
    rows = [("variable", "default", "meaning"), ("---", "---", "---"), *documentation()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


if __name__ == "__main__":
    print(documentation_table(), end="")
