"""The grammars: one row each, which of its node types matter, and what is read from them. Loaded when first needed.

A new language is a row here and one in `ingest.languages`. Rules are written for the types of nodes:

- LOOK: a list of things of equal rank (a body, a namespace); what stands in it is looked at, and it may be cut between them.
- WRAP: something around one thing (`export …`, a decorator with its function); looked into, not cut.
- LEAD: what stands before a thing and belongs to it (comments, attributes).
- DATA: a table of values, maybe thousands of them; never looked into, cut by lines.
- GUESS: code that the grammar does not look into (a macro's arguments); keywords tell what it defines.
- NAMES(rule): it defines names. Where the rule says so, names are also looked for inside.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import NamedTuple

from tree_sitter import Language as TreeSitterLanguage

from codequarry.ingest.naming import NameRule, all_of, by_child, by_field, fixed
from codequarry.ingest.naming.c import c_declaration, c_function, c_macro, c_member, c_record, c_typedef, cpp_function
from codequarry.ingest.naming.functional import (
    elixir_attribute,
    elixir_call,
    haskell_constructor,
    haskell_function,
    haskell_instance,
)
from codequarry.ingest.naming.javascript import js_assignment, js_call, js_member, js_pair, js_variable
from codequarry.ingest.naming.objects import (
    csharp_fields,
    csharp_operator,
    declarators,
    kotlin_class,
    kotlin_function,
    kotlin_property,
    swift_property,
    swift_type,
)
from codequarry.ingest.naming.scripts import (
    bash_assignment,
    lua_assignment,
    lua_field,
    lua_function,
    python_assignment,
    ruby_call,
    ruby_constant,
)
from codequarry.ingest.naming.systems import (
    go_method,
    go_type,
    hcl_block,
    rust_impl,
    zig_function,
    zig_test,
    zig_variable,
)


class Rule(NamedTuple):
    """What to do with a node of a type. `names` before the rest; a node without names is treated as the rest says."""

    names: NameRule | None = None
    look: bool = False
    wrap: bool = False
    lead: bool = False
    data: bool = False
    guess: bool = False


LOOK = Rule(look=True)
WRAP = Rule(wrap=True)
LEAD = Rule(lead=True)
DATA = Rule(data=True)
GUESS = Rule(guess=True)
PLAIN = Rule()
NAMES = Rule

_COMMENT = {"comment": LEAD}
_COMMENTS = {"line_comment": LEAD, "block_comment": LEAD}


def _bodies(*types: str) -> dict[str, Rule]:
    return dict.fromkeys(types, LOOK)


def _tables(*types: str) -> dict[str, Rule]:
    return dict.fromkeys(types, DATA)


def _wraps(*types: str) -> dict[str, Rule]:
    return dict.fromkeys(types, WRAP)


_PYTHON = {
    **_COMMENT,
    **_tables("list", "dictionary", "set", "tuple"),
    **_bodies(
        "block", "if_statement", "elif_clause", "else_clause", "try_statement", "except_clause", "finally_clause"
    ),
    **_bodies("with_statement"),
    **_wraps("decorated_definition", "expression_statement"),
    "decorator": LEAD,
    "function_definition": NAMES(by_field("function")),
    "class_definition": NAMES(by_field("class", "method")),
    "assignment": NAMES(python_assignment),
    "type_alias_statement": NAMES(by_child("type", "type")),
}

_GO = {
    **_COMMENT,
    **_tables("literal_value"),
    **_bodies("type_declaration", "const_declaration", "var_declaration", "var_spec_list", "interface_type"),
    "function_declaration": NAMES(by_field("function")),
    "method_declaration": NAMES(go_method),
    "type_spec": NAMES(go_type),
    "type_alias": NAMES(by_field("type")),
    "method_elem": NAMES(by_field("method")),
    "const_spec": NAMES(all_of("constant")),
    "var_spec": NAMES(all_of("variable")),
}

_RUST = {
    **_COMMENTS,
    **_tables("array_expression", "token_tree"),
    **_wraps("expression_statement"),
    **_bodies("declaration_list", "enum_variant_list", "foreign_mod_item"),
    "attribute_item": LEAD,
    "macro_invocation": GUESS,
    "function_item": NAMES(by_field("function")),
    "function_signature_item": NAMES(by_field("function")),
    "struct_item": NAMES(by_field("struct")),
    "union_item": NAMES(by_field("union")),
    "enum_item": NAMES(by_field("enum", "method")),
    "enum_variant": NAMES(by_field("constant")),
    "trait_item": NAMES(by_field("trait", "method")),
    "impl_item": NAMES(rust_impl),
    "mod_item": NAMES(by_field("module", "function")),
    "const_item": NAMES(by_field("constant")),
    "static_item": NAMES(by_field("variable")),
    "type_item": NAMES(by_field("type")),
    "associated_type": NAMES(by_field("type")),
    "macro_definition": NAMES(by_field("macro")),
}

_C = {
    **_COMMENT,
    **_tables("initializer_list"),
    **_bodies(
        "preproc_ifdef", "preproc_if", "preproc_else", "preproc_elif", "preproc_elifdef", "linkage_specification"
    ),
    **_bodies("declaration_list", "field_declaration_list", "enumerator_list", "compound_statement"),
    **_wraps("labeled_statement"),
    "preproc_def": NAMES(c_macro),
    "preproc_function_def": NAMES(c_macro),
    "function_definition": NAMES(c_function, wrap=True),
    "declaration": NAMES(c_declaration),
    "type_definition": NAMES(c_typedef),
    "struct_specifier": NAMES(c_record),
    "union_specifier": NAMES(c_record),
    "enum_specifier": NAMES(c_record),
    "enumerator": NAMES(by_field("constant")),
}

_CPP = {
    **_C,
    **_wraps("template_declaration", "friend_declaration"),
    "function_definition": NAMES(cpp_function, wrap=True),
    "access_specifier": LEAD,
    "attribute_declaration": LEAD,
    "namespace_definition": NAMES(by_field("module", "function"), look=True),
    "class_specifier": NAMES(c_record),
    "field_declaration": NAMES(c_member),
    "alias_declaration": NAMES(by_field("type")),
    "concept_definition": NAMES(by_field("type")),
}

_CSHARP = {
    **_COMMENT,
    **_tables("initializer_expression"),
    **_bodies("declaration_list", "enum_member_declaration_list", "preproc_if", "preproc_else", "preproc_elif"),
    **_wraps("global_statement"),
    "namespace_declaration": NAMES(by_field("module", "function")),
    "file_scoped_namespace_declaration": NAMES(by_field("module", "function")),
    "class_declaration": NAMES(by_field("class", "method")),
    "record_declaration": NAMES(by_field("class", "method")),
    "struct_declaration": NAMES(by_field("struct", "method")),
    "interface_declaration": NAMES(by_field("interface", "method")),
    "enum_declaration": NAMES(by_field("enum", "method")),
    "enum_member_declaration": NAMES(by_field("constant")),
    "delegate_declaration": NAMES(by_field("type")),
    "method_declaration": NAMES(by_field("function")),
    "local_function_statement": NAMES(by_field("function")),
    "constructor_declaration": NAMES(by_field("function")),
    "destructor_declaration": NAMES(by_field("function")),
    "operator_declaration": NAMES(csharp_operator),
    "conversion_operator_declaration": NAMES(csharp_operator),
    "property_declaration": NAMES(by_field("field")),
    "event_declaration": NAMES(by_field("field")),
    "field_declaration": NAMES(csharp_fields),
    "event_field_declaration": NAMES(csharp_fields),
}

_JAVA = {
    **_COMMENTS,
    **_tables("array_initializer"),
    **_bodies("class_body", "interface_body", "enum_body", "enum_body_declarations", "annotation_type_body"),
    "class_declaration": NAMES(by_field("class", "method")),
    "record_declaration": NAMES(by_field("class", "method")),
    "interface_declaration": NAMES(by_field("interface", "method")),
    "annotation_type_declaration": NAMES(by_field("interface", "method")),
    "annotation_type_element_declaration": NAMES(by_field("function")),
    "enum_declaration": NAMES(by_field("enum", "method")),
    "enum_constant": NAMES(by_field("constant", "method")),
    "method_declaration": NAMES(by_field("function")),
    "constructor_declaration": NAMES(by_field("function")),
    "compact_constructor_declaration": NAMES(by_field("function")),
    "field_declaration": NAMES(declarators("field")),
    "constant_declaration": NAMES(declarators("constant")),
}

_JAVASCRIPT = {
    **_COMMENT,
    **_tables("array"),
    **_bodies("class_body", "statement_block", "object"),
    **_wraps("export_statement", "expression_statement", "lexical_declaration", "variable_declaration"),
    **_wraps("arguments", "arrow_function", "function_expression"),
    "decorator": LEAD,
    "function_declaration": NAMES(by_field("function")),
    "generator_function_declaration": NAMES(by_field("function")),
    "class_declaration": NAMES(by_field("class", "method")),
    "class": NAMES(by_field("class", "method"), wrap=True),
    "method_definition": NAMES(by_field("function")),
    "field_definition": NAMES(js_member),
    "variable_declarator": NAMES(js_variable),
    "assignment_expression": NAMES(js_assignment),
    "pair": NAMES(js_pair),
    "call_expression": NAMES(js_call),
}

_TYPESCRIPT = {
    **{kind: rule for kind, rule in _JAVASCRIPT.items() if kind != "field_definition"},
    **_bodies("interface_body", "enum_body"),
    **_wraps("ambient_declaration"),
    "abstract_class_declaration": NAMES(by_field("class", "method")),
    "interface_declaration": NAMES(by_field("interface", "method")),
    "type_alias_declaration": NAMES(by_field("type")),
    "enum_declaration": NAMES(by_field("enum")),
    "internal_module": NAMES(by_field("module", "function")),
    "module": NAMES(by_field("module", "function")),
    "function_signature": NAMES(by_field("function")),
    "method_signature": NAMES(by_field("function")),
    "abstract_method_signature": NAMES(by_field("function")),
    "property_signature": NAMES(by_field("field")),
    "public_field_definition": NAMES(js_member),
}

_RUBY = {
    **_COMMENT,
    **_tables("array", "hash"),
    **_bodies("body_statement", "begin", "then", "if", "unless", "else", "block_body"),
    **_wraps("singleton_class", "do_block", "argument_list", "block"),
    "class": NAMES(by_field("class", "method")),
    "module": NAMES(by_field("module", "method")),
    "method": NAMES(by_field("function")),
    "singleton_method": NAMES(by_field("function")),
    "assignment": NAMES(ruby_constant),
    "call": NAMES(ruby_call, wrap=True),
}

_PHP = {
    **_COMMENT,
    **_tables("array_creation_expression"),
    **_bodies("declaration_list", "compound_statement", "enum_declaration_list", "if_statement"),
    **_wraps("expression_statement"),
    "namespace_definition": NAMES(by_field("module", "function")),
    "class_declaration": NAMES(by_field("class", "method")),
    "interface_declaration": NAMES(by_field("interface", "method")),
    "trait_declaration": NAMES(by_field("trait", "method")),
    "enum_declaration": NAMES(by_field("enum", "method")),
    "enum_case": NAMES(by_field("constant")),
    "method_declaration": NAMES(by_field("function")),
    "function_definition": NAMES(by_field("function")),
    "const_declaration": LOOK,
    "const_element": NAMES(by_child("constant", "name")),
    "property_declaration": LOOK,
    "property_element": NAMES(by_field("field")),
}

_KOTLIN = {
    **_COMMENTS,
    **_tables("collection_literal"),
    **_bodies("class_body", "enum_class_body"),
    "class_declaration": NAMES(kotlin_class),
    "object_declaration": NAMES(by_field("object", "method")),
    "companion_object": NAMES(fixed("companion", "", "method")),
    "function_declaration": NAMES(kotlin_function),
    "secondary_constructor": NAMES(fixed("constructor", "function")),
    "property_declaration": NAMES(kotlin_property),
    "type_alias": NAMES(by_field("type", field="type")),
    "enum_entry": NAMES(by_child("constant", "identifier", "method")),
}

_SCALA = {
    **_COMMENT,
    "block_comment": LEAD,
    **_bodies("template_body", "enum_body", "with_template_body", "package_clause"),
    **_wraps("enum_case_definitions", "extension_definition"),
    "annotation": LEAD,
    "class_definition": NAMES(by_field("class", "method")),
    "trait_definition": NAMES(by_field("trait", "method")),
    "object_definition": NAMES(by_field("object", "method")),
    "package_object": NAMES(by_field("object", "method")),
    "enum_definition": NAMES(by_field("enum", "method")),
    "simple_enum_case": NAMES(by_field("constant")),
    "full_enum_case": NAMES(by_field("constant")),
    "given_definition": NAMES(by_field("object", "method")),
    "function_definition": NAMES(by_field("function")),
    "function_declaration": NAMES(by_field("function")),
    "type_definition": NAMES(by_field("type")),
    "val_definition": NAMES(by_field("variable", field="pattern")),
    "var_definition": NAMES(by_field("variable", field="pattern")),
    "val_declaration": NAMES(by_field("variable")),
    "var_declaration": NAMES(by_field("variable")),
}

_SWIFT = {
    **_COMMENT,
    "multiline_comment": LEAD,
    **_tables("array_literal", "dictionary_literal"),
    **_bodies("class_body", "enum_class_body", "protocol_body"),
    "class_declaration": NAMES(swift_type),
    "protocol_declaration": NAMES(by_field("interface", "method")),
    "function_declaration": NAMES(by_field("function")),
    "protocol_function_declaration": NAMES(by_field("function")),
    "init_declaration": NAMES(fixed("init", "function")),
    "deinit_declaration": NAMES(fixed("deinit", "function")),
    "subscript_declaration": NAMES(fixed("subscript", "function")),
    "property_declaration": NAMES(swift_property),
    "protocol_property_declaration": NAMES(swift_property),
    "typealias_declaration": NAMES(by_field("type")),
    "associatedtype_declaration": NAMES(by_field("type")),
    "macro_declaration": NAMES(by_child("macro", "simple_identifier")),
    "enum_entry": NAMES(all_of("constant")),
}

_BASH = {
    **_COMMENT,
    **_bodies("if_statement", "else_clause", "elif_clause"),
    **_wraps("declaration_command"),
    "function_definition": NAMES(by_field("function")),
    "variable_assignment": NAMES(bash_assignment),
}

_LUA = {
    **_COMMENT,
    **_bodies("table_constructor"),
    **_wraps("variable_declaration", "expression_list", "return_statement"),
    "function_declaration": NAMES(lua_function),
    "assignment_statement": NAMES(lua_assignment),
    "field": NAMES(lua_field),
}

_ELIXIR = {
    **_COMMENT,
    **_tables("list", "map"),
    **_bodies("do_block"),
    "unary_operator": Rule(elixir_attribute, lead=True),
    "call": NAMES(elixir_call),
}

_HASKELL = {
    **_COMMENT,
    **_tables("list"),
    **_bodies("declarations", "imports", "class_declarations", "instance_declarations"),
    **_wraps("data_constructors"),
    "haddock": LEAD,
    "pragma": LEAD,
    "data_type": NAMES(by_field("type", "function")),
    "newtype": NAMES(by_field("type")),
    "type_synomym": NAMES(by_field("type")),
    "type_family": NAMES(by_field("type")),
    "data_constructor": NAMES(haskell_constructor),
    "class": NAMES(by_field("class", "function")),
    "instance": NAMES(haskell_instance),
    "signature": NAMES(haskell_function),
    "function": NAMES(haskell_function),
    "bind": NAMES(haskell_function),
}

_ZIG = {
    **_COMMENT,
    **_tables("initializer_list"),
    **_bodies("block", "struct_declaration", "enum_declaration", "union_declaration", "opaque_declaration"),
    **_wraps("expression_statement", "return_expression"),
    "variable_declaration": NAMES(zig_variable),
    "function_declaration": NAMES(zig_function),
    "test_declaration": NAMES(zig_test),
}

_HCL = {
    **_COMMENT,
    **_bodies("body"),
    "block": NAMES(hcl_block),
    "attribute": NAMES(by_child("key", "identifier")),
}


class Row(NamedTuple):
    """Where a grammar comes from, and its rules."""

    module: str
    function: str
    rules: Mapping[str, Rule]


ROWS: dict[str, Row] = {
    "bash": Row("tree_sitter_bash", "language", _BASH),
    "c": Row("tree_sitter_c", "language", _C),
    "cpp": Row("tree_sitter_cpp", "language", _CPP),
    "csharp": Row("tree_sitter_c_sharp", "language", _CSHARP),
    "elixir": Row("tree_sitter_elixir", "language", _ELIXIR),
    "go": Row("tree_sitter_go", "language", _GO),
    "haskell": Row("tree_sitter_haskell", "language", _HASKELL),
    "hcl": Row("tree_sitter_hcl", "language", _HCL),
    "java": Row("tree_sitter_java", "language", _JAVA),
    "javascript": Row("tree_sitter_javascript", "language", _JAVASCRIPT),
    "kotlin": Row("tree_sitter_kotlin", "language", _KOTLIN),
    "lua": Row("tree_sitter_lua", "language", _LUA),
    "php": Row("tree_sitter_php", "language_php", _PHP),
    "python": Row("tree_sitter_python", "language", _PYTHON),
    "ruby": Row("tree_sitter_ruby", "language", _RUBY),
    "rust": Row("tree_sitter_rust", "language", _RUST),
    "scala": Row("tree_sitter_scala", "language", _SCALA),
    "swift": Row("tree_sitter_swift", "language", _SWIFT),
    "tsx": Row("tree_sitter_typescript", "language_tsx", _TYPESCRIPT),
    "typescript": Row("tree_sitter_typescript", "language_typescript", _TYPESCRIPT),
    "zig": Row("tree_sitter_zig", "language", _ZIG),
}
"""Every grammar by its name."""


class Grammar(NamedTuple):
    """A loaded grammar: for each number that it gives to a type of nodes the rule, None for punctuation."""

    language: TreeSitterLanguage
    rules: Mapping[int, Rule | None]


ERROR = 0xFFFF
"""The number of the nodes that a parser makes of what it cannot parse, in every grammar."""


@functools.cache
def load(name: str) -> Grammar:
    """The grammar of that name, once a process.

    Raises:
        ImportError: its wheel is not installed.
    """
    row = ROWS[name]
    language = TreeSitterLanguage(getattr(importlib.import_module(row.module), row.function)())
    numbers = range(language.node_kind_count)
    rules: dict[int, Rule | None] = {
        number: row.rules.get(language.node_kind_for_id(number) or "", PLAIN)
        if language.node_kind_is_named(number)
        else None
        for number in numbers
    }
    rules[ERROR] = Rule(look=True, guess=True)
    return Grammar(language, rules)
