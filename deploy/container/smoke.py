"""Build the container of each bento without a docker daemon or a registry, and try it.

    python -m deploy.container.smoke plantood:latest maize_disease:latest

With docker, `bentoml containerize` is all it takes; this is for machines that have neither docker
nor an image registry, such as a CI runner: Debian packages, buildah and root are enough. A plant
and a soil photo are posted to every bento, its scorer is killed, and it is stopped under load.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import bentoml
import click
import httpx

from deploy.container.bentos import Call, build_without_template, copy_onto, photo_call
from deploy.container.buildah import BASE_IMAGE, Buildah, ContainerError, missing, run
from deploy.container.container import START_SECONDS, Container, configuration, running
from plantood.training.common.tables import markdown, write_between_markers

SAMPLES = Path(__file__).parents[2] / "plantood" / "model" / "starter" / "samples"
PLANT, SOIL = SAMPLES / "maize_leaf.jpg", SAMPLES / "bare_soil.jpg"
BENTOML_UID = 1034
RECOVERY_SECONDS = 60
IN_HAND = 4
GATE_LABELS = ("plantood.gate", "plantood.gate.sha256")


@dataclass
class Report:
    """What was measured of one bento; sizes in MB of 10^6 bytes, times in seconds."""

    bento: str
    base_mb: int
    image_mb: int
    stock_mb: int | None
    containerize_s: float
    start_s: float
    recovery_s: float
    stop_s: float


def expect(condition: object, what: str, container: Container | None = None) -> None:
    """Raise what was expected, unless it is so.

    Raises:
        ContainerError: With the container's log.
    """
    if not condition:
        log = f":\n{container.output[-4000:]}" if container else ""
        raise ContainerError(f"expected: {what}{log}")


def megabytes(buildah: Buildah, image: str) -> int:
    """Size of the files of an image."""
    name = buildah("from", image)
    try:
        root = buildah("mount", name)
        return round(int(run(["du", "--summarize", "--bytes", root]).split()[0]) / 1e6)
    finally:
        buildah("rm", name)


def verdicts(answer: Any) -> Iterator[str]:
    """Every ``verdict`` anywhere in an answer."""
    if isinstance(answer, dict):
        if isinstance(answer.get("verdict"), str):
            yield answer["verdict"]
        for value in answer.values():
            yield from verdicts(value)


def check_image(buildah: Buildah, image: str, tag: str, digest: str) -> None:
    """User, labels and health check, as the image itself has them."""
    about = configuration(buildah, image)
    expect(about["User"] == f"{BENTOML_UID}:{BENTOML_UID}", "a numeric user that is not root")
    expect("Healthcheck" in about, "a health check")
    labels = tuple(about["Labels"].get(label) for label in GATE_LABELS)
    expect(labels == (tag, digest), f"labels {GATE_LABELS} that say {(tag, digest)}")


def check_photos(container: Container, call: Call) -> None:
    """A plant passes, bare soil does not."""
    for photo, retake in ((PLANT, False), (SOIL, True)):
        answer = call.post(container.url, photo)
        expect(answer.status_code == HTTPStatus.OK, f"200 for {photo.name}", container)
        refused = "retake" in set(verdicts(answer.json()))
        expect(refused == retake, f"retake={retake} for {photo.name}, not {answer.text}", container)


def check_confinement(container: Container) -> None:
    """Not root, without capabilities, and nothing writable but the scratch in ``/tmp``."""
    supervisor = container.processes[0]
    expect(set(supervisor.uids()) == {BENTOML_UID}, f"user {BENTOML_UID}", container)
    status = Path(f"/proc/{supervisor.pid}/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
    expect(int(effective.split()[1], 16) == 0, "no capabilities", container)
    for folder in ("app", "home/bentoml", "var/tmp"):
        try:  # this process is root: only a read-only file system stops it
            (Path(f"/proc/{supervisor.pid}/root") / folder / "written").touch()
        except OSError:
            continue
        raise ContainerError(f"expected: /{folder} of {container.image} is read-only")


def check_recovery(container: Container, call: Call) -> float:
    """Kill the scorer; seconds until a photo is judged again."""
    scorer = container.worker("PlantScorer")
    expect(scorer, "a process of PlantScorer", container)
    assert scorer is not None
    scorer.kill()
    started = time.monotonic()
    while time.monotonic() - started < RECOVERY_SECONDS:
        answer = call.post(container.url, SOIL)
        if answer.status_code == HTTPStatus.OK and "retake" in set(verdicts(answer.json())):
            break
        time.sleep(0.2)
    seconds = time.monotonic() - started
    container.wait_for("/readyz", HTTPStatus.OK, RECOVERY_SECONDS)
    container.wait_for("/livez", HTTPStatus.OK, RECOVERY_SECONDS)
    check_photos(container, call)
    return seconds


def check_stop(container: Container, call: Call) -> float:
    """SIGTERM with requests in hand: each is answered. Seconds until all had ended."""
    begun = [call.post_all_but_the_end(container.url, PLANT) for _ in range(IN_HAND)]
    deadline = time.monotonic() + START_SECONDS
    while requests_in_progress(container) < IN_HAND:
        expect(time.monotonic() < deadline, f"{IN_HAND} requests in progress", container)
        time.sleep(0.1)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(container.stop)
        time.sleep(1)
        statuses = []
        for connection, rest in begun:
            connection.send(rest)
            statuses.append(connection.getresponse().status)
            connection.close()
        exit_status, seconds = stopping.result()
    expect(set(statuses) == {HTTPStatus.OK}, f"200 for what was in hand: {statuses}", container)
    expect(exit_status == 0, f"exit status 0 after SIGTERM, not {exit_status}", container)
    return seconds


def requests_in_progress(container: Container) -> float:
    """Requests that the service has received and not answered, by its own metrics."""
    lines = httpx.get(f"{container.url}/metrics", timeout=60).text.splitlines()
    name = "bentoml_service_request_in_progress{"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def smoke(buildah: Buildah, tag: str, *, stock: bool) -> Report:
    """Containerize one bento on `BASE_IMAGE` and try it."""
    bento = bentoml.get(tag)
    home = buildah.root / "bentoml"
    gate = next(m.tag for m in bento.info.all_models if m.module == "plantood")
    digest = bentoml.models.get(gate).info.metadata["manifest_sha256"]
    copied = copy_onto(bento, home, BASE_IMAGE)
    stock_mb = None
    if stock and not bento.info.python.wheels:  # BentoML's own image has no place for wheels
        image = buildah.containerize(build_without_template(bento, home, BASE_IMAGE), home)
        stock_mb = megabytes(buildah, image)
        buildah("rmi", "--force", image)
    started = time.monotonic()
    image = buildah.containerize(copied, home)
    containerize_s = time.monotonic() - started
    try:
        check_image(buildah, image, str(gate), digest)
        call = photo_call(Path(bento.path))
        with running(buildah, image, buildah.root / "serve.log") as container:
            start_s = container.wait_for("/readyz", HTTPStatus.OK, START_SECONDS)
            check_confinement(container)
            check_photos(container, call)
            expect(container.healthcheck() == 0, "a health check that passes", container)
            recovery_s = check_recovery(container, call)
            stop_s = check_stop(container, call)
            expect(container.healthcheck() != 0, "a health check that fails when all is down")
        return Report(
            str(bento.tag),
            megabytes(buildah, BASE_IMAGE),
            megabytes(buildah, image),
            stock_mb,
            containerize_s,
            start_s,
            recovery_s,
            stop_s,
        )
    finally:
        buildah("rmi", "--force", image)


def table(reports: list[Report]) -> str:
    """The reports as Markdown."""
    header = [
        "bento",
        "image MB",
        "of that the base",
        "BentoML's own image MB",
        "containerize s",
        "start to ready s",
        "scorer killed to answer s",
        "SIGTERM to end s",
    ]
    rows = []
    for report in reports:
        sizes = (report.image_mb, report.base_mb, report.stock_mb)
        times = (report.containerize_s, report.start_s, report.recovery_s, report.stop_s)
        row = [report.bento.partition(":")[0]]
        row += ["-" if size is None else str(size) for size in sizes]
        rows.append(row + [f"{seconds:.1f}" for seconds in times])
    return markdown(header, rows) + "\n"


@click.command(help=__doc__)
@click.argument("bentos", nargs=-1, required=True, metavar="BENTO:TAG...")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("/var/tmp/plantood-container"),
    show_default=True,
    help="Keeps the base image for the next time; needs 5 GB. Remove it when you are done.",
)
@click.option("--stock", is_flag=True, help="Build BentoML's own image too, for its size.")
@click.option("--write", type=click.Path(path_type=Path), help="Markdown file to write into.")
def main(bentos: tuple[str, ...], work: Path, stock: bool, write: Path | None) -> None:
    """See the module."""
    if lacks := missing():
        raise click.ClickException(
            f"this machine lacks {', '.join(lacks)} (as root: apt-get install buildah debootstrap)"
        )
    buildah = Buildah(work)
    try:
        started = time.monotonic()
        buildah.make_base()
        click.echo(f"base image {BASE_IMAGE}: {time.monotonic() - started:.0f} s", err=True)
        reports = []
        for tag in bentos:
            reports.append(smoke(buildah, tag, stock=stock))
            click.echo(f"{tag}: passed", err=True)
    except ContainerError as error:
        raise click.ClickException(str(error)) from None
    click.echo(text := table(reports))
    if write:
        write_between_markers(write, "container", text)


if __name__ == "__main__":
    main()
