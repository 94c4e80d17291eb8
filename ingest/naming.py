"""The names that a syntax node defines, where that takes more than one field. Each function reads a node and its source.

They return no names for a node that defines nothing. None of them walks down without a bound: nodes nest as deep as a file
wants.
"""

from __future__ import annotations

import re
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

_DEPTH = 24


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


# --------------------------------------------------------------------------------------------------------------- python


def python_assignment(node: Node, source: bytes) -> Names:
    """`NAME = …` and `name: type`; targets that are no plain name define nothing."""
    left = node.child_by_field_name("left")
    if left is None or left.type != "identifier":
        return ()
    return named(left, source, constant_or_variable(text_of(left, source)))


# ------------------------------------------------------------------------------------------------------------------- go

_GO_TYPES = {"struct_type": "struct", "interface_type": "interface"}


def go_type(node: Node, source: bytes) -> Names:
    """A type; the methods of an interface are looked for inside."""
    name, kind = node.child_by_field_name("name"), node.child_by_field_name("type")
    if name is None:
        return ()
    inside = "method" if kind is not None and kind.type == "interface_type" else ""
    return named(name, source, _GO_TYPES.get(kind.type if kind is not None else "", "type"), inside)


def go_method(node: Node, source: bytes) -> Names:
    """A method and the type of its receiver."""
    name, receiver = node.child_by_field_name("name"), node.child_by_field_name("receiver")
    owner = text_of(receiver, source).strip("()").rpartition(" ")[2] if receiver is not None else ""
    return named(name, source, "method", owner=owner.partition("[")[0].lstrip("*")) if name is not None else ()


# ----------------------------------------------------------------------------------------------------------------- rust


def rust_impl(node: Node, source: bytes) -> Names:
    """`impl Trait for Type`: no symbol, the place where methods stand."""
    kind, trait = node.child_by_field_name("type"), node.child_by_field_name("trait")
    if kind is None:
        return ()
    name = text_of(kind, source) if trait is None else f"{text_of(trait, source)} for {text_of(kind, source)}"
    return (Named(" ".join(name.split())[:100], "", node.start_point[0], kind.end_byte, "method"),)


# ------------------------------------------------------------------------------------------------------------ c and c++

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
    for _ in range(_DEPTH):
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
    for _ in range(_DEPTH):
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


# ---------------------------------------------------------------------------------------------- javascript, typescript

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
    return _titled(arguments.named_children[0], source, "function")


def _titled(title: Node, source: bytes, inside: str) -> Names:
    """A test or a group of tests, by its title."""
    text = " ".join(text_of(title, source).strip("\"'`").split())[:100]
    return (Named(text, "", title.start_point[0], title.end_byte, inside),) if text else ()


# ----------------------------------------------------------------------------------------------------------------- java


def declarators(kind: str, field: str = "declarator") -> NameRule:
    """A rule for declarations that hold their names one node below (Java's fields)."""

    def names(node: Node, source: bytes) -> Names:
        found: list[Named] = []
        for declarator in node.children_by_field_name(field):
            name = declarator.child_by_field_name("name")
            if name is not None:
                one = constant_or_variable(text_of(name, source))
                found += named(name, source, "constant" if one == "constant" else kind)
        return found

    return names


# ------------------------------------------------------------------------------------------------------------------- c#


def csharp_fields(node: Node, source: bytes) -> Names:
    """Fields and events; `const` ones are constants."""
    declaration = child_of(node, "variable_declaration")
    if declaration is None:
        return ()
    constant = any(child.type == "modifier" and text_of(child, source) == "const" for child in node.children)
    found: list[Named] = []
    for declarator in declaration.named_children:
        name = declarator.child_by_field_name("name") if declarator.type == "variable_declarator" else None
        if name is not None:
            found += named(name, source, "constant" if constant else "field")
    return found


def csharp_operator(node: Node, source: bytes) -> Names:
    """`operator +`."""
    parameters = node.child_by_field_name("parameters")
    if parameters is None:
        return ()
    text = source[node.start_byte : parameters.start_byte].decode("utf-8", "replace")
    name = " ".join(("operator " + text.rpartition("operator")[2]).split())
    return (Named(name, "function", parameters.start_point[0], parameters.start_byte),)


# ----------------------------------------------------------------------------------------------------------------- ruby

_RUBY_ATTRIBUTES = frozenset(
    {"attr_reader", "attr_writer", "attr_accessor", "define_method", "alias_method", "delegate"}
)
_RUBY_TESTS = frozenset({"describe", "context", "it", "specify", "feature", "scenario", "test", "shared_examples"})


def ruby_constant(node: Node, source: bytes) -> Names:
    """`NAME = …`; `Name = Struct.new(…)` is a class."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or left.type != "constant":
        return ()
    made = right is not None and right.type == "call" and source[right.start_byte : right.end_byte].startswith(
        (b"Struct.new", b"Class.new", b"Module.new", b"Data.define")
    )  # fmt: skip
    return named(left, source, "class", "method") if made else named(left, source, "constant")


def ruby_call(node: Node, source: bytes) -> Names:
    """Attributes that a call defines, and tests by their titles."""
    method, arguments = node.child_by_field_name("method"), node.child_by_field_name("arguments")
    if method is None or arguments is None or method.type != "identifier":
        return ()
    word = text_of(method, source)
    if word in _RUBY_ATTRIBUTES:
        return [
            Named(text_of(child, source).lstrip(":"), "method", child.start_point[0], child.end_byte)
            for child in arguments.named_children
            if child.type == "simple_symbol"
        ][: 1 if word in ("define_method", "alias_method") else None]
    if word in _RUBY_TESTS and node.child_by_field_name("block") is not None and arguments.named_child_count:
        return _titled(arguments.named_children[0], source, "function")
    return ()


# --------------------------------------------------------------------------------------------------------------- kotlin


def kotlin_class(node: Node, source: bytes) -> Names:
    """A class, interface or enum: one node type for all of them."""
    name = node.child_by_field_name("name")
    if name is None:
        return ()
    kind = "class"
    for child in node.children:
        if child.type == "interface":
            kind = "interface"
        elif child.type == "modifiers" and "enum" in text_of(child, source).split():
            kind = "enum"
        elif child == name:
            break
    return named(name, source, kind, "method")


def kotlin_function(node: Node, source: bytes) -> Names:
    """A function; the type that it extends is its owner."""
    name = node.child_by_field_name("name")
    if name is None:
        return ()
    owner = ""
    for child in node.children:
        if child.start_byte >= name.start_byte:
            break
        if child.type in ("user_type", "nullable_type"):
            owner = text_of(child, source)
    return named(name, source, "function", owner=owner)


def kotlin_property(node: Node, source: bytes) -> Names:
    """A property; `const` ones are constants."""
    declared = child_of(node, "variable_declaration", "multi_variable_declaration")
    if declared is None:
        return ()
    modifiers = child_of(node, "modifiers")
    constant = modifiers is not None and "const" in text_of(modifiers, source).split()
    name = child_of(declared, "identifier")
    return named(name, source, "constant" if constant else "variable") if name is not None else ()


# ---------------------------------------------------------------------------------------------------------------- swift


def swift_type(node: Node, source: bytes) -> Names:
    """A class, struct, enum, actor or extension: one node type for all of them."""
    kind, name = node.child_by_field_name("declaration_kind"), node.child_by_field_name("name")
    if name is None:
        return ()
    word = text_of(kind, source) if kind is not None else "class"
    return named(name, source, {"extension": "", "actor": "class"}.get(word, word), "method")


def swift_property(node: Node, source: bytes) -> Names:
    """A property or constant with a plain name."""
    pattern = node.child_by_field_name("name")
    name = pattern.child_by_field_name("bound_identifier") if pattern is not None else None
    return named(name, source, "variable") if name is not None else ()


# ----------------------------------------------------------------------------------------------------------------- bash


def bash_assignment(node: Node, source: bytes) -> Names:
    """`NAME=…`; elements of arrays are no names."""
    name = node.child_by_field_name("name")
    return named(name, source, "variable") if name is not None and name.type == "variable_name" else ()


# ------------------------------------------------------------------------------------------------------------------ lua


def lua_function(node: Node, source: bytes) -> Names:
    """`function a.b:c()`: `c`, a method of `a.b`."""
    name = node.child_by_field_name("name")
    return _lua_named(name, source, "function") if name is not None else ()


def _lua_named(name: Node, source: bytes, kind: str, inside: str = "") -> Names:
    last = name.child_by_field_name("field") or name.child_by_field_name("method")
    if name.type not in ("dot_index_expression", "method_index_expression") or last is None:
        return named(name, source, kind, inside) if name.type == "identifier" else ()
    owner = source[name.start_byte : last.start_byte].decode("utf-8", "replace").rstrip(".: ")
    method = "method" if name.type == "method_index_expression" and kind == "function" else kind
    return named(last, source, method, inside, owner)


def lua_assignment(node: Node, source: bytes) -> Names:
    """`M.name = …`, `local NAME = …`, by the first value; `require` and meta fields define nothing."""
    left, right = child_of(node, "variable_list"), child_of(node, "expression_list")
    name = left.child_by_field_name("name") if left is not None else None
    value = right.named_children[0] if right is not None and right.named_child_count else None
    if name is None or value is None:
        return ()
    if value.type == "function_definition":
        return _lua_named(name, source, "function")
    start = source[value.start_byte : value.start_byte + 8]
    if start.startswith((b"require", b"vim.")) or b"__" in source[name.start_byte : name.end_byte]:
        return ()
    table = value.type == "table_constructor"
    return _lua_named(name, source, constant_or_variable(text_of(name, source)), "function" if table else "")


def lua_field(node: Node, source: bytes) -> Names:
    """A field of a table whose value is a function."""
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None or value is None or value.type != "function_definition" or name.type != "identifier":
        return ()
    return named(name, source, "function")


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
        return _titled(first, source, "function")
    return ()


def _elixir_head(head: Node, source: bytes, kind: str) -> Names:
    for _ in range(_DEPTH):
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


# ------------------------------------------------------------------------------------------------------------------ zig

_ZIG_TYPES = {
    "struct_declaration": "struct", "enum_declaration": "enum", "union_declaration": "union", "opaque_declaration": "struct",
    "error_set_declaration": "enum",
}  # fmt: skip


def zig_variable(node: Node, source: bytes) -> Names:
    """`const Name = struct {…}` is a type; an import defines nothing."""
    name = child_of(node, "identifier")
    value = node.named_children[-1] if node.named_child_count else None
    if name is None or value is None:
        return ()
    if source[value.start_byte : value.start_byte + 7] == b"@import":
        return ()
    if value.type in _ZIG_TYPES:
        return named(name, source, _ZIG_TYPES[value.type], "method")
    constant = any(child.type == "const" for child in node.children[:4])
    return named(name, source, "constant" if constant else "variable")


def zig_function(node: Node, source: bytes) -> Names:
    """A function; one that returns a type is looked into, for the methods of that type."""
    name, result = node.child_by_field_name("name"), node.child_by_field_name("type")
    if name is None:
        return ()
    generic = result is not None and text_of(result, source) == "type"
    return named(name, source, "function", "method" if generic else "")


def zig_test(node: Node, source: bytes) -> Names:
    """`test "title"`: no symbol, a place in the breadcrumb."""
    title = child_of(node, "string", "identifier")
    return _titled(title, source, "") if title is not None else ()


# ------------------------------------------------------------------------------------------------------------------ hcl


def hcl_block(node: Node, source: bytes) -> Names:
    """`resource "type" "name"`: the labels joined, the block's type as owner; a block without labels by its type."""
    words: list[Node] = []
    for child in node.children:
        if child.type == "block_start":
            break
        words.append(child)
    if not words:
        return ()
    kind, labels = text_of(words[0], source), [text_of(word, source).strip('"') for word in words[1:]]
    name = ".".join(labels) or kind
    inside = "key" if kind == "locals" else ""
    return (Named(name, "key", words[0].start_point[0], words[-1].end_byte, inside, kind if labels else ""),)
