"""Names of files as file systems hold them: not UTF-8, composed or not, from other systems."""

from __future__ import annotations

import asyncio
import json
import os
import unicodedata
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from plantood.cli import main
from plantood.model.store import load_gate
from plantood.training.common.settings import DataSettings
from plantood.training.files.paths import existing, spelled, unspelled
from plantood.training.photos.data import find_data
from plantood.training.photos.dataset import load_dataset
from plantood.training.review.log import DecisionLog
from plantood.training.review.server.app import ReviewApp
from plantood.training.review.server.pictures import Pictures
from plantood.training.rounds.layout import Round
from tests.training.conftest import Data, csv_rows, write_photo
from tests.training.review.rounds import make_round

OLD = os.fsdecode(b"caf\xe9")
"""A name from an old archive, in Latin-1."""


def test_every_name_has_one_spelling_and_is_found_by_it(tmp_path: Path) -> None:
    for name in (OLD, "plain", "ünïcode", os.fsdecode(b"\xff\xfe"), "back\\slash"):
        (tmp_path / name).touch()
        assert spelled(name).encode()
        assert unspelled(spelled(name)) == name
        assert existing(spelled(tmp_path / name)) == tmp_path / name


def test_a_name_that_looks_like_a_spelling_goes_first(tmp_path: Path) -> None:
    for name in (OLD, spelled(OLD)):
        (tmp_path / name).touch()
    assert existing(tmp_path / spelled(OLD)).name == spelled(OLD)


@pytest.mark.parametrize(
    ("on_disk", "written"),
    [
        (unicodedata.normalize("NFD", "é/ü.jpg"), "é/ü.jpg"),
        ("é/ü.jpg", unicodedata.normalize("NFD", "é/ü.jpg")),
        ("é/" + unicodedata.normalize("NFD", "ü.jpg"), "é/ü.jpg"),
        ("a/b/c.jpg", "a\\b\\c.jpg"),
        ("é/x.jpg", os.fsdecode(b"\xe9/x.jpg")),
        (os.fsdecode(b"\xe9/x.jpg"), r"\udce9\x.jpg"),
    ],
)
def test_a_manifest_names_files_as_another_system_does(
    tmp_path: Path, on_disk: str, written: str
) -> None:
    write_photo(tmp_path / on_disk, 1, 0)
    file = tmp_path / "m.csv"
    file.write_bytes(b"path,label\n" + os.fsencode(written) + b",plant\n")
    (photo,) = find_data(file).photos
    assert photo.path == tmp_path / on_disk


def test_no_other_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").touch()
    for name in ("a.jpg", "B.jpg", "x\\b.jpg", "b.jpg\0"):
        assert existing(tmp_path / name) == tmp_path / name


def old_names(folder: Path) -> Path:
    """Photos in folders and files whose names are not UTF-8, one of them broken."""
    for label, class_name, sources in ((1, "plant", ("a", OLD)), (0, "other", ("c", "d"))):
        for number, source in enumerate(sources):
            for i in range(14):
                path = folder / class_name / source / f"{OLD}-{i}.jpg"
                write_photo(path, label, 100 * number + i)
    (folder / "plant" / "a" / f"{OLD}.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return folder


def run(*arguments: object) -> Result:
    ran = CliRunner().invoke(main, list(map(str, arguments)))
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return ran


def test_photos_with_such_names_are_trained_on_and_stored(data: Data, tmp_path: Path) -> None:
    folder = old_names(tmp_path / OLD)
    places = ["--runs", tmp_path / "runs", "--cache", tmp_path / "cache"]
    options = ["--backbone", "mobilenet", "--weights", data.weights, "--heads", "gap"]
    options += ["--epochs", "3", "--no-fine-tune", "--min-per-class", "5"]
    options += ["--gate-name", "old-names", "--leave-out", OLD, "--save", "best"]
    ran = run("train", folder, *options, *places)
    saved = load_gate("old-names:latest")
    assert saved.manifest.data[0].left_out == (spelled(OLD),)
    assert existing(saved.manifest.data[0].path) == folder
    assert spelled(OLD) in saved.card
    (run_folder,) = (path for path in (tmp_path / "runs").iterdir() if path.name != "cache")
    (bad,) = csv_rows(run_folder / "bad_files.csv")
    assert existing(bad["path"]) == folder / "plant" / "a" / f"{OLD}.jpg"
    assert f"plant   {spelled(OLD)}" in ran.stderr
    for name in ("report.html", "report.json", "table.md"):
        assert (run_folder / name).read_text(encoding="utf-8")
    table = tmp_path / "t.md"
    table.write_text("<!-- evaluation -->\n<!-- /evaluation -->\n")
    out = tmp_path / "out"
    ran = run("evaluate", saved.tag, folder, "--out", out, "--table-into", table, *places)
    assert json.loads((out / "report.json").read_text())["models"]
    assert spelled(OLD) in ran.stdout


def test_they_are_mined_reviewed_and_learned_from(gate: str, tmp_path: Path) -> None:
    source = tmp_path / OLD
    for i in range(6):
        write_photo(source / OLD / f"{OLD}-{i}.jpg", i % 2, i)
    folder = tmp_path / f"round-{OLD}"
    run("mine", source, "--gate", gate, "--at-most", "1", "--out", folder)
    round_ = Round.open(folder)
    assert round_.info.counts["unreadable"] == 0
    photos = round_.mined()
    assert {existing(photo.path) for photo in photos} == set((source / OLD).iterdir())
    again = run("mine", source, "--gate", gate, "--at-most", "1", "--out", folder)
    assert "6 sampled" in again.stdout

    sheet = tmp_path / "sheet.csv"
    run("labels", "export", folder, sheet)
    filled = csv_rows(sheet)
    assert [row["path"] for row in filled] == [photo.path for photo in photos]
    sheet.write_text(
        "path,label\n" + "".join(f"{row['path']},plant\n" for row in filled), encoding="utf-8"
    )
    told = run("labels", "import", folder, sheet, "--reviewer", "ann").output
    assert told.startswith("6 labels added")
    run("labels", "export", folder, tmp_path / "tasks.json")
    told = run("labels", "import", folder, tmp_path / "tasks.json").output
    assert told.startswith("0 labels added, 6 stood")

    labelled = find_data(round_.write_labels()).photos
    assert {photo.source for photo in labelled} == {spelled(folder.name)}
    again = run(
        *("mine", source, "--gate", gate, "--labelled", folder, "--labelled", sheet),
        *("--out", tmp_path / "round-2"),
    )
    assert "labelled already" in again.stderr


def test_a_round_of_such_a_name_is_served(tmp_path: Path) -> None:
    round_ = make_round(tmp_path / OLD, 2)
    app = ReviewApp(DecisionLog(round_), Pictures(round_), None).asgi(None, ("localhost",))

    async def name() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/api/round")).json()["name"]

    assert asyncio.run(name()) == spelled(OLD)


def test_near_duplicates_and_lists_of_photos(tmp_path: Path) -> None:
    folder = old_names(tmp_path / "photos")
    names = sorted((folder / "plant" / "a").iterdir())[:4]
    listed = tmp_path / "list.csv"
    listed.write_bytes(
        b"path,label\n" + b"".join(os.fsencode(name) + b",plant\n" for name in names)
    )
    assert {photo.path for photo in find_data(listed).photos} == set(names)
    dataset = load_dataset(folder, DataSettings(min_per_class=2), tmp_path / "cache")
    assert spelled(OLD) in dataset.sources
    assert len(dataset.fingerprint()) == 64
