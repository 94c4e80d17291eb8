"""Which language a file is written in."""

import pytest

from codequarry.ingest import grammars
from codequarry.ingest.languages import ALIASES, LANGUAGES, canonical, detect, kind_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("a/b.PY", "python"),
        ("typings/x.pyi", "python"),
        ("web/app.tsx", "tsx"),
        ("web/app.mts", "typescript"),
        ("web/app.jsx", "javascript"),
        ("src/Main.cs", "csharp"),
        ("src/main.c++", "cpp"),
        ("lib/x.exs", "elixir"),
        ("infra/main.tf", "hcl"),
        ("views/page.blade.php", "blade"),
        ("docker/Dockerfile", "dockerfile"),
        ("docker/Dockerfile.dev", "dockerfile"),
        ("docker/web.dockerfile", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("notes.txt", "plaintext"),
        ("requirements-dev.txt", "requirements"),
        ("Gemfile", "ruby"),
        ("BUILD.bazel", "starlark"),
        ("README", "plaintext"),
        ("LICENSE-APACHE", "plaintext"),
        (".gitignore", "ignore"),
        (".bashrc", "bash"),
        ("config.h.in", "c"),
        ("settings.py.example", "python"),
        ("go.mod", "gomod"),
        ("strange.qqq", ""),
        ("noextension", ""),
        ("dir.py/noextension", ""),
        ("in", ""),
        (".in", ""),
        ("...", ""),
        ("", ""),
    ],
)
def test_a_name_tells_the_language(path, language):
    assert detect(path) == language


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("bin/run", "#!/usr/bin/env python3\n", "python"),
        ("bin/run", "#!/usr/bin/env -S python3.11 -u\n", "python"),
        ("bin/run", "#!/usr/bin/env LANG=C perl -w\n", "perl"),
        ("bin/run", "#! /bin/sh -e\n", "bash"),
        ("bin/run", "#!/usr/local/bin/node\n", "javascript"),
        ("bin/run", "#!/opt/unknown\n", ""),
        ("bin/run", "# -*- mode: ruby -*-\n", "ruby"),
        ("bin/run", "\n# vim: set ft=go:\n", "go"),
        ("index", "<?php\n", "php"),
        ("index", "<?xml version='1.0'?>\n", "xml"),
        ("a.h", "#include <stdio.h>\nint f(void);\n", "c"),
        ("a.h", "/* class A: not C++ */\nstruct a { int class_id; };\n", "c"),
        ("a.h", "#include <vector>\n", "cpp"),
        ("a.h", "namespace app {\n", "cpp"),
        ("a.h", "class Foo : public Bar {\n", "cpp"),
        ("a.h", "#import <Foundation/Foundation.h>\n@interface Foo\n", "objective-c"),
        ("a.m", "@implementation Foo\n", "objective-c"),
        ("a.m", "function y = f(x)\n% doc\ny = x;\nend\n", "matlab"),
        ("a.ts", "export const a = 1\n", "typescript"),
        ("a.ts", '<?xml version="1.0"?>\n<TS version="2.1">', "xml"),
        ("a.pl", "use strict;\n", "perl"),
        ("a.pl", ":- module(a, [b/1]).\nb(1).\n", "prolog"),
        ("a.v", "module top(input clk);\nendmodule\n", "verilog"),
        ("a.v", "Theorem t : True.\nProof.\n", "coq"),
        ("a.inc", "<?php\n", "php"),
        ("tool.1", ".TH TOOL 1\n", "man"),
        ("log.1", "started\n", ""),
        ("shader.fs", "#version 330\nvoid main() {}\n", "glsl"),
        ("lib.fs", "module Lib\nlet x = 1\n", "fsharp"),
        ("key.asc", "-----BEGIN PGP SIGNATURE-----\n", ""),
    ],
)
def test_content_tells_the_language_where_a_name_says_too_little(path, head, language):
    assert detect(path, head) == language


def test_a_path_that_is_not_utf8_is_no_obstacle():
    assert detect(b"caf\xe9/\xff.go".decode("utf-8", "surrogateescape")) == "go"


def test_every_name_is_written_as_indexes_write_it():
    assert all(name == name.lower() and " " not in name for name in LANGUAGES)
    assert len(LANGUAGES) > 130


def test_no_extension_name_alias_or_interpreter_belongs_to_two_languages():
    for claims in (
        [extension for row in LANGUAGES.values() for extension in row.extensions],
        [name for row in LANGUAGES.values() for name in row.names],
        [program for row in LANGUAGES.values() for program in row.interpreters],
        [alias for row in LANGUAGES.values() for alias in row.aliases],
    ):
        assert sorted(claims) == sorted(set(claims))
    assert not set(ALIASES) & set(LANGUAGES) - {alias for alias, name in ALIASES.items() if alias == name}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("JS", "javascript"),
        ("c++", "cpp"),
        ("C#", "csharp"),
        ("golang", "go"),
        ("Python", "python"),
        ("Klingon", "klingon"),
    ],
)
def test_what_people_call_a_language_is_understood(said, meant):
    assert canonical(said) == meant


def test_each_language_has_one_kind_of_chunks():
    assert {row.kind for row in LANGUAGES.values()} == {"code", "docs", "config", "text"}
    assert [kind_of(name) for name in ("go", "markdown", "yaml", "dockerfile", "csv", "")] == [
        "code",
        "docs",
        "config",
        "config",
        "text",
        "text",
    ]


def test_every_grammar_is_used_and_every_one_that_is_named_exists():
    assert {row.grammar for row in LANGUAGES.values() if row.grammar} == set(grammars.ROWS)


@pytest.mark.parametrize("name", grammars.ROWS)
def test_every_rule_is_for_a_type_of_nodes_that_its_grammar_makes(name):
    language = grammars.load(name).language
    made = {language.node_kind_for_id(number) for number in range(language.node_kind_count)}
    assert set(grammars.ROWS[name].rules) <= made


def test_detection_needs_no_grammar():
    import subprocess
    import sys

    program = (
        "import sys; from codequarry.ingest import languages; languages.detect('a.py');"
        "print([name for name in sys.modules if name.startswith('tree_sitter_')])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
