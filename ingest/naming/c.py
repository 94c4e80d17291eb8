"""The names that a node defines in C and C++."""

from __future__ import annotations

import re

from tree_sitter import Node

from codequarry.ingest.naming import DEPTH, Named, Names, named, text_of

_C_RECORDS = {
    "struct_specifier": "struct",
    "class_specifier": "class",
    "union_specifier": "union",
    "enum_specifier": "enum",
}
_C_NAMES = frozenset(
    {
        "identifier", "field_identifier", "type_identifier", "qualified_identifier", "destructor_name", "operator_name",
        "operator_cast", "primitive_type", "template_function",
    }
)  # fmt: skip


def _declared(node: Node) -> tuple[Node | None, Node | None]:
    """The name within a declarator, and the function declarator around it; the innermost decides: `int (*f(int))(int)`."""
    function = None
    for _ in range(DEPTH):
        if node.type in _C_NAMES:
            return node, function
        if node.type == "function_declarator":
            function = node
        below = node.child_by_field_name("declarator")
        if below is None:
            below = next((child for child in reversed(node.children) if child.is_named), None)
        if below is None:
            break
        node = below
    return None, None


def _c_named(name: Node, source: bytes, kind: str, inside: str = "") -> Names:
    """A name and what it is qualified with."""
    whole = name
    for _ in range(DEPTH):
        last = name.child_by_field_name("name")
        if last is None or name.type not in ("qualified_identifier", "template_function", "template_type"):
            break
        name = last
    if name.type == "operator_cast":
        text = text_of(name, source).partition("(")[0].strip()
        return (Named(text, kind, name.start_point[0], name.start_byte + len(text.encode()), inside),)
    owner = source[whole.start_byte : name.start_byte].decode("utf-8", "replace").rstrip(": ")
    if name.end_byte != whole.end_byte and whole.type != "qualified_identifier":
        owner = ""
    return named(name, source, kind, inside, " ".join(owner.split()))


def c_function(node: Node, source: bytes) -> Names:
    """A function with a body. `class API Name {…}` with an unknown macro reads as one, and is a class."""
    declarator = node.child_by_field_name("declarator")
    if declarator is None:
        return ()
    name, function = _declared(declarator)
    if name is None:
        return ()
    if function is None:
        kind = node.child_by_field_name("type")
        record = _C_RECORDS.get(kind.type, "") if kind is not None else ""
        return named(name, source, record, "method") if record and name.type == "identifier" else ()
    return _c_named(name, source, "function")


_CPP_TEST = re.compile(r"(?:TYPED_)?TEST(?:_[A-Z]+)*|BENCHMARK(?:_[A-Z]+)*")


def cpp_function(node: Node, source: bytes) -> Names:
    """A function with a body; `TEST_F(Group, Name) {…}` defines `Name`."""
    found = c_function(node, source)
    if found and _CPP_TEST.fullmatch(found[0].name):
        parameters = source[found[0].after : found[0].after + 200].partition(b")")[0].decode("utf-8", "replace")
        words = [" ".join(word.split()) for word in parameters.lstrip("( ").split(",")]
        name, owner = words[-1].strip('"'), words[0] if len(words) > 1 else ""
        return (found[0]._replace(name=name, owner=owner, after=node.end_byte),) if name else found
    return found


def c_declaration(node: Node, source: bytes) -> Names:
    """Prototypes, and variables with their constness. Locals do not come here: bodies of functions are not looked into."""
    found: list[Named] = []
    constant = any(
        child.type == "type_qualifier" and text_of(child, source) in ("const", "constexpr")
        for child in node.children[:4]
    )
    for declarator in node.children_by_field_name("declarator"):
        name, function = _declared(declarator)
        if name is not None:
            kind = "function" if function is not None else "constant" if constant else "variable"
            found += _c_named(name, source, kind)
    return found + list(_c_inline(node, source))


def c_member(node: Node, source: bytes) -> Names:
    """Methods that a class declares; its data members are no symbols."""
    found: list[Named] = []
    for declarator in node.children_by_field_name("declarator"):
        name, function = _declared(declarator)
        if name is not None and function is not None:
            found += _c_named(name, source, "function")
    return found or list(_c_inline(node, source))


def _c_inline(node: Node, source: bytes) -> Names:
    """A type that is defined in the middle of a declaration."""
    kind = node.child_by_field_name("type")
    return c_record(kind, source) if kind is not None and kind.type in _C_RECORDS else ()


def c_record(node: Node, source: bytes) -> Names:
    """A struct, class, union or enum with a body: a mention without one defines nothing."""
    name = node.child_by_field_name("name")
    if name is None or node.child_by_field_name("body") is None:
        return ()
    return _c_named(name, source, _C_RECORDS[node.type], "method")


def c_typedef(node: Node, source: bytes) -> Names:
    """The names of a typedef, and the tag of the record in it."""
    kind = node.child_by_field_name("type")
    record = _C_RECORDS.get(kind.type, "") if kind is not None and kind.child_by_field_name("body") is not None else ""
    found: list[Named] = []
    for declarator in node.children_by_field_name("declarator"):
        name, _ = _declared(declarator)
        if name is not None:
            found += named(name, source, record or "type", "method" if record else "")
    tag = list(c_record(kind, source)) if record and kind is not None else []
    return found + [one for one in tag if one.name not in {other.name for other in found}]


def c_macro(node: Node, source: bytes) -> Names:
    """A macro with a value; header guards have none."""
    name = node.child_by_field_name("name")
    if name is None or node.child_by_field_name("value") is None:
        return ()
    return named(name, source, "macro")
