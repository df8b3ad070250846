"""What the documents do with what exists: attributes, addresses, files of Kubernetes."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from plantood.http.openapi import complete
from plantood.training.review.client import ReviewClient
from tests.docs.documents import FILES, ROOT, Block, blocks, prose
from tests.docs.test_shown import parsed, shown_commands
from tests.docs.uses import FOR_ALL, has, mistakes

BENTOML_S = {"/": set(), "/livez": set(), "/readyz": set(), "/healthz": set(), "/metrics": set()}


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_every_python_block_uses_what_our_objects_have(block: Block) -> None:
    assert not list(mistakes(parsed(block)))


@pytest.mark.parametrize(
    "text",
    [
        "Gate.load().chek('leaf.jpg')",
        "Gate.open()",
        "verdict = Gate.load().check('leaf.jpg')\nverdict.accept",
        "verdict = Gate.load().check('leaf.jpg')\nverdict.reasons[0].text",
        "for one in Gate.load().check_many(photos):\n    one.accept",
        "Gate.load(gate='plantood-gate:1')",
        "RemoteGate('http://gate:3000', timeout=5)",
        "class A:\n    def __init__(self):\n        self.gate = RemoteGate('http://gate:3000')\n"
        "    async def b(self, photo):\n        return await self.gate.judge(photo)",
        "class A:\n    scorer = bentoml.depends(PlantGate)\n"
        "    async def b(self, photo):\n        return await self.scorer.check(photo=photo)",
        "with bentoml.SyncHTTPClient('http://localhost:3000') as client:\n    client.diagnose(1)",
        "from plantood.training.review.client import ReviewClient\n"
        "with ReviewClient('http://localhost:8400', 'anna') as review:\n    review.agree()",
    ],
)
def test_a_mistake_is_found(text: str) -> None:
    assert list(mistakes(ast.parse(text)))


def named_attributes() -> list[tuple[str, str, str]]:
    """File, class and attribute of every ``Gate.check`` within a sentence; no former ones."""
    ours = {name: one for name, one in FOR_ALL.items() if isinstance(one, type)}
    pattern = re.compile(rf"`({'|'.join([*ours, 'ReviewClient'])})\.(\w+)")
    return [
        (str(path.relative_to(ROOT)), owner, name)
        for path in FILES
        for owner, name in pattern.findall(prose(path))
    ]


@pytest.mark.parametrize(("file", "owner", "name"), named_attributes())
def test_every_attribute_in_a_sentence_exists(file: str, owner: str, name: str) -> None:
    assert has((FOR_ALL | {"ReviewClient": ReviewClient})[owner], name)


def test_there_are_some() -> None:
    assert len(named_attributes()) >= 8


@cache
def routes() -> dict[str, set[str]]:
    """By path, the fields that may be sent: of the gate, BentoML's, and of the shown detectors."""
    from plantood.service import PlantGate

    document = complete(PlantGate.openapi_spec.asdict())
    found = {path: fields_of(item, document) for path, item in document["paths"].items()}
    for block in blocks("python"):
        for node in ast.walk(parsed(block)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                ast.unparse(one).startswith("bentoml.api") for one in node.decorator_list
            ):
                names = {one.arg for one in node.args.args[1:]}
                found.setdefault(f"/{node.name}", {"language"}).update(names)
    return BENTOML_S | found


def fields_of(item: dict[str, Any], document: dict[str, Any]) -> set[str]:
    parameters = [one for way in item.values() for one in way.get("parameters", [])]
    content = item.get("post", {}).get("requestBody", {}).get("content", {})
    schema = content.get("multipart/form-data", {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {one["name"] for one in parameters} | set(schema.get("properties", {}))


def curls() -> list[tuple[str, str]]:
    inline = [
        (str(path.relative_to(ROOT)), command)
        for path in FILES
        for command in re.findall(r"`(curl [^`]*\d/[^`]*)`", prose(path))
    ]
    shown = [
        (file, simple.strip())
        for file, line in shown_commands()
        for simple in re.split(r"&&|\|(?!\|)|;", line)
        if simple.strip().startswith("curl ")
    ]
    return [*shown, *inline]


def ensure_answered(command: str) -> None:
    words = shlex.split(command)
    urls = [word for word in words if re.match(r"(https?://)?(localhost|127\.0\.0\.1):", word)]
    assert urls
    for word in urls:
        url = urlsplit(word if "://" in word else f"http://{word}")
        assert url.path in routes()
        forms = [value for flag, value in pairwise(words) if flag == "-F"]
        sent = {form.partition("=")[0] for form in forms} | parse_qs(url.query).keys()
        assert sent <= routes()[url.path]


@pytest.mark.parametrize(("file", "command"), curls())
def test_every_address_that_is_called_answers(file: str, command: str) -> None:
    ensure_answered(command)


@pytest.mark.parametrize(
    "command",
    [
        "curl -F image=@leaf.jpg localhost:3000/judge",
        "curl -F photo=@leaf.jpg localhost:3000/check",
        "curl -F image=@leaf.jpg 'localhost:3000/check?lang=fr'",
        "curl localhost:3000/ready",
    ],
)
def test_an_address_that_does_not_answer_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        ensure_answered(command)


def manifests() -> list[tuple[str, str]]:
    """File and path of whatever `kubectl` is told to read."""
    lines = [(file, line) for file, line in shown_commands() if line.startswith("kubectl ")]
    lines += [
        (str(path.relative_to(ROOT)), command)
        for path in FILES
        for command in re.findall(r"`(kubectl [^`]*)`", prose(path))
    ]
    option = r"(?:-k|-f|--kustomize|--filename|kubectl kustomize)[ =]+([^\s-]\S*)"
    return [(file, path) for file, line in lines for path in re.findall(option, line)]


@pytest.mark.parametrize(("file", "path"), manifests())
def test_every_manifest_that_is_applied_exists(file: str, path: str) -> None:
    assert (ROOT / path).exists()


def test_there_are_some_of_each() -> None:
    assert len(curls()) >= 8
    assert len(manifests()) >= 4
