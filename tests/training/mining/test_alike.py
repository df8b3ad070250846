"""Near-duplicates are left out of the pile, and a random sample is drawn beside it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plantood.training.judging.audit import AUDIT
from plantood.training.mining.alike import LEAST_COSINE, Fingerprints, alike_to_earlier
from plantood.training.mining.command import funnel
from plantood.training.mining.mine import mine_photos
from plantood.training.photos.hashes import LOOK, Looks
from plantood.training.rounds.labels import Decision
from plantood.training.rounds.layout import Round
from tests.training.conftest import csv_rows, noise_look

Make = Callable[..., Any]


def detailed(seed: int, size: int = 256) -> np.ndarray:
    """A photo that the small look of no other is like."""
    grey = np.random.default_rng(seed).integers(0, 256, (24, 24), np.uint8)
    picture = Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture.convert("RGB"))


@pytest.fixture
def pool(tmp_path: Path) -> Make:
    """Makes a folder of so many photos, none alike to another."""

    def make(count: int) -> Path:
        folder = tmp_path / "pool"
        folder.mkdir()
        for seed in range(count):
            Image.fromarray(detailed(seed)).save(folder / f"{seed}.jpg")
        return folder

    return make


@pytest.fixture
def comparing(options: Make) -> Make:
    """Options with which photos are compared."""
    return lambda *given, **values: options(*given, **({"near_duplicates": False} | values))


def add_burst(folder: Path, seed: int, count: int = 4) -> list[Path]:
    """One scene, a few pixels apart, compressed anew each time."""
    rng = np.random.default_rng(seed)
    scene = detailed(9000 + seed, size=262)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (x, y) in enumerate(rng.integers(0, 7, (count, 2)).tolist()):
        file = folder / f"{seed}-{number}.jpg"
        frame = Image.fromarray(scene[y : y + 256, x : x + 256])
        frame.save(file, quality=int(rng.integers(60, 93)))
        files.append(file)
    return files


def test_of_a_burst_one_is_to_be_looked_at(pool: Make, comparing: Make) -> None:
    source = pool(12)
    bursts = [add_burst(source / "burst", seed) for seed in range(3)]
    round_ = mine_photos(comparing(source, at_most=1.0))
    mined = {photo.path for photo in round_.mined()}
    assert [len(mined & set(map(str, burst))) for burst in bursts] == [1, 1, 1]
    assert len(mined) == 12 + 3
    assert round_.info.counts["alike"] == 9
    assert round_.info.counts["at_most"] == 24
    assert ("alike to labelled or chosen ones, left out (near_duplicates.csv)", "9") in funnel(
        round_
    )
    rows = csv_rows(round_.path / "near_duplicates.csv")
    assert len(rows) == 9
    for row in rows:
        assert row["like"] in mined
        assert Path(row["like"]).name.split("-")[0] == Path(row["path"]).name.split("-")[0]
    copies = {file.stem for file in round_.path.glob("photos/*/*")}
    assert copies == {photo.id for photo in round_.mined()}


def test_the_most_suspicious_of_them_stays(pool: Make, comparing: Make) -> None:
    source = pool(6)
    burst = set(map(str, add_burst(source / "burst", 1)))
    round_ = mine_photos(comparing(source, at_most=1.0))
    scores = {s["path"]: (s["plant_probability"], s["id"]) for s in round_.scores()}
    (stays,) = burst & {photo.path for photo in round_.mined()}
    assert scores[stays] == min(scores[path] for path in burst)


def test_what_is_alike_to_a_labelled_photo_is_left_out(
    pool: Make, comparing: Make, tmp_path: Path
) -> None:
    source = pool(6)
    first, *others = add_burst(source / "burst", 2)
    elsewhere = tmp_path / "labelled" / "frame.jpg"
    elsewhere.parent.mkdir()
    first.rename(elsewhere)
    (tmp_path / "labels.csv").write_text("path,label\nlabelled/frame.jpg,other\n")
    round_ = mine_photos(comparing(source, at_most=1.0, labelled=(str(tmp_path / "labels.csv"),)))
    assert len(round_.mined()) == 6
    rows = csv_rows(round_.path / "near_duplicates.csv")
    assert {row["path"] for row in rows} == set(map(str, others))
    assert {row["like"] for row in rows} == {str(elsewhere)}


def test_what_is_alike_to_a_photo_of_an_earlier_round_is_left_out(
    pool: Make, comparing: Make, tmp_path: Path
) -> None:
    """By the round's own copy: the photo itself is no longer where it was."""
    add_burst(tmp_path / "pool", 3)
    earlier = mine_photos(comparing(tmp_path / "pool", "earlier", at_most=1.0))
    (photo,) = earlier.mined()
    earlier.append_decisions([Decision(reviewer="ann", id=photo.id, label="other")])
    Path(photo.path).unlink()
    round_ = mine_photos(comparing(tmp_path / "pool", at_most=1.0, labelled=(str(earlier.path),)))
    assert round_.mined() == []
    assert round_.info.counts["alike"] == 3


def test_they_stay_if_that_is_asked_for(pool: Make, comparing: Make) -> None:
    source = pool(6)
    add_burst(source / "burst", 4)
    chosen = comparing(source, at_most=1.0)
    assert len(mine_photos(chosen).mined()) == 7
    assert (chosen.out / "near_duplicates.csv").is_file()
    round_ = mine_photos(replace(chosen, near_duplicates=True))
    assert len(round_.mined()) == 10
    assert round_.info.counts["alike"] == 0
    assert not (chosen.out / "near_duplicates.csv").exists()
    for photo in round_.mined():
        assert round_.photo_path(photo.id).is_file()


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def mixed(share: float, name: str = "other") -> bytes:
    """A look that has this correlation with the one that is called scene, more or less."""
    one, two = (np.frombuffer(noise_look(n), np.uint8) - 127.5 for n in ("scene", name))
    both = 127.5 + 0.5 * (share * one + (1 - share**2) ** 0.5 * two)
    return np.clip(both, 0, 255).astype(np.uint8).tobytes()


def test_embeddings_tell_what_looks_leave_open() -> None:
    """Of looks that are as good as the same no embedding says otherwise, nor of quite others."""
    looks = [mixed(share) for share in (1.0, 0.72, 0.72, 0.4, 0.97)]
    near = unit(LEAST_COSINE + 0.01, (1 - (LEAST_COSINE + 0.01) ** 2) ** 0.5, 0)
    far = unit(LEAST_COSINE - 0.01, 0, (1 - (LEAST_COSINE - 0.01) ** 2) ** 0.5)
    scene, elsewhere = unit(1, 0, 0), unit(0, 0, 1)
    for place, embedding, gone in (
        (1, near, True),
        (2, far, False),
        (3, near, False),
        (4, elsewhere, True),
    ):
        files = [Path("scene"), Path("other")]
        photos = Fingerprints(files, [looks[0], looks[place]], [scene, embedding])
        assert alike_to_earlier(photos, 0) == ({1: 0} if gone else {}), place
        assert alike_to_earlier(photos, 2) == {}


def test_one_that_is_gone_takes_no_other_with_it() -> None:
    """1 is alike to 0 and goes; 2 is alike to 1 only, and stays."""
    angle = np.arccos(LEAST_COSINE) * 0.9
    embeddings = [unit(np.cos(n * angle), np.sin(n * angle)) for n in range(4)]
    looks = [mixed(0.85, f"own {n}") for n in range(4)]  # two of them: 0.72
    photos = Fingerprints([Path(str(n)) for n in range(4)], looks, embeddings)
    assert alike_to_earlier(photos, 0) == {1: 0, 3: 2}


def test_of_photos_that_show_nothing_and_of_copies_one_stays() -> None:
    """However many: each is alike to every other, not only to the next."""
    nothing = [bytes([grey]) * LOOK for grey in (7, 9, 7, 11, 9)]
    looks = [*nothing, mixed(1.0), mixed(0.97), mixed(0.97), mixed(1.0)]
    axes = np.eye(len(looks), dtype=np.float16)
    photos = Fingerprints([Path(str(n)) for n in range(len(looks))], looks, list(axes))
    gone = {1: 0, 2: 0, 3: 0, 4: 0, 6: 5, 7: 5, 8: 5}
    assert alike_to_earlier(photos, 0) == gone
    assert alike_to_earlier(photos, 2) == {index: gone[index] for index in (2, 3, 4, 6, 7, 8)}


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("block", [7, 16, 1024])
def test_who_stays_is_as_if_they_were_compared_one_after_the_other(
    first: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(first)
    looks = [mixed(rng.uniform(0.7, 1.0), f"own {n}") for n in range(40)]
    embeddings = [unit(*rng.normal((1.2, 0, 0), 0.5)) for _ in looks]
    photos = Fingerprints([Path(str(n)) for n in range(40)], looks, embeddings)
    expected: dict[int, int] = {}
    for high in range(first, 40):
        for low in (low for low in range(high) if low not in expected):
            pair = Fingerprints(
                photos.files[:2], [looks[low], looks[high]], [embeddings[low], embeddings[high]]
            )
            if alike_to_earlier(pair, 1):
                expected[high] = low
                break
    monkeypatch.setattr("plantood.training.photos.hashes.BLOCK", block)
    assert 15 < len(expected) < 37 - first
    assert alike_to_earlier(photos, first) == expected


def test_of_a_camera_that_stands_still_few_pairs_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    real = Looks.correlations
    monkeypatch.setattr(
        Looks,
        "correlations",
        lambda looks, pairs: compared.append(len(pairs)) or real(looks, pairs),
    )
    looks = [mixed(0.97, f"frame {n}") for n in range(3000)]
    embeddings = [unit(1, 0, 0)] * len(looks)
    photos = Fingerprints([Path(str(n)) for n in range(len(looks))], looks, embeddings)
    tracemalloc.start()
    gone = alike_to_earlier(photos, 0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert gone == dict.fromkeys(range(1, len(looks)), 0)
    assert sum(compared) < 2 * len(looks)
    assert most < 100e6


def test_the_audit_is_drawn_from_all(production: Make, options: Make) -> None:
    """Also from what looks like a plant, and what nothing else chooses."""
    source = production(60)
    round_ = mine_photos(options(source, at_most=0.2, audit=20))
    drawn = {photo.id for photo in round_.mined() if AUDIT in photo.selected_by}
    assert len(drawn) == round_.info.counts["audit"] == 20
    high = {s["id"] for s in round_.scores() if s["plant_probability"] > 0.2}
    assert 0 < len(drawn & high) < 20
    again = mine_photos(replace(options(source, "again", at_most=1.0, audit=30), seed=0))
    assert drawn < {photo.id for photo in again.mined() if AUDIT in photo.selected_by}
    other = mine_photos(replace(options(source, "other", at_most=0.2, audit=20), seed=1))
    assert drawn != {photo.id for photo in other.mined() if AUDIT in photo.selected_by}


def test_each_photo_is_as_likely_to_be_drawn_as_any_other(
    production: Make, options: Make, tmp_path: Path
) -> None:
    """Chosen anew with many seeds, from the same scores."""
    round_ = mine_photos(options(production(20), at_most=0.0))
    lines = (round_.path / "scores.jsonl").read_bytes()
    times: dict[str, int] = {}
    for seed in range(100, 160):
        folder = tmp_path / f"seed-{seed}"
        info = round_.info.model_copy(
            update={
                "seed": seed,
                "options": round_.info.options | {"audit": 5},
                "counts": {k: v for k, v in round_.info.counts.items() if k == "scored"},
            }
        )
        Round.create(folder, info)
        (folder / "scores.jsonl").write_bytes(lines)
        chosen = replace(options(round_.info.source, f"seed-{seed}"), seed=seed, audit=5)
        for photo in mine_photos(replace(chosen, at_most=0.0)).mined():
            times[photo.id] = times.get(photo.id, 0) + 1
    assert len(times) == 20
    # Each is drawn 60 / 4 = 15 times on average; chi-squared of 19 degrees has its 99.9 % at 43.8.
    assert sum((count - 15) ** 2 / (15 * 0.75) for count in times.values()) < 43.8


def test_the_audit_stays_a_random_sample(pool: Make, comparing: Make) -> None:
    """Photos of it that are alike all count, and of others alike to them none is looked at."""
    source = pool(3)
    burst = set(map(str, add_burst(source / "burst", 5, count=6)))
    round_ = mine_photos(comparing(source, at_most=1.0, audit=5))
    drawn = {photo.path for photo in round_.mined() if AUDIT in photo.selected_by}
    assert len(drawn) == 5
    assert len(drawn & burst) >= 2
    assert {photo.path for photo in round_.mined()} & burst == drawn & burst


def test_the_command_tells_what_the_audit_says_once_it_is_reviewed(
    production: Make, gate: str, tmp_path: Path
) -> None:
    from click.testing import CliRunner

    from plantood.cli import main

    source, out = production(30), tmp_path / "round"
    command = ["mine", str(source), "--gate", gate, "--out", str(out), "--audit", "12"]
    first = CliRunner().invoke(main, command, catch_exceptions=False)
    assert "Audit of" not in first.output
    assert "of all, drawn for the audit" in first.output
    round_ = Round.open(out)
    drawn = [photo for photo in round_.mined() if AUDIT in photo.selected_by]
    said = ["plant"] * 6 + ["other"] * 5
    round_.append_decisions(
        Decision(reviewer="ann", id=photo.id, label=label)
        for photo, label in zip(drawn, said, strict=False)
    )
    again = CliRunner().invoke(main, command, catch_exceptions=False)
    assert again.exit_code == 0
    assert "11 of 12 photos drawn at random are labelled" in again.output
    assert "others: 45.5% (21.3 to 72.0)" in again.output  # Wilson's interval
    assert "without a label, not counted: 1" in again.output
