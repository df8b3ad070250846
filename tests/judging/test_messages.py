from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantood.errors import SettingsError
from plantood.judging.messages import Messages
from plantood.verdict import ReasonCode

MESSAGES = Messages.load()


@pytest.mark.parametrize("language", MESSAGES.languages)
@pytest.mark.parametrize("code", ReasonCode)
def test_every_language_has_a_short_sentence_for_every_reason(
    language: str, code: ReasonCode
) -> None:
    text = MESSAGES.catalogue[language][code]
    assert text.endswith(".")
    assert 20 < len(text) < 160


def test_languages_differ() -> None:
    assert MESSAGES.languages == ["en", "fr", "sw"]
    for code in ReasonCode:
        assert len({MESSAGES.text(code, language) for language in MESSAGES.languages}) == 3


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("FR", "fr"),
        ("fr_CI", "fr"),
        ("fr-CH-1996", "fr"),
        ("de, sw;q=0.4, fr;q=0.9", "fr"),
        ("de;q=1.0, ha, sw; q=0.2", "sw"),
        ("sw;q=0, fr;q=0.1", "fr"),
        ("sw;q=0", "en"),
        ("*", "en"),
        ("fr;q=abc, sw", "sw"),
        (";;,=,fr;q=,-,\u0000", "en"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
    ],
)
def test_negotiation(accept: str | None, expected: str) -> None:
    assert MESSAGES.negotiate(accept) == expected


def test_default_language() -> None:
    assert MESSAGES.negotiate("de", default="sw") == "sw"
    assert MESSAGES.negotiate("fr", default="sw") == "fr"
    assert MESSAGES.negotiate(None, default="xx") == "en"


def test_reason() -> None:
    reason = MESSAGES.reason(ReasonCode.TOO_DARK, "sw-KE", "highlights 0.01")
    assert reason.code is ReasonCode.TOO_DARK
    assert reason.message == MESSAGES.catalogue["sw"][ReasonCode.TOO_DARK]
    assert reason.detail == "highlights 0.01"


def test_operators_file_replaces_and_adds(tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    file.write_text(
        json.dumps({"en": {"too_dark": "Lights!"}, "ha-NG": {"too_dark": "Ya yi duhu."}}),
        encoding="utf-8",
    )
    messages = Messages.load(file)
    assert messages.text(ReasonCode.TOO_DARK) == "Lights!"
    assert messages.text(ReasonCode.TOO_BRIGHT) == MESSAGES.text(ReasonCode.TOO_BRIGHT)
    assert messages.text(ReasonCode.TOO_DARK, "ha_NG") == "Ya yi duhu."
    assert messages.text(ReasonCode.TOO_BRIGHT, "ha-NG") == MESSAGES.text(ReasonCode.TOO_BRIGHT)
    assert "ha-ng" in messages.languages
    assert MESSAGES.text(ReasonCode.TOO_DARK) != "Lights!"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "must hold"),
        ('{"en": "x"}', "must hold"),
        ('{"en": {"dark": "x"}}', "'dark'; there are unreadable"),
        ('{"en": {"too_dark": ""}}', "no sentence for 'too_dark'"),
        ('{"en": {"too_dark": 3}}', "no sentence for 'too_dark'"),
    ],
)
def test_operators_file_that_cannot_be_used(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "messages.json"
    file.write_text(content)
    with pytest.raises(SettingsError, match=said) as caught:
        Messages.load(file)
    assert str(file) in str(caught.value)


def test_operators_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Messages.load(tmp_path / "none.json")


def test_a_default_language_that_there_is_not_is_refused() -> None:
    MESSAGES.ensure_known("sw-KE")
    with pytest.raises(SettingsError, match="there are no messages in 'xx', only in en, fr, sw"):
        MESSAGES.ensure_known("xx")


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # halves of characters, too
TAGS = st.sampled_from(["fr", "sw-KE", "en", "de", "*", "", "FR_ci", "x-" * 9]) | ANY_TEXT
WEIGHTS = (
    st.sampled_from([";q=0.5", ";q=nan", ";q=inf", ";q=1e999", ";q=-1", ";q", "; q = 1"]) | ANY_TEXT
)


@given(st.lists(st.tuples(TAGS, WEIGHTS), max_size=12), TAGS)
def test_any_text_is_answered_in_a_known_language(
    items: list[tuple[str, str]], default: str
) -> None:
    accept = ",".join(tag + weight for tag, weight in items)
    assert MESSAGES.negotiate(accept, default) in MESSAGES.languages
    assert MESSAGES.text(ReasonCode.TOO_DARK, accept)


@given(TAGS.filter(bool), st.sampled_from([",", "-", ";", "; ", "", "_"]))
def test_a_megabyte_is_answered_as_soon_as_a_word(tag: str, separator: str) -> None:
    text = (tag + separator) * 1_000_000
    started = time.process_time()
    assert MESSAGES.negotiate(text[:1_000_000]) in MESSAGES.languages
    assert time.process_time() - started < 0.1


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["en", "too_dark", "unreadable", "fr-CH", ""]), inner)
    ),
    max_leaves=8,
)


@given(content=JSON.map(json.dumps).map(str.encode) | st.binary(max_size=60))
def test_any_file_of_an_operator_is_messages_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "messages-of-anyone.json"
    file.write_bytes(content)
    try:
        messages = Messages.load(file)
    except SettingsError:
        return
    for language in messages.languages:
        assert all(messages.text(code, language).strip() for code in ReasonCode)
