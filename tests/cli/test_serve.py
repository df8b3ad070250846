from __future__ import annotations

import socket
import sys
from pathlib import Path

import httpx
import pytest

from plantood.cli.serve import LONGEST_TMPDIR
from plantood.verdict import Verdict
from tests.cli.commands import EXIT_ERROR, MAIZE, folder_of_length, plantood, run
from tests.service.server import environment, free_ports, launch


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"PLANTOOD_POLICY": "plants"}, "PLANTOOD_POLICY='plants' cannot be used"),
        ({"PLANTOOD_POLICY": "plants=1"}, "no threshold plants"),
        ({"PLANTOOD_CAPTURE": "/proc/captured"}, "cannot be written to"),
        ({"PLANTOOD_GATE": "nothing:here"}, "no gate model nothing:here"),
        ({"PLANTOOD_GATE": "/models/gate"}, "PLANTOOD_GATE='/models/gate' cannot be used"),
        ({"PLANTOOD_MESSAGES_FILE": "/none"}, "/none cannot be read"),
        ({"PLANTOOD_LANGUAGE": "xx"}, "PLANTOOD_LANGUAGE: there are no messages in 'xx'"),
        ({"TMPDIR": "{long}"}, "61 characters, too many for the sockets"),
        ({"BENTOML_HOME": "/proc/nobody"}, "set BENTOML_HOME to a folder that you may"),
    ],
)
def test_serve_says_that_it_starts_only_if_nothing_is_known_to_stop_it(
    setting: dict[str, str], said: str
) -> None:
    with folder_of_length(LONGEST_TMPDIR + 1) as long:
        variables = {name: value.format(long=long) for name, value in setting.items()}
        address = ("--host", "127.0.0.1", "--port", str(free_ports(1)[0]))
        result = plantood("serve", *address, **variables)
    assert result.returncode == EXIT_ERROR
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("gate", [[], ["--gate", "plantood-gate:starter"]])
def test_serve_finds_nothing_wrong_on_a_fresh_machine(gate: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # all else was looked at before
        port = taken.getsockname()[1]
        arguments = ["--host", "127.0.0.1", "--port", str(port), *gate]
        result = plantood("serve", *arguments, BENTOML_HOME=str(tmp_path))
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


@pytest.mark.parametrize(
    ("host", "family", "shown"),
    [("127.0.0.1", socket.AF_INET, "127.0.0.1"), ("::1", socket.AF_INET6, "[::1]")],
)
def test_serve_says_that_the_port_is_taken(
    host: str, family: socket.AddressFamily, shown: str
) -> None:
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--host", host, "--port", str(port))
    assert result.exit_code == EXIT_ERROR
    assert f"cannot listen on {shown}:{port} (Address already in use)" in result.stderr
    assert "--port" in result.stderr


def test_serve_wants_another_port_for_metrics() -> None:
    port = str(free_ports(1)[0])
    result = plantood("serve", "--port", port, PLANTOOD_METRICS_PORT=port)
    assert result.returncode == EXIT_ERROR
    assert result.stderr.startswith(f"Error: PLANTOOD_METRICS_PORT={port} is the port on which")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "localhost")]
)
def test_serve_serves_from_any_directory(host: str, shown: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "plantood", "serve"]
    with folder_of_length(LONGEST_TMPDIR) as longest:
        variables = environment(tmp_path, TMPDIR=str(longest))
        log = tmp_path / "log"
        with launch(command, folder=tmp_path, environment=variables, log=log, host=host) as server:
            server.wait_until_ready()
            url = f"http://{shown}:{server.address[1]}"
            assert f"Starting the gate at {url};" in server.output
            answer = httpx.post(
                f"{url}/check",
                content=Path(MAIZE).read_bytes(),
                headers={"Content-Type": "image/jpeg"},
                timeout=60,
            )
    assert Verdict.model_validate(answer.json()).accepted
    assert (tmp_path / "models" / "plantood-gate" / "starter" / "gate.json").is_file()
