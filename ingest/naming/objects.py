"""The names that a node defines in languages of classes that declare their members: Java, C#, Kotlin, Swift."""

from __future__ import annotations

from tree_sitter import Node

from codequarry.ingest.naming import Named, NameRule, Names, child_of, constant_or_variable, named, text_of

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
