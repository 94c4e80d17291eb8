"""The names that a syntax node defines, where that takes more than one field. Each function reads a node and its source.

They return no names for a node that defines nothing. None of them walks down without a bound: nodes nest as deep as a file
wants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tree_sitter import Node


class Named(NamedTuple):
    """A name. `inside`: what functions within are called ("method", "function"), "" when nothing is looked for there."""

    name: str
    kind: str
    row: int
    after: int  # byte at which the signature begins
    inside: str = ""
    owner: str = ""


Names = Sequence[Named]
NameRule = Callable[[Node, bytes], Names]

DEPTH = 24
"""How far down a function walks at most."""


def text_of(node: Node, source: bytes) -> str:
    """The text of a node."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def named(node: Node, source: bytes, kind: str, inside: str = "", owner: str = "") -> Names:
    """One name: the text of the node, if it is one word or nearly so."""
    name = text_of(node, source).strip("$'\"`")
    if not name or len(name) > 120 or "\n" in name:
        return ()
    return (Named(name, kind, node.start_point[0], node.end_byte, inside, owner),)


def by_field(kind: str, inside: str = "", field: str = "name") -> NameRule:
    """A rule for nodes that hold their name in a field."""

    def names(node: Node, source: bytes) -> Names:
        found = node.child_by_field_name(field)
        return named(found, source, kind, inside) if found is not None else ()

    return names


def by_child(kind: str, child: str, inside: str = "") -> NameRule:
    """A rule for nodes whose name is their first child of one type."""

    def names(node: Node, source: bytes) -> Names:
        found = child_of(node, child)
        return named(found, source, kind, inside) if found is not None else ()

    return names


def all_of(kind: str, field: str = "name") -> NameRule:
    """A rule for nodes that define several names at once."""

    def names(node: Node, source: bytes) -> Names:
        return [
            one
            for child in node.children_by_field_name(field)
            if child.is_named
            for one in named(child, source, kind)
            if one.name != "_"
        ]

    return names


def fixed(name: str, kind: str, inside: str = "") -> NameRule:
    """A rule for nodes that have no name of their own (constructors, initialisers)."""

    def names(node: Node, _: bytes) -> Names:
        return (Named(name, kind, node.start_point[0], node.start_byte + len(name), inside),)

    return names


def child_of(node: Node, *types: str) -> Node | None:
    """The first child of one of these types."""
    return next((child for child in node.children if child.type in types), None)


def constant_or_variable(name: str) -> str:
    """The kind of a name that is set once at the top, by how it is written."""
    return "constant" if name.isupper() and len(name) > 1 else "variable"


def titled(title: Node, source: bytes, inside: str) -> Names:
    """A test or a group of tests, by its title."""
    text = " ".join(text_of(title, source).strip("\"'`").split())[:100]
    return (Named(text, "", title.start_point[0], title.end_byte, inside),) if text else ()
