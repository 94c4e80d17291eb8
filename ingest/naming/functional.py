"""The names that a node defines in functional languages: Elixir, Haskell."""

from __future__ import annotations

from tree_sitter import Node

from codequarry.ingest.naming import DEPTH, Named, Names, child_of, named, text_of, titled

# --------------------------------------------------------------------------------------------------------------- elixir


_ELIXIR_MODULES = {"defmodule": "module", "defprotocol": "interface", "defimpl": ""}
_ELIXIR_FUNCTIONS = {
    "def": "function", "defp": "function", "defdelegate": "function", "defmacro": "macro", "defmacrop": "macro",
    "defguard": "function", "defguardp": "function", "defn": "function", "defnp": "function",
}  # fmt: skip
_ELIXIR_TYPES = {"type": "type", "typep": "type", "opaque": "type", "callback": "function", "macrocallback": "macro"}


def elixir_call(node: Node, source: bytes) -> Names:
    """Modules, functions and tests: all of them calls."""
    target, arguments = node.child_by_field_name("target"), child_of(node, "arguments")
    if target is None or arguments is None or not arguments.named_child_count or target.type != "identifier":
        return ()
    word, first = text_of(target, source), arguments.named_children[0]
    if word in _ELIXIR_MODULES:
        name = text_of(first, source)
        if word == "defimpl":
            name = " ".join(text_of(arguments, source).replace(", for:", " for").split())[:100]
        return (Named(name, _ELIXIR_MODULES[word], first.start_point[0], first.end_byte, "function"),)
    if word in _ELIXIR_FUNCTIONS:
        return _elixir_head(first, source, _ELIXIR_FUNCTIONS[word])
    if word in ("test", "describe", "property"):
        return titled(first, source, "function")
    return ()


def _elixir_head(head: Node, source: bytes, kind: str) -> Names:
    for _ in range(DEPTH):
        if head.type != "binary_operator":
            break
        left = head.child_by_field_name("left")
        if left is None:
            break
        head = left
    target = head.child_by_field_name("target") if head.type == "call" else head
    return named(target, source, kind) if target is not None and target.type in ("identifier", "operator") else ()


def elixir_attribute(node: Node, source: bytes) -> Names:
    """`@type t :: …`, `@callback f(…) :: …`, `@name value`."""
    operand = node.child_by_field_name("operand")
    target = operand.child_by_field_name("target") if operand is not None and operand.type == "call" else None
    arguments = child_of(operand, "arguments") if operand is not None else None
    if target is None or arguments is None or not arguments.named_child_count:
        return ()
    word = text_of(target, source)
    if word in _ELIXIR_TYPES:
        return _elixir_head(arguments.named_children[0], source, _ELIXIR_TYPES[word])
    if word in (
        "doc",
        "moduledoc",
        "typedoc",
        "spec",
        "impl",
        "behaviour",
        "derive",
        "tag",
        "moduletag",
        "deprecated",
        "since",
    ):
        return ()
    return named(target, source, "constant")


# -------------------------------------------------------------------------------------------------------------- haskell


def haskell_function(node: Node, source: bytes) -> Names:
    """A clause or a signature, by its name or operator."""
    name = node.child_by_field_name("name")
    if name is None:
        infix = child_of(node, "infix")
        name = infix.child_by_field_name("operator") if infix is not None else None
        if name is None:
            return ()
    return [one._replace(name=one.name.strip("()")) for one in named(name, source, "function")]


def haskell_instance(node: Node, source: bytes) -> Names:
    """`instance Class Type`: no symbol, the place where its functions stand."""
    name, patterns = node.child_by_field_name("name"), node.child_by_field_name("patterns")
    if name is None:
        return ()
    end = patterns.end_byte if patterns is not None else name.end_byte
    text = " ".join(source[name.start_byte : end].decode("utf-8", "replace").split())[:100]
    return (Named(text, "", name.start_point[0], end, "function"),)


def haskell_constructor(node: Node, source: bytes) -> Names:
    """A constructor of a data type."""
    below = node.named_children[0] if node.named_child_count else None
    name = below.child_by_field_name("name") or below.child_by_field_name("operator") if below is not None else None
    return named(name, source, "constructor") if name is not None else ()
