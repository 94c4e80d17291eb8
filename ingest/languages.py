"""Which language a file is written in: from its name, its first line, and where a name says too little, from its content.

One row a language. A row with a grammar is cut and named by syntax (`ingest.grammars`), SQL by its statements, every other one
by lines. Names are lower-case and do not change: they stand in indexes and in `lang:` filters. Imports nothing that costs
start-up time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ALIASES", "LANGUAGES", "Language", "canonical", "detect", "kind_of"]


class Language(NamedTuple):
    """One language. Extensions are without dot, file names lower-case; an extension may hold dots (`blade.php`)."""

    name: str
    kind: str  # of its chunks: code, docs, config, text
    extensions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()  # of a `#!` line, without version
    aliases: tuple[str, ...] = ()
    grammar: str = ""  # row of ingest.grammars, "" when there is none


def _row(
    name: str,
    extensions: str = "",
    *,
    kind: str = "code",
    names: str = "",
    runs: str = "",
    also: str = "",
    grammar: str = "",
) -> Language:
    """A row from words separated by spaces."""
    return Language(
        name, kind, tuple(extensions.split()), tuple(names.split()), tuple(runs.split()), tuple(also.split()), grammar
    )


_ROWS = (
    # ---- with a grammar
    _row(
        "bash",
        "sh bash zsh ksh bats ebuild eclass command",
        runs="sh bash zsh ksh dash ash bats",
        also="shell sh zsh",
        grammar="bash",
        names=(
            ".bashrc .bash_profile .bash_aliases .profile .zshrc .zshenv .zprofile "
            ".kshrc pkgbuild apkbuild gradlew configure"
        ),
    ),
    _row("c", "c h cats idc", grammar="c"),
    _row(
        "cpp", "cpp cc cxx c++ hpp hh hxx h++ ipp inl tpp txx tcc ino cppm ixx", also="c++ cplusplus cxx", grammar="cpp"
    ),
    _row("csharp", "cs csx cake", also="c# cs c-sharp", grammar="csharp"),
    _row("cuda", "cu cuh", grammar="cpp"),
    _row("elixir", "ex exs", names="mix.lock", runs="elixir", also="ex", grammar="elixir"),
    _row("go", "go", also="golang", grammar="go"),
    _row("haskell", "hs hsc hs-boot", runs="runhaskell runghc stack", also="hs", grammar="haskell"),
    _row("hcl", "hcl tf tfvars tofu nomad", kind="config", also="terraform tf", grammar="hcl"),
    _row("java", "java jav", grammar="java"),
    _row(
        "javascript",
        "js mjs cjs jsx es6 jsm xsjs gs",
        names="jakefile",
        runs="node nodejs deno bun",
        also="js jsx node ecmascript",
        grammar="javascript",
    ),
    _row("kotlin", "kt kts ktm", runs="kotlin", also="kt", grammar="kotlin"),
    _row("lua", "lua luau nse rockspec", names=".luacheckrc", runs="lua luajit luau texlua", grammar="lua"),
    _row("php", "php php3 php4 php5 php7 php8 phtml phps ctp inc", runs="php", grammar="php"),
    _row(
        "python",
        "py pyi pyw py3 gyp gypi rpy tac wsgi xsh",
        names="wscript sconstruct sconscript .pythonrc",
        runs="python python2 python3 pypy pypy3 uv",
        also="py python3",
        grammar="python",
    ),
    _row(
        "ruby",
        "rb rbi rake gemspec ru podspec jbuilder thor rabl builder god",
        runs="ruby jruby rake macruby",
        also="rb",
        grammar="ruby",
        names=(
            "rakefile gemfile guardfile capfile vagrantfile podfile fastfile appfile brewfile dangerfile .irbrc .pryrc"
        ),
    ),
    _row("rust", "rs", runs="rust-script", also="rs", grammar="rust"),
    _row("scala", "scala sc sbt kojo", runs="scala", grammar="scala"),
    _row(
        "starlark",
        "bzl star bazel",
        names="build workspace build.bazel workspace.bazel module.bazel tiltfile buck",
        also="bazel bzl",
        grammar="python",
    ),
    _row("swift", "swift", runs="swift", grammar="swift"),
    _row("tsx", "tsx", grammar="tsx"),
    _row("typescript", "ts mts cts", runs="ts-node tsx", also="ts", grammar="typescript"),
    _row("zig", "zig zon", grammar="zig"),
    # ---- by statements
    _row("sql", "sql ddl dml pgsql psql mysql plsql pls pks pkb tsql", also="postgresql mysql"),
    # ---- by lines: documents
    _row("asciidoc", "adoc asciidoc asc", kind="docs", also="adoc"),
    _row("latex", "tex ltx sty cls bib", kind="docs", also="tex"),
    _row("man", "1 2 3 4 5 6 7 8 roff man mdoc", kind="docs", also="roff groff"),
    _row(
        "markdown", "md markdown mdown mkd mkdn mdx rmd qmd livemd mdc", kind="docs", also="md mdx", names="contents.lr"
    ),
    _row("org", "org", kind="docs"),
    _row(
        "plaintext",
        "txt text",
        kind="docs",
        also="text txt",
        names=(
            "readme license licence copying notice authors contributors changelog "
            "changes news todo install history maintainers"
        ),
    ),
    _row("pod", "pod", kind="docs"),
    _row("restructuredtext", "rst rest", kind="docs", also="rst"),
    _row("typst", "typ", kind="docs"),
    # ---- by lines: configuration and data
    _row("apache", "htaccess vhost.conf", kind="config", names=".htaccess httpd.conf"),
    _row("cabal", "cabal", kind="config"),
    _row("cmake", "cmake", kind="config", names="cmakelists.txt"),
    _row("csv", "csv tsv psv", kind="text"),
    _row("cue", "cue", kind="config"),
    _row("diff", "diff patch", kind="text", also="patch"),
    _row("dockerfile", "dockerfile containerfile", kind="config", also="docker", names="dockerfile containerfile"),
    _row("dotenv", "env", kind="config", names=".env .env.example .env.local .env.sample"),
    _row("editorconfig", kind="config", names=".editorconfig", also="editor-config"),
    _row(
        "ignore",
        "gitignore dockerignore npmignore",
        kind="config",
        also="gitignore",
        names=(
            ".gitignore .dockerignore .npmignore .eslintignore .prettierignore "
            ".codequarryignore .gitattributes .gitmodules codeowners"
        ),
    ),
    _row(
        "ini",
        "ini cfg conf cnf prefs service socket timer desktop reg inf",
        kind="config",
        also="cfg conf systemd",
        names=(".gitconfig .npmrc .pypirc .flake8 .pylintrc .coveragerc setup.cfg tox.ini pylintrc"),
    ),
    _row(
        "json",
        "json jsonc json5 webmanifest avsc har geojson topojson tfstate jsonl ndjson ipynb sarif code-workspace",
        kind="config",
        also="jsonc json5",
        names=(".babelrc .eslintrc .jshintrc .prettierrc .swcrc composer.lock pipfile.lock flake.lock .watchmanconfig"),
    ),
    _row("jsonnet", "jsonnet libsonnet", kind="config"),
    _row("just", "just", kind="config", names="justfile .justfile"),
    _row(
        "makefile",
        "mk mak make am",
        kind="config",
        names="makefile gnumakefile kbuild makefile.am makefile.in",
        runs="make",
        also="make",
    ),
    _row("meson", kind="config", names="meson.build meson_options.txt meson.options"),
    _row("ninja", "ninja", kind="config"),
    _row("nginx", "nginx nginxconf vhost", kind="config", names="nginx.conf"),
    _row("nix", "nix", kind="config"),
    _row("plist", "plist", kind="config"),
    _row("properties", "properties", kind="config"),
    _row(
        "requirements",
        kind="config",
        names="requirements.txt constraints.txt requirements-dev.txt dev-requirements.txt",
        also="pip",
    ),
    _row("toml", "toml", kind="config", names="cargo.lock poetry.lock uv.lock pipfile gopkg.lock pdm.lock"),
    _row("gomod", "mod sum", kind="config", names="go.mod go.sum go.work go.work.sum", also="go.mod"),
    _row(
        "xml",
        "xml xsd xsl xslt svg wsdl rss atom csproj vbproj fsproj vcxproj props "
        "targets nuspec resx xaml axml pom jelly xlf xliff kml storyboard xib dtd "
        "ts.xml iml launch",
        kind="config",
        names="pom.xml web.config app.config nuget.config",
    ),
    _row(
        "yaml",
        "yaml yml sls cff clang-format syntax",
        kind="config",
        also="yml",
        names=".clang-format .clang-tidy .clangd pubspec.lock .gemrc glide.lock yarn.lock",
    ),
    # ---- by lines: code
    _row("ada", "adb ads ada gpr"),
    _row("apex", "apex trigger"),
    _row("apl", "apl dyalog"),
    _row("applescript", "applescript scpt", runs="osascript"),
    _row("assembly", "asm s nasm a51", also="asm nasm"),
    _row("astro", "astro"),
    _row("awk", "awk gawk", runs="awk gawk mawk nawk"),
    _row("batch", "bat cmd", also="bat dosbatch"),
    _row("blade", "blade.php"),
    _row("capnp", "capnp"),
    _row("clojure", "clj cljs cljc edn bb", also="clj cljs", names="riemann.config"),
    _row("cobol", "cob cbl cobol cpy"),
    _row("coffeescript", "coffee litcoffee cson", names="cakefile", runs="coffee", also="coffee"),
    _row("commonlisp", "lisp lsp cl asd", runs="sbcl clisp ecl", also="lisp common-lisp"),
    _row("coq", "coq"),
    _row("crystal", "cr", runs="crystal"),
    _row("css", "css"),
    _row("cython", "pyx pxd pxi"),
    _row("d", "d di"),
    _row("dart", "dart", runs="dart"),
    _row("elm", "elm"),
    _row("emacslisp", "el", names=".emacs emacs cask", also="elisp emacs-lisp"),
    _row("erb", "erb rhtml", also="html+erb"),
    _row("erlang", "erl hrl escript xrl yrl app.src", names="rebar.config", runs="escript", also="erl"),
    _row("fish", "fish", runs="fish"),
    _row("fortran", "f f90 f95 f03 f08 for ftn f77", also="f90"),
    _row("fsharp", "fs fsi fsx", also="f# fs"),
    _row("gdscript", "gd", also="gd"),
    _row("gherkin", "feature", also="cucumber"),
    _row("gleam", "gleam"),
    _row("glsl", "glsl vert frag geom comp tesc tese vsh fsh shader"),
    _row("gotemplate", "tmpl gotmpl tpl gohtml", also="go-template helm"),
    _row("graphql", "graphql gql graphqls", also="gql"),
    _row("groovy", "groovy gradle gvy grt", names="jenkinsfile", runs="groovy", also="gradle"),
    _row("hack", "hack hhi"),
    _row("handlebars", "hbs handlebars mustache", also="hbs mustache"),
    _row("haxe", "hx hxsl"),
    _row("hlsl", "hlsl fx hlsli"),
    _row("html", "html htm xhtml html.hl", also="htm"),
    _row("idris", "idr lidr"),
    _row("jinja", "jinja jinja2 j2", also="jinja2"),
    _row("julia", "jl", runs="julia", also="jl"),
    _row("less", "less"),
    _row("liquid", "liquid"),
    _row("llvm", "ll"),
    _row("m4", "m4 ac", names="configure.ac configure.in"),
    _row("matlab", "matlab", also="octave", runs="octave"),
    _row("mercury", "moo"),
    _row("metal", "metal"),
    _row("mojo", "mojo"),
    _row("nim", "nim nims nimble", runs="nim"),
    _row("objective-c", "m", also="objc objectivec obj-c"),
    _row("objective-cpp", "mm", also="objc++ objective-c++"),
    _row("nushell", "nu", runs="nu"),
    _row("ocaml", "ml mli mll mly eliom", runs="ocaml", also="ml"),
    _row("pascal", "pas pp lpr dpr dfm", runs="instantfpc", also="delphi"),
    _row("perl", "pl pm t psgi al ph", names="cpanfile makefile.pl", runs="perl", also="pl"),
    _row("powershell", "ps1 psm1 psd1", runs="pwsh powershell", also="ps1 pwsh"),
    _row("prisma", "prisma"),
    _row("prolog", "pro prolog yap", runs="swipl"),
    _row("protobuf", "proto textproto pbtxt", also="proto"),
    _row("pug", "pug jade"),
    _row("puppet", "epp"),
    _row("purescript", "purs"),
    _row("r", "r rd rsx", names=".rprofile", runs="rscript", also="rlang"),
    _row("racket", "rkt rktl scrbl", runs="racket"),
    _row("raku", "raku rakumod p6 pm6", runs="raku perl6", also="perl6"),
    _row("reason", "re rei"),
    _row("rego", "rego"),
    _row("rescript", "res resi"),
    _row("robot", "robot resource"),
    _row("sass", "sass"),
    _row("scheme", "scm ss sld", runs="guile chibi", also="scm"),
    _row("scss", "scss"),
    _row("sed", "sed", runs="sed"),
    _row("smalltalk", "st"),
    _row("solidity", "sol", also="sol"),
    _row("sml", "sml sig fun", also="standard-ml"),
    _row("stylus", "styl"),
    _row("svelte", "svelte"),
    _row("systemverilog", "sv svh", also="sv"),
    _row("tcl", "tcl tk itcl", runs="tclsh wish expect"),
    _row("thrift", "thrift"),
    _row("twig", "twig"),
    _row("v", also="vlang"),
    _row("vala", "vala vapi"),
    _row("verilog", "v vh veo"),
    _row("vhdl", "vhd vhdl vho"),
    _row("vim", "vim vimrc", names=".vimrc vimrc _vimrc .gvimrc", also="viml vimscript"),
    _row("visualbasic", "vb bas vbs", also="vb vba"),
    _row("vue", "vue"),
    _row("wasm", "wat wast", also="wat"),
    _row("wgsl", "wgsl"),
    _row("xquery", "xq xql xqm xquery"),
    _row("yacc", "y yy l lex", also="bison lex flex"),
)

LANGUAGES: dict[str, Language] = {row.name: row for row in _ROWS}
"""Every language by its name."""

ALIASES: dict[str, str] = {alias: row.name for row in _ROWS for alias in row.aliases}
"""Other names that people use, to the name that indexes hold: `js`, `c++`, `golang`."""

_BY_EXTENSION = {extension: row.name for row in _ROWS for extension in row.extensions}
_BY_NAME = {name: row.name for row in _ROWS for name in row.names}
_BY_INTERPRETER = {interpreter: row.name for row in _ROWS for interpreter in row.interpreters}

_NAME_BEFORE_DOT = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "makefile",
    "jenkinsfile": "groovy",
}
_IGNORED_ENDINGS = frozenset(
    {"in", "dist", "example", "sample", "template", "tmpl", "tpl", "orig", "bak", "erb", "j2", "jinja"}
)
_REQUIREMENTS = re.compile(r"(?:.*[-_])?(?:requirements|constraints)(?:[-_].*)?\.(?:txt|in)")
_PROSE = re.compile(r"(?:licen[cs]e|copying|readme|notice)[-_.]\w*")
_SHEBANG = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*(?:\S*/)?)?([A-Za-z+-]+\d?)")
_MODE_LINE = re.compile(r"-\*-\s*(?:.*?mode:\s*)?([A-Za-z+#-]+)\s*(?:;.*?)?-\*-|\bvim?:.*?\b(?:ft|filetype)=(\w+)")

_OBJECTIVE_C = re.compile(
    r"^[ \t]*@(?:interface|protocol|implementation|class|import|end|property)\b|^#import\b", re.MULTILINE
)
_CPP = re.compile(
    r"^[ \t]*(?:namespace\b|template\s*<|using\s+\w|class\s+\w[\w\s]*[:{;]|(?:public|private|protected)\s*:|constexpr\b|virtual\b"
    r"|#include\s*<(?:c?[a-z_]+|[\w/]+\.(?:hpp|hh|hxx))>)|\bstd::|\w::\w|\boperator\s*[=<>+\-*/(\[]|\bnoexcept\b|\bstatic_cast<",
    re.MULTILINE,
)
_MATLAB = re.compile(r"^\s*(?:%|function\b|end\s*$|classdef\b)", re.MULTILINE)
_PROLOG = re.compile(r"^\s*:-|^\w+\(.*\)\s*(?::-|\.)\s*$", re.MULTILINE)
_COQ = re.compile(r"^\s*(?:Require|Theorem|Lemma|Definition|Proof|Inductive|Fixpoint|Qed)\b", re.MULTILINE)
_V = re.compile(r"^\s*(?:pub\s+)?fn\s+\w|^\s*module\s+\w+\s*$", re.MULTILINE)
_MAN = re.compile(r"^\.(?:TH|SH|Dd|Dt|so|\\\")", re.MULTILINE)
_GLSL = re.compile(r"^\s*#version\b|\bgl_\w+|\bvoid\s+main\s*\(", re.MULTILINE)


def detect(path: str, head: str = "") -> str:
    """The name of the language of the file at `path`, "" when nothing tells. `head`: the beginning of its text, a few KB.

    The whole file name counts most, then the longest known extension, then a `#!` line or an editor's mode line.
    """
    name = path.rpartition("/")[2].lower()
    if found := _BY_NAME.get(name):
        return found
    if _REQUIREMENTS.fullmatch(name):
        return "requirements"
    ending = name
    while "." in ending:
        ending = ending.partition(".")[2]
        if found := _BY_EXTENSION.get(ending):
            return _told_by_content(ending, found, head)
    stem, dot, ending = name.rpartition(".")
    if dot and ending in _IGNORED_ENDINGS and stem.strip("."):
        return detect(stem, head)
    if _PROSE.fullmatch(name):
        return "plaintext"
    if found := _NAME_BEFORE_DOT.get(name.partition(".")[0]):
        return found
    return _by_first_lines(head)


def canonical(name: str) -> str:
    """The language meant by `name` (`JS`, `c++`, `golang`), as indexes spell it; unknown ones in lower case."""
    name = name.lower()
    return ALIASES.get(name, name) if name not in LANGUAGES else name


def kind_of(language: str) -> str:
    """What chunks of a language are: code, docs, config or text."""
    row = LANGUAGES.get(language)
    return row.kind if row else "text"


def _by_first_lines(head: str) -> str:
    first = head[:400].partition("\n")[0]
    if first.startswith("#!") and (match := _SHEBANG.match(first)):
        program = match[1].lower()
        return _BY_INTERPRETER.get(program) or _BY_INTERPRETER.get(program.rstrip("0123456789"), "")
    if first.lstrip("\ufeff").startswith("<?php"):
        return "php"
    if first.lstrip("\ufeff").startswith("<?xml"):
        return "xml"
    if match := _MODE_LINE.search("\n".join(head[:600].split("\n", 2)[:2])):
        mode = canonical(match[1] or match[2])
        return mode if mode in LANGUAGES else ""
    return ""


def _told_by_content(extension: str, usual: str, head: str) -> str:
    """The language where several share an extension. `usual`: what it is when the content does not say otherwise."""
    match extension:
        case "h":
            return "objective-c" if _OBJECTIVE_C.search(head) else "cpp" if _CPP.search(head) else usual
        case "m":
            return "matlab" if _MATLAB.search(head) and not _OBJECTIVE_C.search(head) else usual
        case "ts":
            return "xml" if head.lstrip("\ufeff \r\n").startswith(("<?xml", "<!DOCTYPE TS")) else usual
        case "pl" | "t":
            if head.startswith("#!") or "use strict" in head or "sub " in head:
                return usual
            return "prolog" if extension == "pl" and _PROLOG.search(head) else usual
        case "v":
            return "coq" if _COQ.search(head) else "v" if _V.search(head) and "endmodule" not in head else usual
        case "inc":
            return (
                usual if "<?php" in head else "cpp" if _CPP.search(head) else "assembly" if "\t.globl" in head else ""
            )
        case "pp":
            return "puppet" if re.search(r"^\s*(?:class|define|node)\s+[\w:'\"]+.*\{|=>", head, re.MULTILINE) else usual
        case "cls":
            return "latex" if "\\" in head[:2000] and "\\Provides" in head else "apex" if "class" in head else usual
        case "fs":
            return "glsl" if _GLSL.search(head) else usual
        case "mod":
            return usual if re.search(r"^module\s", head, re.MULTILINE) else ""
        case (
            "sum" | "resource" | "app.src" | "command" | "builder" | "god" | "make" | "for" | "l" | "st" | "re" | "asc"
        ):
            return usual if _looks_like(extension, head) else _by_first_lines(head)
        case "r":
            return usual
        case "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8":
            return usual if _MAN.search(head) else _by_first_lines(head)
    return usual


def _looks_like(extension: str, head: str) -> bool:
    """Whether the content fits an extension that other files use too."""
    match extension:
        case "asc":
            return "-----BEGIN PGP" not in head
        case "sum":
            return " h1:" in head
        case "resource":
            return "***" in head
        case "l":
            return "%%" in head or "%{" in head
        case "for":
            return re.search(r"^\s*(?:program|subroutine|end)\b", head, re.MULTILINE | re.IGNORECASE) is not None
        case "command":
            return head.startswith("#!")
    return True
