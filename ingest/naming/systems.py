"""The names that a node defines in languages of structs and functions: Go, Rust, Zig; and the blocks of HCL."""

from __future__ import annotations

from tree_sitter import Node

from codequarry.ingest.naming import Named, Names, child_of, named, text_of, titled

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
    return titled(title, source, "") if title is not None else ()


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
