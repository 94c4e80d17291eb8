"""What people write for a language or a kind, and what the index calls it.

The names are those of `ingest.languages`, which search does not import; a test holds the two together.
"""

from __future__ import annotations

# name, or "name: other names"
_LANGUAGES = """
ada; apache; apex; apl; applescript; asciidoc: adoc; assembly: asm nasm; astro; awk; bash: shell sh zsh; batch: bat
dosbatch; blade; c; cabal; capnp; clojure: clj cljs; cmake; cobol; coffeescript: coffee; commonlisp: lisp common-lisp;
coq; cpp: c++ cplusplus cxx; crystal; csharp: c# cs c-sharp; css; csv; cuda; cue; cython; d; dart; diff: patch;
dockerfile: docker; dotenv; editorconfig: editor-config; elixir: ex; elm; emacslisp: elisp emacs-lisp; erb: html+erb;
erlang: erl; fish; fortran: f90; fsharp: f# fs; gdscript: gd; gherkin: cucumber; gleam; glsl; go: golang; gomod:
go.mod; gotemplate: go-template helm; graphql: gql; groovy: gradle; hack; handlebars: hbs mustache; haskell: hs; haxe;
hcl: terraform tf; hlsl; html: htm; idris; ignore: gitignore; ini: cfg conf systemd; java; javascript: js jsx node
ecmascript; jinja: jinja2; json: jsonc json5; jsonnet; julia: jl; just; kotlin: kt; latex: tex; less; liquid; llvm;
lua; m4; makefile: make; man: roff groff; markdown: md mdx; matlab: octave; mercury; meson; metal; mojo; nginx; nim;
ninja; nix; nushell; objective-c: objc objectivec obj-c; objective-cpp: objc++ objective-c++; ocaml: ml; org; pascal:
delphi; perl: pl; php; plaintext: text txt; plist; pod; powershell: ps1 pwsh; prisma; prolog; properties; protobuf:
proto; pug; puppet; purescript; python: py python3; r: rlang; racket; raku: perl6; reason; rego; requirements: pip;
rescript; restructuredtext: rst; robot; ruby: rb; rust: rs; sass; scala; scheme: scm; scss; sed; smalltalk; sml:
standard-ml; solidity: sol; sql: postgresql mysql; starlark: bazel bzl; stylus; svelte; swift; systemverilog: sv; tcl;
thrift; toml; tsx; twig; typescript: ts; typst; v; vala; verilog; vhdl; vim: viml vimscript; visualbasic: vb vba; vue;
wasm: wat; wgsl; xml; xquery; yacc: bison lex flex; yaml: yml; zig
"""

_KINDS = """
code; docs: doc documentation; config: conf configuration; text; function: fn func def fun; method; class; struct; interface;
enum; trait; type; constant: const; variable: var; module: mod; macro; namespace; field; property; constructor
"""


def _table(rows: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows.split(";"):
        name, _, others = row.strip().partition(":")
        found[name] = name
        found.update(dict.fromkeys(others.split(), name))
    return found


LANGUAGES = _table(_LANGUAGES)
"""Every name of a language to the one that the index has."""

KINDS = _table(_KINDS)
"""Every name of a kind to the one that the index has; there may be others, which languages' grammars bring."""

# A language that people count as part of another.
_INCLUDED = {"typescript": ("tsx",)}


def languages(written: str) -> tuple[str, ...]:
    """The index's names of the language that a person means, itself in lower case when nobody knows it.

    >>> languages("C++"), languages("ts")
    (('cpp',), ('typescript', 'tsx'))
    """
    low = written.strip().lower()
    name = LANGUAGES.get(low, low)
    return (name, *_INCLUDED.get(name, ()))


def kind(written: str) -> str:
    """The index's name of the kind that a person means, itself in lower case when nobody knows it."""
    low = written.strip().lower()
    return KINDS.get(low, low)
