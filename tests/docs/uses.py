"""What the Python of the documents does with our objects, followed as far as types tell.

A name keeps the type of what it was made by, whether it is bound as ``gate`` or ``self.gate``; what
has no type of ours is not looked at.
"""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from types import GenericAlias
from typing import Any

import bentoml

import plantood
import plantood.compose

FOR_ALL = {
    name: getattr(package, name)
    for package in (plantood, plantood.compose)
    for name in package.__all__
} | {"bentoml": bentoml}
"""Names that a block without imports takes from the one before it."""


def mistakes(tree: ast.Module) -> Iterator[str]:
    """Attributes that our objects have not, and arguments that our functions do not take."""
    reader = _Reader(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = reader.type_of(node.value) or reader.value(node.value)
            if _is_ours(owner) and not has(owner, node.attr):
                yield f"{owner.__name__} has no {node.attr}"
        elif isinstance(node, ast.Call) and (called := reader.function(node.func)):
            try:
                keywords = {one.arg: one.value for one in node.keywords if one.arg}
                inspect.signature(called).bind(*node.args, **keywords)
            except TypeError as error:
                yield f"{ast.unparse(node)}: {error}"


def has(owner: type, name: str) -> bool:
    """Whether objects of a class have an attribute, also if only ``__init__`` makes it."""
    fields: dict[str, Any] = getattr(owner, "model_fields", {})
    made = (inspect.getsource(one) for one in owner.__mro__ if _is_ours(one))
    return (
        hasattr(owner, name)
        or name in fields
        or any(re.search(rf"\bself\.{name}\b", text) for text in made)
    )


def _is_ours(owner: Any) -> typing.TypeGuard[type]:
    return isinstance(owner, type) and owner.__module__.startswith("plantood")


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self.values = dict(FOR_ALL)
        self.types: dict[str, Any] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                with suppress(ImportError):
                    module = import_module(node.module)
                    self.values |= {one.name: getattr(module, one.name) for one in node.names}
        for node in ast.walk(tree):  # in the order of the lines, as far as it matters here
            if isinstance(node, ast.Assign):
                self._bind(node.targets[0], self.type_of(node.value))
            elif isinstance(node, ast.withitem) and node.optional_vars:
                self._bind(node.optional_vars, self.type_of(node.context_expr))
            elif isinstance(node, ast.For):
                self._bind(node.target, _element(self.type_of(node.iter)))

    def _bind(self, target: ast.expr, kind: Any) -> None:
        if kind is not None and isinstance(target, ast.Name | ast.Attribute):
            self.types[_last(target)] = kind

    def type_of(self, node: ast.expr) -> Any:
        """The class of what an expression gives, or a list of such; None if it is not known."""
        if isinstance(node, ast.Await):
            return self.type_of(node.value)
        if isinstance(node, ast.Subscript):
            return _element(self.type_of(node.value))
        if isinstance(node, ast.Name):
            return self.types.get(node.id)
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self.types.get(node.attr)
            return _hint(self.type_of(node.value), node.attr)
        if not isinstance(node, ast.Call):
            return None
        if ast.unparse(node.func) == "bentoml.depends" and node.args:
            return getattr(self.value(node.args[0]), "inner", None)
        if ast.unparse(node.func).endswith("HTTPClient"):  # of the documents' own service
            return plantood.compose.PlantGate.inner
        made = self.value(node.func)
        return made if isinstance(made, type) else _hint(self.function(node.func), "return")

    def function(self, node: ast.expr) -> Any:
        """What of ours is called, bound as it is there; None if it is not known."""
        called = self.value(node)
        if called is None and isinstance(node, ast.Attribute):
            method = getattr(self.type_of(node.value), node.attr, None)
            method = getattr(method, "func", method)  # BentoML's around a service's method
            called = method.__get__(object()) if inspect.isfunction(method) else None
        return called if getattr(called, "__module__", "").startswith("plantood") else None

    def value(self, node: ast.expr) -> Any:
        """The class or function that a name stands for; None if it is not known."""
        if isinstance(node, ast.Name) and node.id not in self.types:
            return self.values.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return getattr(self.value(node.value), node.attr, None)
        return None


def _last(target: ast.Name | ast.Attribute) -> str:
    return target.id if isinstance(target, ast.Name) else target.attr


def _hint(owner: Any, name: str) -> Any:
    """The type of an attribute or of what is returned; without what else it may be."""
    if owner is None or isinstance(owner, GenericAlias):
        return None
    with suppress(NameError, TypeError):
        hint = typing.get_type_hints(owner).get(name)
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        optional = hint is not None and type(None) in typing.get_args(hint)
        return kinds[0] if optional and len(kinds) == 1 else hint
    return None


def _element(kind: Any) -> Any:
    return (typing.get_args(kind) or (None,))[0]
