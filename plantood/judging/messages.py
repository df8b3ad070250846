"""What the farmer reads: one short sentence per reason and language.

The built-in catalogues are ``locales/<language>.json``. An operator's file replaces any of their
sentences and may add languages: ``{"en": {"too_dark": "..."}, "lg": {...}}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from plantood.defaults import DEFAULT_LANGUAGE
from plantood.errors import SettingsError
from plantood.verdict import Reason, ReasonCode

MAX_ACCEPT = 100
"""Characters of what is asked for that are looked at. Browsers send some forty, and a stranger may
send a megabyte."""
MAX_TAGS = 8
"""Languages of those that are looked at."""
_LOCALES = Path(__file__).parent / "locales"

Catalogue = Mapping[str, Mapping[ReasonCode, str]]


@dataclass(frozen=True)
class Messages:
    """Sentences by language and reason.

    Attributes:
        catalogue: Lower-case language tag -> reason -> sentence. English has every reason; what
            another language lacks is taken from English.
    """

    catalogue: Catalogue

    @classmethod
    def load(cls, file: str | Path | None = None) -> Messages:
        """Read the built-in catalogues, and an operator's file over them.

        Raises:
            SettingsError: The file cannot be read, is not such JSON, or names an unknown reason.
        """
        catalogue = {language: dict(texts) for language, texts in _built_in().items()}
        for language, texts in (_operators(Path(file)) if file else {}).items():
            catalogue.setdefault(language, {}).update(texts)
        return cls(catalogue)

    @property
    def languages(self) -> list[str]:
        """The languages there are, sorted."""
        return sorted(self.catalogue)

    def text(self, code: ReasonCode, language: str = DEFAULT_LANGUAGE) -> str:
        """Return the sentence for a reason; ``language`` as in :meth:`negotiate`."""
        chosen = self.catalogue[self.negotiate(language)]
        return chosen.get(code) or self.catalogue[DEFAULT_LANGUAGE][code]

    def reason(
        self, code: ReasonCode, language: str = DEFAULT_LANGUAGE, detail: str | None = None
    ) -> Reason:
        """Return a reason with its sentence."""
        return Reason(code=code, message=self.text(code, language), detail=detail)

    def negotiate(self, accept: str | None, default: str = DEFAULT_LANGUAGE) -> str:
        """Choose a language (RFC 9110, section 12.5.4; lookup as in RFC 4647, section 3.4).

        Args:
            accept: An ``Accept-Language`` header or a single tag: ``fr-CH, sw;q=0.9, *;q=0.1``.
                Only its first languages count, see `MAX_ACCEPT` and `MAX_TAGS`.
            default: What to use if none of them is known.

        Returns:
            A language of the catalogue.
        """
        for wanted in [*_by_preference(accept or ""), default]:
            if tag := self._known(wanted):
                return tag
        return DEFAULT_LANGUAGE

    def ensure_known(self, language: str) -> None:
        """Refuse a default language that there is not.

        Raises:
            SettingsError: Naming those that there are.
        """
        if not self._known(language):
            raise SettingsError(
                f"there are no messages in {language!r}, only in {', '.join(self.languages)}"
            )

    def _known(self, wanted: str) -> str | None:
        """The language of the catalogue that a tag means: of fr-ch, fr."""
        parts = _normal(wanted).split("-")
        tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((tag for tag in tags if tag in self.catalogue), None)


def _normal(tag: str) -> str:
    """A language tag in lower case, its parts joined by hyphens."""
    return tag.lower().replace("_", "-")


def shortened(accept: str) -> str:
    """What is looked at of an ``Accept-Language`` header, and so all that need be passed on of it.

    Returns:
        Whole items, at most `MAX_ACCEPT` characters.
    """
    if len(accept) <= MAX_ACCEPT:
        return accept
    return accept[:MAX_ACCEPT].rpartition(",")[0]


def _by_preference(accept: str) -> list[str]:
    """Language tags of an ``Accept-Language`` header, best first; what is no tag is left out."""
    weighted = []
    for item in _normal(shortened(accept)).split(",")[:MAX_TAGS]:
        tag, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if tag and tag != "*" and weight > 0:
            weighted.append((weight, tag))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


@cache
def _built_in() -> dict[str, dict[ReasonCode, str]]:
    return {
        path.stem: _texts(json.loads(path.read_text(encoding="utf-8")), path)
        for path in sorted(_LOCALES.glob("*.json"))
    }


def _operators(path: Path) -> dict[str, dict[ReasonCode, str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON in UTF-8: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f'{path} must hold {{"language": {{"reason": "sentence"}}}}')
    return {_normal(str(key)): _texts(value, path) for key, value in content.items()}


def _texts(content: object, path: Path) -> dict[ReasonCode, str]:
    if not isinstance(content, dict):
        raise SettingsError(f'{path} must hold {{"language": {{"reason": "sentence"}}}}')
    codes = [code.value for code in ReasonCode]
    for key, value in content.items():
        if key not in codes:
            raise SettingsError(f"{path} names the reason {key!r}; there are {', '.join(codes)}")
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{path} has no sentence for {key!r}")
    return {ReasonCode(key): value for key, value in content.items()}
