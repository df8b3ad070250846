"""BentoML's insides are as this package uses them; a change there fails here, by its name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import bentoml
import pytest
import uvicorn
import uvicorn.protocols.http.auto as auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plantood import bentoml_private
from plantood.bentoml_private import NEXT, OLDEST, PRIVATE, UnknownBentoML, ensure_known

ROOT = Path(__file__).parents[1]
PIECES = [(name, used) for name, piece in PRIVATE.items() for used in piece.used]


@pytest.mark.parametrize("name", PRIVATE)
def test_each_piece_is_there(name: str) -> None:
    assert getattr(bentoml_private, name) is not None
    assert name in bentoml_private.__all__


@pytest.mark.parametrize(("name", "used"), PIECES)
def test_each_is_used_as_it_is(name: str, used: str) -> None:
    attribute, call, parameters = used.rstrip(")").partition("(")
    piece = getattr(bentoml_private, name)
    value = inspect.getattr_static(piece, attribute) if attribute else piece
    if call:
        names = [n for n in inspect.signature(value).parameters if n != "self"]
        assert ", ".join(names) == parameters


def test_a_client_keeps_its_sessions() -> None:

    source = inspect.getsource(bentoml_private.AsyncClient)
    assert "_session_manager" in source
    assert "get_session" in source


def test_uvicorn_takes_its_protocol_from_where_it_is_put(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ours(HttpToolsProtocol):
        pass

    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
    bentoml_private.serve_by(Ours)
    config = uvicorn.Config(lambda: None)
    config.load()
    assert config.http_protocol_class is Ours


@pytest.mark.parametrize("version", ["1.4.38", "1.3.22", "1.5.0", "2.0.0"])
def test_an_unknown_version_is_refused_in_one_sentence(version: str) -> None:
    with pytest.raises(UnknownBentoML, match=rf"not with {version}: pip install") as refused:
        ensure_known(version)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("version", ["1.4.39", "1.4.40", "1.4.40.post1+g3", bentoml.__version__])
def test_a_known_version_is_taken(version: str) -> None:
    ensure_known(version)


def test_the_bounds_are_those_that_pip_installs() -> None:
    oldest, limit = (".".join(map(str, bound)) for bound in (OLDEST, NEXT))
    assert f'"bentoml>={oldest},<{limit}"' in (ROOT / "pyproject.toml").read_text()


def test_nothing_else_names_them() -> None:
    private = re.compile(r"bentoml\._internal|_bentoml_impl|_bentoml_sdk")
    named = [
        str(path.relative_to(ROOT))
        for folder in ("plantood", "training")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if private.search(path.read_text(encoding="utf-8"))
    ]
    assert named == ["plantood/bentoml_private.py"]
