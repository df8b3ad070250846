"""How smoothly the review page scrolls and labels: frames, long tasks, milliseconds for a label.

    python -m benchmarks.review_page --write docs/review.md

A round of so many photos (a few, linked under many names) is served by the real server and shown
in headless Chromium on the same machine. The page is scrolled from its first photo to its last at
a steady pace, and frame times and the browser's own long tasks (50 ms and more on the main thread,
as ``PerformanceObserver`` reports them) are counted. Then photos are labelled by keyboard; a label
takes from the key to the next photo on the screen, so with the answer from the server's disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psutil
from selenium import webdriver

from plantood.cli.check import SAMPLES
from plantood.training.common.shared import shared_dir
from plantood.training.common.tables import markdown, write_between_markers
from plantood.training.review.server.pictures import THUMBNAILS
from plantood.training.rounds.layout import MinedPhoto, Round, RoundInfo

WAIT_SECONDS = 300
CHROMIUM = "chromium"

SCROLL = """
const [seconds, done] = arguments;
const grid = document.getElementById("grid");
const tasks = [], frames = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) tasks.push(entry.duration);
}).observe({ type: "longtask" });
const frame = () => new Promise(requestAnimationFrame);
const waiting = () => [...document.querySelectorAll(".cell img")].filter((image) => {
  const box = image.getBoundingClientRect(), room = grid.getBoundingClientRect();
  return box.bottom > room.top && box.top < room.bottom && !image.naturalWidth;
}).length;
(async () => {
  const first = performance.now();
  while (waiting()) await frame();
  const start = await frame();
  const shown = Math.max(0, start - first);  // a frame's time is that of its beginning
  let last = start, blank = 0;
  for (let now = start; now - start < 1000 * seconds;) {
    grid.scrollTop = (grid.scrollHeight - grid.clientHeight) * (now - start) / (1000 * seconds);
    now = await frame();
    frames.push(now - last);
    last = now;
    blank += waiting() > 0;
  }
  const end = performance.now();
  while (waiting()) await frame();
  done({ shown, frames, tasks, blank, settled: performance.now() - end });
})();
"""

LABEL = """
const [count, done] = arguments;
const press = (key) => {
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
};
const frame = () => new Promise(requestAnimationFrame);
const path = () => document.getElementById("path").textContent;
const photo = () => document.getElementById("photo");
(async () => {
  press("Home");
  const times = [];
  for (let i = 0; i < count; i += 1) {
    while (!photo().complete) await frame();
    const before = path(), start = performance.now();
    press("pnbu"[i % 4]);
    while (path() === before || !photo().complete) await frame();
    times.push(performance.now() - start);
  }
  done(times);
})();
"""


@click.command()
@click.option("--photos", default=5000, show_default=True, help="In the round.")
@click.option("--seconds", default=60, show_default=True, help="To scroll through all of them.")
@click.option("--labels", default=200, show_default=True, help="To give by keyboard.")
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Document.")
def main(photos: int, seconds: int, labels: int, write: Path | None) -> None:
    """Measure, print the table, and write it between its markers; without Chromium nothing."""
    if not shutil.which(CHROMIUM):
        click.echo(f"Left out, since there is no {CHROMIUM}: install it.")
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for what, files in kinds_of_photos()
            for row in measure(Path(folder) / what, what, files, photos, seconds, labels)
        ]
    header = [
        "photos",
        "thumbnails",
        "first screen s",
        "frame p50 ms",
        "p95 ms",
        "longest ms",
        "long tasks",
        "longest ms",
        "frames with a blank",
        "label p50 ms",
        "p95 ms",
        "server MB",
    ]
    command = "python -m benchmarks.review_page --write docs/review.md"
    text = (
        f"`{command}`\n\n{photos} photos, scrolled through in {seconds} s, and {labels} labels. "
        "*First screen* counts from when the page knows the round until every thumbnail in sight "
        "is there; *label*, from the key to the next photo on the screen.\n\n"
        f"{markdown(header, rows)}\n"
    )
    click.echo(text)
    if write:
        write_between_markers(write, "review-page", text)


def kinds_of_photos() -> Iterator[tuple[str, list[Path]]]:
    """Small photos, and photos as cameras write them if there are some on this machine."""
    yield "256 pixels", sorted(SAMPLES.glob("[!b]*.jpg"))
    if shared := shared_dir():
        large = [
            p for p in (shared / "data" / "originals").glob("*.jpg") if p.stat().st_size > 2**20
        ]
        if large:
            yield "12 to 35 megapixels", sorted(large)


def measure(  # noqa: PLR0917
    folder: Path, what: str, files: Sequence[Path], count: int, seconds: int, labels: int
) -> Iterator[list[str]]:
    """Two rows: thumbnails still to be made, and made."""
    make_round(folder, files, count)
    for thumbnails in ("not made", "made"):
        if thumbnails == "made":
            wait_for_thumbnails(folder, count)
        with review(folder) as (url, server), browser() as driver:
            driver.get(url)
            while "ready" not in driver.execute_script("return document.body.className"):
                time.sleep(0.05)
            click.echo(f"{what}, thumbnails {thumbnails}", err=True)
            scrolled = driver.execute_async_script(SCROLL, seconds)
            times = driver.execute_async_script(LABEL, labels)
            memory = server.memory_info().rss / 1e6
        yield row_of(what, thumbnails, scrolled, times, memory)
        for file in ("labels.jsonl", "labels.csv"):
            (folder / file).unlink()


def row_of(
    what: str, thumbnails: str, scrolled: dict[str, Any], times: list[float], memory: float
) -> list[str]:
    """One row of the table."""
    frames, tasks = scrolled["frames"], scrolled["tasks"]
    return [
        what,
        thumbnails,
        f"{scrolled['shown'] / 1000:.2f}",
        f"{quantile(frames, 0.5):.1f}",
        f"{quantile(frames, 0.95):.1f}",
        f"{max(frames):.0f}",
        str(len(tasks)),
        f"{max(tasks):.0f}" if tasks else "-",
        f"{scrolled['blank'] / len(frames):.1%}",
        f"{quantile(times, 0.5):.0f}",
        f"{quantile(times, 0.95):.0f}",
        f"{memory:.0f}",
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def make_round(folder: Path, files: Sequence[Path], count: int) -> None:
    """A round whose photos are links to a few files; the page does not know."""
    round_ = Round.create(
        folder, RoundInfo(gate="plantood-gate:benchmark", gate_sha256="0" * 64, source="benchmark")
    )
    originals = []
    for number, file in enumerate(files):
        originals.append(folder / f"original-{number}.jpg")
        shutil.copy(file, originals[-1])  # links do not reach across file systems
    mined = []
    for number in range(count):
        identity = hashlib.sha256(str(number).encode()).hexdigest()
        file = Path("photos", identity[:2], f"{identity}.jpg")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.link(originals[number % len(originals)], folder / file)
        mined.append(
            MinedPhoto(
                id=identity,
                path=f"pool/{number}.jpg",
                file=str(file),
                plant_probability=round(0.6 * number / count, 4),
                selected_by=("at_most",),
                verdict="retake",
                reasons=("not_a_plant",),
                sharpness=0.5,
                brightness=0.5,
            )
        )
    round_.write_mined(mined)


def wait_for_thumbnails(folder: Path, count: int) -> None:
    """Let a server make all of them."""
    with review(folder):
        while sum(1 for _ in (folder / THUMBNAILS).rglob("*.jpg")) < count:
            time.sleep(0.5)


@contextmanager
def review(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The review server in its own process: its address, and the process."""
    command = [sys.executable, "-u", "-m", "plantood", "review", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--no-browser", "--reviewer", "benchmark"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = next(line for line in iter(process.stdout.readline, "") if line.startswith("http"))
        yield url.strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium with an empty cache."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROMIUM) or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,800"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(WAIT_SECONDS)
    try:
        yield driver
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
