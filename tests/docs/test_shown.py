"""What the documents show exists: commands, options, targets, Python names, sentences."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest

from plantood.cli import main
from tests.docs.documents import FILES, ROOT, Block, blocks, prose

EXAMPLE = ROOT / "examples" / "maize_disease"
ELSEWHERE = {
    "bentoml",
    "docker",
    "kubectl",
    "curl",
    "pip",
    "bash",
    "git",
    "apt-get",
    "crane",
    "kind",
}
"""Programs of others."""
OF_THE_READER = {"my_detector", "detector"}
"""Modules that stand for the reader's own; they are shown, or lie in examples/compose."""


def shown_commands() -> list[tuple[str, str]]:
    """File and line of what is typed at a prompt: joined where it goes on, without comments.

    Lines without a prompt are what the command prints, unless no line of the block has one.
    """
    found = []
    for block in blocks("console"):
        lines = block.text.replace("\\\n", " ").splitlines()
        typed = [line[2:] for line in lines if line.startswith("$ ")] or lines
        found += [(block.file, re.split(r"\s{2,}#", line)[0].strip()) for line in typed]
    return [(file, line) for file, line in found if line]


def inline_commands() -> list[tuple[str, str]]:
    """Commands of ours within a sentence, such as `make docs`; the changes name former ones."""
    found = [
        (str(path.relative_to(ROOT)), " ".join(line.split()))
        for path in FILES
        if path.name != "CHANGELOG.md"
        for line in re.findall(r"`((?:plantood|make|python -m) [^`…]*)`", prose(path))
    ]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("file", "line"), [*shown_commands(), *inline_commands()])
def test_every_command_exists(file: str, line: str) -> None:
    for simple in re.split(r"&&|\|(?!\|)|;", line.strip("()")):
        words = shlex.split(simple.strip(" ()"))
        while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):
            words.pop(0)
        if words:
            ensure_exists(words, EXAMPLE if file.startswith("examples/") else ROOT)


def ensure_exists(words: list[str], project: Path) -> None:
    program, *rest = words
    if program == "plantood":
        ensure_options_exist(rest)
    elif program == "make":
        makefile = (project / "Makefile").read_text()
        for target in (word for word in rest if "=" not in word and not word.startswith("-")):
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    elif program.startswith("python") or program.endswith("/python"):
        ensure_module_exists(rest, project)
    else:
        assert program in {*ELSEWHERE, "cd", "cp", ".", "mkdir", "eval", "sha256sum", "ssh"}, (
            program
        )


def ensure_options_exist(words: list[str]) -> None:
    command: click.Command = main
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        if words[0].isupper():  # a placeholder
            return
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    known = {"--help", "-h"} | {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert not asked - known


def ensure_module_exists(words: list[str], project: Path) -> None:
    if words[:1] != ["-m"]:
        assert not words or words[0].endswith(".py"), words
        return
    if words[1] in ("venv", "pytest"):
        return
    path = project / Path(*words[1].split("."))
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), words[1]
    options = {word for word in words[2:] if word.startswith("--")} - {"--help"}
    source = path.with_suffix(".py").read_text() if path.with_suffix(".py").is_file() else ""
    shared = "".join(one.read_text() for one in path.parent.glob("*.py"))
    assert not {option for option in options if option not in source + shared}


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_every_python_block_imports_what_there_is(block: Block) -> None:
    for node in ast.walk(parsed(block)):
        if isinstance(node, ast.Import):
            for name in node.names:
                import_module(name.name)
        elif isinstance(node, ast.ImportFrom) and node.module not in OF_THE_READER:
            assert node.module is not None
            module = import_module(node.module)
            assert not [name.name for name in node.names if not hasattr(module, name.name)]


def parsed(block: Block) -> ast.Module:
    """A block's tree; it may be a part of a class, or have awaits at its top."""
    source = "\n".join(
        line.replace("...", "pass") if line.strip() == "..." else line
        for line in block.text.splitlines()
    )
    try:
        return ast.parse(source)
    except SyntaxError:
        body = re.sub(r"\A(?= )", "if True:\n", source)
        lines = body.rstrip()
        return ast.parse(f"{lines}\n        pass" if lines.endswith(":") else lines)


def quoted_sentences() -> list[str]:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#### (?:`([^`]+)`|`` (.+) ``)$", text, re.MULTILINE)
    return [plain or with_marks for plain, with_marks in headings]


@pytest.mark.parametrize("sentence", quoted_sentences())
def test_every_quoted_sentence_is_one_of_the_code(sentence: str) -> None:
    if sentence == "Cannot connect to the Docker daemon":  # docker's
        return
    pattern = re.compile(".*".join(map(re.escape, sentence.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in sentences())


def test_there_are_many_of_them() -> None:
    assert len(quoted_sentences()) >= 25


@cache
def sentences() -> list[str]:
    """All texts in the sources; what is put into them is `…`."""
    found = [(ROOT / "Makefile").read_text()]
    for folder in ("plantood", "training"):
        for path in (ROOT / folder).rglob("*.py"):
            found += texts(ast.parse(path.read_text(encoding="utf-8")))
    return found


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "…" for part in node.values
            )
