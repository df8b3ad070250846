from __future__ import annotations

import bentoml
import pytest

from plantood.bento.gate_reference import gate_model
from plantood.defaults import DEFAULT_GATE
from plantood.errors import GateModelError
from plantood.model.saving import save_gate
from plantood.model.starter import starter_dir
from plantood.model.store import load_gate
from plantood.settings import Settings
from plantood.tags import tag_of

NO_TAGS = ["", "bad tag!", "./my.bentomodel", "/models/gate", "gate:", ":v1", "a:b:c", "x" * 64]
NO_TAGS += ["Plantood-gate:latest", "plantood-gate:V1"]


@pytest.mark.parametrize("text", NO_TAGS)
def test_what_is_no_tag_is_one_sentence_that_says_what_a_tag_is(text: str) -> None:
    for read in (tag_of, load_gate):
        with pytest.raises(GateModelError) as caught:
            read(text)
        sentence = str(caught.value)
        assert sentence.startswith(f"{text!r} is no tag of a gate model: a tag is name:version,")
        assert "\n" not in sentence


def test_a_gate_is_not_saved_under_what_is_no_tag() -> None:
    for name, version in (("bad name!", None), ("bad name!", "v1"), ("tags", "v 1"), ("a:b", "c")):
        with pytest.raises(GateModelError, match="is no tag of a gate model"):
            save_gate(starter_dir(), name=name, version=version)


@pytest.mark.parametrize("text", ["plantood-gate:latest", "a:v1.2_3-4"])
def test_a_tag_is_read(text: str) -> None:
    assert str(tag_of(text)) == text
    assert tag_of(bentoml.Tag("a", "b")) == bentoml.Tag("a", "b")


def test_a_name_alone_means_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(tag_of("plantood-gate")) == DEFAULT_GATE
    assert tag_of(bentoml.Tag("a")) == bentoml.Tag("a", "latest")
    monkeypatch.setenv("PLANTOOD_GATE", "plantood-gate")
    assert Settings.from_environment().gate == DEFAULT_GATE
    assert gate_model().tag == gate_model(DEFAULT_GATE).tag == tag_of(DEFAULT_GATE)
