"""The names that a node defines in scripting languages: Python, Ruby, Bash, Lua."""

from __future__ import annotations

from tree_sitter import Node

from codequarry.ingest.naming import Named, Names, child_of, constant_or_variable, named, text_of, titled

# --------------------------------------------------------------------------------------------------------------- python


def python_assignment(node: Node, source: bytes) -> Names:
    """`NAME = …` and `name: type`; targets that are no plain name define nothing."""
    left = node.child_by_field_name("left")
    if left is None or left.type != "identifier":
        return ()
    return named(left, source, constant_or_variable(text_of(left, source)))


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
        return titled(arguments.named_children[0], source, "function")
    return ()


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
