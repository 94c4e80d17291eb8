"""The names that a node defines in JavaScript and TypeScript."""

from __future__ import annotations

from tree_sitter import Node

from codequarry.ingest.naming import Named, Names, constant_or_variable, named, text_of, titled

_JS_FUNCTIONS = frozenset({"arrow_function", "function_expression", "function", "generator_function"})
_JS_TESTS = frozenset({"describe", "it", "test", "suite", "context", "specify"})


def _js_value(value: Node | None, name: str) -> tuple[str, str]:
    """The kind of a name, by the value it is given, and what functions inside are."""
    if value is None:
        return constant_or_variable(name), ""
    if value.type in _JS_FUNCTIONS:
        return "function", ""
    if value.type in ("class", "class_expression"):
        return "class", "method"
    return constant_or_variable(name), "method" if value.type == "object" else ""


def js_variable(node: Node, source: bytes) -> Names:
    """`const name = …`, by the value it gets; destructuring and `require` define nothing that others look for."""
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None or name.type != "identifier":
        return ()
    if value is not None and value.type == "call_expression":
        called = value.child_by_field_name("function")
        if called is not None and text_of(called, source) == "require":
            return ()
    kind, inside = _js_value(value, text_of(name, source))
    return named(name, source, kind, inside)


def js_assignment(node: Node, source: bytes) -> Names:
    """`exports.name = function …`, `Class.prototype.method = …`."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or left.type != "member_expression" or right is None:
        return ()
    place, name = left.child_by_field_name("object"), left.child_by_field_name("property")
    if place is None or name is None:
        return ()
    owner = text_of(place, source)
    if owner == "module" and right.type == "object":
        return (Named("module.exports", "", node.start_point[0], left.end_byte, "method"),)
    kind, inside = _js_value(right, text_of(name, source))
    if not inside and kind != "function":
        return ()
    owner = owner.removesuffix(".prototype")
    if owner in ("module", "exports", "module.exports", "this", "self", "window"):
        owner = ""
    return named(name, source, "method" if owner and kind == "function" else kind, inside, owner)


def js_member(node: Node, source: bytes) -> Names:
    """A field of a class: a method when its value is a function."""
    name = node.child_by_field_name("property") or node.child_by_field_name("name")
    value = node.child_by_field_name("value")
    if name is None:
        return ()
    return named(name, source, "method" if value is not None and value.type in _JS_FUNCTIONS else "field")


def js_pair(node: Node, source: bytes) -> Names:
    """A property of an object whose value is a function."""
    name, value = node.child_by_field_name("key"), node.child_by_field_name("value")
    if name is None or value is None or value.type not in _JS_FUNCTIONS or name.type == "computed_property_name":
        return ()
    return named(name.named_children[0] if name.type == "string" and name.named_child_count else name, source, "method")


def js_call(node: Node, source: bytes) -> Names:
    """`describe("…", () => {…})`: no symbol, a place in the breadcrumb."""
    called, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if called is None or arguments is None:
        return ()
    word = text_of(called, source) if called.end_byte - called.start_byte < 40 else ""
    first, _, last = word.partition(".")
    if not (first in _JS_TESTS or (first == "t" and last in _JS_TESTS)) or arguments.named_child_count < 2:
        return ()
    return titled(arguments.named_children[0], source, "function")
