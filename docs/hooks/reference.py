"""Pages of the reference that are made of the code, whenever the site is built.

A page is a function in :data:`PAGES` that returns Markdown; the Python API is mkdocstrings' work.
In the repository a page of two sentences is in its place, so that links lead somewhere there, too.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
BASE = "PlantoodError"

MADE = "*This page is made of the code when the site is built.*\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, in place of those of the repository; mkdocs calls this."""
    for name, page in PAGES.items():
        if (of_the_repository := files.get_file_from_path(name)) is not None:
            files.remove(of_the_repository)
        files.append(File.generated(config, name, content=page()))
    return files


def commands() -> str:
    """What every command prints as its help."""
    from plantood.cli import main

    parts = ["# Commands", MADE, _help(main, "plantood")]
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        parts += [f"## plantood {name}", _help(command, f"plantood {name}")]
        if isinstance(command, click.Group):
            for part, inner in command.commands.items():
                path = f"plantood {name} {part}"
                parts += [f"### {path}", _help(inner, path)]
    return "\n\n".join(parts) + "\n"


def http() -> str:
    """The endpoints and schemas of the gate's OpenAPI document."""
    document = _openapi()
    parts = [
        "# HTTP",
        MADE,
        f"{document['info']['description']} The same as a document for programs: "
        "[openapi.json](openapi.json), which a running service answers at `GET /docs.json`. "
        "[The service](../service.md) says what stands behind it.",
    ]
    ours = [
        (f"## {method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for heading, operation in sorted(ours, key=lambda one: "Infrastructure" in one[1]["tags"]):
        parts += [heading, *_operation(operation)]
    parts.append("## Schemas")
    schemas = document["components"]["schemas"]
    for name in _reachable(document["paths"], schemas):
        schema = schemas[name]
        if "properties" in schema:
            rows = [
                [f"`{field}`", _type(about), about.get("description", "")]
                for field, about in schema["properties"].items()
            ]
            parts += [f"### {name}", _table(["field", "type", "meaning"], rows)]
        elif "enum" in schema:
            parts += [f"### {name}", "One of " + ", ".join(f"`{v}`" for v in schema["enum"]) + "."]
    return "\n\n".join(parts) + "\n"


def openapi() -> str:
    """The OpenAPI document itself."""
    return json.dumps(_openapi(), indent=2)


def metrics() -> str:
    """The gate's own metrics."""
    from plantood.judging.prometheus import COMPOSED_METRICS, METRICS

    def rows(described: tuple[Any, ...]) -> list[list[str]]:
        return [
            [
                f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
                family.type,
                ", ".join(f"`{label}`" for label in metric._labelnames),
                family.documentation,
            ]
            for metric in described
            for family in metric.describe()
        ]

    header = ["metric", "type", "labels", "meaning"]
    return "\n\n".join(
        [
            "# Metrics",
            MADE,
            "Of every process that judges:",
            _table(header, rows(METRICS)),
            "Of a service with the gate in front:",
            _table(header, rows(COMPOSED_METRICS)),
            "BentoML's own stand beside them. [The service](../service.md#metrics) says where they "
            "are answered, [Kubernetes](../kubernetes.md) which alerts are made of them.\n",
        ]
    )


def errors() -> str:
    """Every error that is raised on purpose, and how a gate may fail."""
    from plantood import __all__ as public
    from plantood.judging.failures import FailureKind, GateUnavailable

    modules: dict[str, list[list[str]]] = {}
    for module, name, base, what in _errors():
        shown = f"`{name}`" + (" (public)" if name in public else "")
        modules.setdefault(module, []).append([shown, f"`{base}`", what])
    header = ["error", "is a", "when"]
    tables = [f"## {module}\n\n{_table(header, rows)}" for module, rows in modules.items()]
    kinds = [[f"`{kind.value}`", GateUnavailable(kind, "").because] for kind in FailureKind]
    return "\n\n".join(
        [
            "# Errors",
            MADE,
            f"All are `{BASE}`: `except plantood.{BASE}` catches what a user, an operator or a "
            "photo can cause, and `str(error)` is one sentence that may be shown. Those that say "
            "*public* are imported from `plantood`. The command line prints the sentence and ends "
            "with status 1 (`plantood check`: 2; after Ctrl-C: 130). "
            "[Troubleshooting](../troubleshooting.md) goes by the sentence.",
            *tables,
            "## How a gate fails",
            "`kind` of `GateUnavailable`, and of the metric `plantood_gate_errors_total`:",
            _table(["kind", "because"], kinds) + "\n",
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/http.md": http,
    "reference/openapi.json": openapi,
    "reference/metrics.md": metrics,
    "reference/errors.md": errors,
}


def _help(command: click.Command, path: str) -> str:
    with command.make_context(path, [], resilient_parsing=True, max_content_width=78) as context:
        text = command.get_help(context)
    return f"```text\n{text.rstrip()}\n```"


def _openapi() -> dict[str, Any]:
    from plantood.http.openapi import complete
    from plantood.service import PlantGate

    document: dict[str, Any] = complete(PlantGate.openapi_spec.asdict())
    return document


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    yield "\n".join(line.strip() for line in operation.get("description", "").splitlines())
    if operation.get("parameters"):
        rows = [
            [f"`{one['name']}`", one["in"], one.get("description", "")]
            for one in operation["parameters"]
        ]
        yield _table(["parameter", "in", "meaning"], rows)
    if "requestBody" in operation:
        rows = []
        for kind, body in operation["requestBody"]["content"].items():
            fields = body["schema"].get("properties")
            if not fields:
                rows.append([f"`{kind}`", "", "the photo's bytes"])
            for name, about in (fields or {}).items():
                rows.append([f"`{kind}`", f"`{name}`", about.get("description", "")])
        yield _table(["body", "field", "meaning"], rows)
    rows = []
    for status, answer in operation["responses"].items():
        schemas = [_type(body["schema"]) for body in answer.get("content", {}).values()]
        rows.append([status, ", ".join(schemas), answer["description"]])
    yield _table(["status", "answer", "when"], rows)


def _reachable(part: Any, schemas: dict[str, Any]) -> list[str]:
    """Names of the schemas that a part of the document leads to, in the order of the document."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(waiting.pop()))) - found
        found |= named
        waiting += [schemas[name] for name in named]
    return [name for name in schemas if name in found]


def _type(schema: dict[str, Any]) -> str:
    """The type of a JSON schema in few words, with links to schemas that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    shown: str = schema.get("type", "any")
    return f"{shown} or null" if schema.get("nullable") else shown


def _errors() -> Iterator[tuple[str, str, str, str]]:
    """Module, name, base and first line of each error's docstring, as the sources define them."""
    classes = [
        (module, node.name, [ast.unparse(base) for base in node.bases], ast.get_docstring(node))
        for module, path in _modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    family = {BASE}
    while True:
        grown = family | {name for _, name, bases, _ in classes if family & set(bases)}
        if grown == family:
            break
        family = grown
    for module, name, bases, text in classes:
        if name in family - {BASE}:
            base = next(base for base in bases if base in family)
            yield module, name, base, (text or "").partition("\n\n")[0].replace("\n", " ")


def _modules() -> Iterator[tuple[str, Path]]:
    for package, folder in (("plantood", "plantood"), ("plantood.training", "training")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
