from __future__ import annotations

import itertools
import multiprocessing
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plantood.errors import GateModelError, GateModelNotFound, SettingsError, UnreadablePhoto
from plantood.judging.gate import Gate
from plantood.model.entry import open_gate
from plantood.model.runtime import Scorer
from plantood.model.starter import install_starter, starter_dir
from plantood.photo.images import Limits, to_model_input
from plantood.verdict import Verdict
from tests.photos import encode, scene
from tests.remembering import remembering
from tests.service.tiny_gate import build

SAMPLES = Path(__file__).parents[2] / "plantood" / "model" / "starter" / "samples"
MAIZE = SAMPLES / "maize_leaf.jpg"
SOIL = SAMPLES / "bare_soil.jpg"
MODEL = open_gate(starter_dir(), "starter:gate")


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate(MODEL, threads=1)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that the network really scores."""
    sizes = []
    score = Scorer.score

    def counted(self: Scorer, batch: np.ndarray) -> object:
        sizes.append(len(batch))
        return score(self, batch)

    monkeypatch.setattr(Scorer, "score", counted)
    return sizes


def codes(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def test_a_plant_is_accepted(gate: Gate) -> None:
    verdict = gate.check(MAIZE)
    assert verdict.accepted
    assert verdict.reasons == []
    assert verdict.plant_probability > verdict.threshold == gate.rules.policy.plant_threshold
    assert verdict.model == "starter:gate"
    assert verdict.quality.sharpness > gate.rules.policy.min_sharpness
    assert set(verdict.timings_ms) == {"decode", "quality", "score"}


def test_soil_is_not_a_plant(gate: Gate) -> None:
    verdict = gate.check(SOIL)
    assert codes(verdict) == ["not_a_plant"]
    assert verdict.plant_probability < verdict.threshold


def test_every_kind_of_photo_gets_the_same_verdict(gate: Gate) -> None:
    with Image.open(MAIZE) as image:
        pixels = np.asarray(image)
        photos = [MAIZE, str(MAIZE), MAIZE.read_bytes(), image, pixels]
        scores = [gate.check(photo).plant_probability for photo in photos]
    assert scores == pytest.approx([scores[0]] * len(photos), abs=1e-3)


def test_the_score_is_the_scorers(gate: Gate) -> None:
    with Image.open(SOIL) as image:
        pixels = np.asarray(image)
    expected = MODEL.scorer(1).score(to_model_input(pixels, 224)[None])
    verdict = gate.check(pixels)
    assert verdict.plant_probability == pytest.approx(
        float(expected.plant_probability[0]), abs=1e-5
    )


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        (b"", "unreadable"),
        (b"not a photo", "unreadable"),
        (encode(scene(300, 300))[:9000], "unreadable"),
        (np.zeros((0, 9, 3), np.uint8), "unreadable"),
        (Image.new("RGB", (300, 300), (2, 2, 2)), "too_dark"),
        (Image.new("RGB", (300, 300), "white"), "too_bright"),
        (Image.new("RGB", (300, 300), (90, 120, 80)), "too_blurry"),
        (scene(90, 300), "too_small"),
    ],
)
def test_a_bad_photo_is_a_verdict_and_costs_no_pass(
    gate: Gate, passes: list[int], photo: object, code: str
) -> None:
    verdict = gate.check(photo)
    assert verdict.verdict == "retake"
    assert code in codes(verdict)
    assert all(reason.message and reason.detail for reason in verdict.reasons)
    assert verdict.plant_probability is None
    assert "score" not in verdict.timings_ms
    assert passes == []


def test_all_quality_reasons_are_told(gate: Gate) -> None:
    verdict = gate.check(Image.new("RGB", (50, 50)))
    assert codes(verdict) == ["too_small", "too_dark", "too_blurry"]
    assert verdict.quality.width == 50


def test_too_large_names_the_limit() -> None:
    gate = Gate(MODEL, threads=1, limits=Limits(max_bytes=100_000, max_pixels=10_000))
    for photo, limit in ((scene(200, 200), "10,000 pixels"), (bytes(100_001), "100,000 bytes")):
        verdict = gate.check(photo)
        assert codes(verdict) == ["too_large"]
        assert limit in verdict.reasons[0].detail


def test_misuse_raises(gate: Gate) -> None:
    with pytest.raises(TypeError):
        gate.check(7)
    with pytest.raises(TypeError):
        gate.check_many([MAIZE, np.zeros((9, 9, 3))])
    with pytest.raises(ValueError, match="batch_size"):
        gate.check_many([MAIZE], batch_size=0)


def test_language_and_operators_messages(gate: Gate, tmp_path: Path) -> None:
    english, french = gate.check(b""), gate.check(b"", "fr-CA, en;q=0.5")
    assert "opened" in english.reasons[0].message
    assert "ouverte" in french.reasons[0].message
    file = tmp_path / "messages.json"
    file.write_text('{"en": {"not_a_plant": "Show me the crop."}}')
    verdict = Gate(MODEL, threads=1, messages=file).check(SOIL)
    assert verdict.reasons[0].message == "Show me the crop."


def test_policy_overrides_decide() -> None:
    strict = Gate(MODEL, threads=1, policy={"plant_threshold": 1.0, "min_shorter_side": 0})
    verdict = strict.check(MAIZE)
    assert codes(verdict) == ["not_a_plant"]
    assert verdict.threshold == 1.0
    with pytest.raises(SettingsError):
        Gate(MODEL, policy={"threshold": 1})


def test_many_keep_their_order_and_fill_batches(gate: Gate, passes: list[int]) -> None:
    kinds = [MAIZE, b"", SOIL, scene(200, 200), Image.new("RGB", (200, 200)), MAIZE]
    photos = list(itertools.islice(itertools.cycle(kinds), 21))
    verdicts = gate.check_many(photos, batch_size=4)
    passes_of_many = passes.copy()
    expected = [gate.check(photo) for photo in photos]
    assert [codes(verdict) for verdict in verdicts] == [codes(verdict) for verdict in expected]
    scores = [verdict.plant_probability for verdict in verdicts if verdict.plant_probability]
    assert scores == pytest.approx(
        [verdict.plant_probability for verdict in expected if verdict.plant_probability], abs=1e-3
    )
    assert passes_of_many == [4, 4, 4, len(scores) - 12]
    assert gate.check_many([]) == []


def test_photos_are_taken_as_needed_and_memory_stays_bounded(gate: Gate) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield encode(scene(700, 700, seed=taken % 2)) if taken % 3 else b""

    verdicts = gate.iter_check(endless(), batch_size=2)
    tracemalloc.start()
    for _ in range(30):
        next(verdicts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    verdicts.close()
    assert taken <= 30 + 12
    assert peak < 60e6


def test_bad_photos_are_answered_without_waiting_for_a_batch(gate: Gate) -> None:
    stream = gate.iter_check(iter([b"", MAIZE]), batch_size=16)
    assert codes(next(stream)) == ["unreadable"]
    assert next(stream).accepted


@pytest.fixture(scope="module")
def mindful(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    folder = tmp_path_factory.mktemp("mindful") / "gate"
    pictures = [
        (MAIZE, True, "maize"),
        (SAMPLES / "bean_plant.jpg", True, "beans"),
        (SOIL, False, "soil"),
        (SAMPLES / "tiled_floor.jpg", False, "floors"),
    ]
    return Gate(remembering(folder, pictures), threads=1)


@pytest.mark.parametrize(
    ("photo", "first"), [(MAIZE, ("plant", "maize")), (SOIL, ("other", "soil"))]
)
def test_what_a_photo_is_like(mindful: Gate, photo: Path, first: tuple[str, str]) -> None:
    nearest = mindful.nearest(photo)
    assert len(nearest) == 4
    assert (nearest[0].label, nearest[0].source) == first
    assert nearest[0].distance < 0.1 < nearest[1].distance  # it is remembered itself
    assert [one.distance for one in nearest] == sorted(one.distance for one in nearest)
    assert mindful.nearest(photo.read_bytes(), k=2) == nearest[:2]


def test_verdicts_with_what_each_photo_is_like(mindful: Gate, passes: list[int]) -> None:
    photos = [SOIL, b"", MAIZE, Image.new("RGB", (300, 300)), SOIL.read_bytes()]
    found = list(mindful.iter_explain(photos, batch_size=2, k=1))
    assert passes == [2, 1]
    assert [codes(verdict) for verdict, _ in found] == [
        codes(verdict) for verdict in mindful.check_many(photos)
    ]
    likened = [nearest and nearest[0].source for _, nearest in found]
    assert likened == ["soil", None, "maize", None, "soil"]


def test_photos_whose_quality_is_bad_are_like_something_too(mindful: Gate) -> None:
    assert codes(mindful.check(scene(90, 300))) == ["too_small"]
    assert len(mindful.nearest(scene(90, 300), k=3)) == 3


def test_without_a_memory_nothing_is_like_anything(tmp_path: Path) -> None:
    build(tmp_path)
    gate = Gate(open_gate(tmp_path, "tiny:1"), threads=1)
    for ask in (gate.nearest, lambda photo: gate.iter_explain([photo])):
        with pytest.raises(GateModelError, match=r"tiny:1 was stored without a memory.*train it"):
            ask(MAIZE)


def test_what_cannot_be_likened(mindful: Gate) -> None:
    with pytest.raises(UnreadablePhoto):
        mindful.nearest(b"not a photo")
    with pytest.raises(ValueError, match="k must be at least 1"):
        mindful.nearest(MAIZE, k=0)
    with pytest.raises(TypeError):
        mindful.nearest(7)


def test_a_forked_process_goes_on_with_the_gate(gate: Gate) -> None:
    """The threads that decode are not in it."""
    expected = gate.check(MAIZE).plant_probability
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=lambda: answers.put(gate.check(MAIZE).plant_probability))
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0
    assert answers.get() == pytest.approx(expected)
    assert gate.check(MAIZE).accepted


def test_load_from_the_store() -> None:
    tag = install_starter("gate-test-gate")
    gate = Gate.load(str(tag), threads=1)
    assert gate.tag == str(tag)
    assert gate.check(MAIZE).model == str(tag)
    with pytest.raises(GateModelNotFound, match="no-such-gate"):
        Gate.load("no-such-gate:latest")
    for text in ("bad tag!", ""):
        with pytest.raises(GateModelError, match="is no tag of a gate model"):
            Gate.load(text)


def test_a_language_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no messages in 'xx', only in en, fr, sw"):
        Gate.load(language="xx")
    with pytest.raises(SettingsError, match="no messages in ''"):
        Gate(MODEL, threads=1, language="")
    file = tmp_path / "messages.json"
    file.write_text('{"xx": {"not_a_plant": "Xxx."}}')
    assert Gate.load(language="xx", messages=file).check(SOIL).reasons[0].message == "Xxx."


def test_a_path_without_a_photo_is_the_programs_mistake(gate: Gate, tmp_path: Path) -> None:
    missing = tmp_path / "leaf.jpg"
    for path in (missing, str(missing), tmp_path, MAIZE / "leaf.jpg", f"{missing}\0"):
        for ask in (gate.check, gate.nearest):
            with pytest.raises(UnreadablePhoto) as caught:
                ask(path)
            assert str(caught.value).startswith(f"{path}: the file cannot be read: ")
    for path in (missing, tmp_path, MAIZE / "leaf.jpg"):
        with pytest.raises(FileNotFoundError):
            gate.check(path)
    with pytest.raises(OSError, match="File name too long"):
        gate.check("x" * 300)


def test_among_many_a_path_without_a_photo_costs_no_other_its_verdict(
    gate: Gate, tmp_path: Path
) -> None:
    photos = [MAIZE, tmp_path / "lost.jpg", tmp_path, MAIZE]
    verdicts = gate.check_many(photos)
    assert [codes(verdict) for verdict in verdicts] == [[], ["unreadable"], ["unreadable"], []]
    assert verdicts[1].reasons[0].detail.startswith(f"{tmp_path / 'lost.jpg'}: ")
