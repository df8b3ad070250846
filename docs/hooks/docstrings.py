"""Docstrings for the site: what Sphinx or pydantic would say of them, in Markdown.

An extension of griffe, which reads the sources for mkdocstrings.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?([^`]+)`")
MARK = re.compile(r"^::\n|(?<=\w)::$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Describe the fields of pydantic's models, and take the marks of reStructuredText out."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Take a field's description for its docstring; griffe calls this."""
        if attr.docstring or not isinstance(attr.value, griffe.ExprCall):
            return
        if str(attr.value.function) != "Field":
            return
        for argument in attr.value.arguments:
            if isinstance(argument, griffe.ExprKeyword) and argument.name == "description":
                text = ast.literal_eval(str(argument.value))
                attr.docstring = griffe.Docstring(text, parent=attr)
                attr.value = None

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Make Markdown of an object's docstring; griffe calls this, but for the package itself."""
        if obj.docstring:
            obj.docstring.value = MARK.sub("", ROLE.sub(r"`\1`", obj.docstring.value))

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Make Markdown of the package's docstring; griffe calls this."""
        self.on_object(obj=pkg)
