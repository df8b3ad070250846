"""The references of an OpenAPI document."""

from __future__ import annotations

from typing import Any


def references(node: Any) -> set[str]:
    """Every `$ref` of a document, or of a part of it."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    own = node.get("$ref")
    found = references(list(node.values()))
    return found | {own} if isinstance(own, str) else found


def defined(document: dict[str, Any]) -> set[str]:
    """What the references of a document may point to."""
    return {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
