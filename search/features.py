"""What can be read off a question, a path and a candidate, without the text of any file: the raw material of `rank`.

Everything here is a rule about how people write and lay out code. No rule knows a repository, a file or a question by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from codequarry.search.query import MAX_WORDS, Query
from codequarry.text import parts, stems
from codequarry.types import Candidate

# Roles of a file beside plain source code. `generated`, `vendored` and `build` also come as marks from ingest.
TEST, EXAMPLE, BENCH, VENDORED, GENERATED, BUILD, AMALGAMATED, DOCS, CONFIG, DECLARATION = (
    "test",
    "example",
    "benchmark",
    "vendored",
    "generated",
    "build",
    "amalgamated",
    "docs",
    "config",
    "declaration",
)

MADE_BY_TOOLS = (GENERATED, BUILD, AMALGAMATED)

_FOLDERS = {
    TEST: "test tests testing testdata test-data __tests__ __mocks__ spec specs fixtures fixture e2e it integrationtest "
    "integration-tests integration_tests unittest unittests androidtest commontest jvmtest jstest testlib mocks mock",
    EXAMPLE: "example examples sample samples demo demos tutorial tutorials playground docs_src snippets",
    BENCH: "bench benches benchmark benchmarks",
    VENDORED: "vendor vendored third_party third-party thirdparty node_modules bower_components _vendor",
    GENERATED: "generated __generated__ gen-src",
    BUILD: "dist",
    AMALGAMATED: "single_include amalgamated",
    DOCS: "docs doc documentation",
}
_FOLDER_ROLE = {name: role for role, names in _FOLDERS.items() for name in names.split()}

# How the test of a file is named, by language; `stem` is the file's name up to its last dot. A prefix `test_` is a test in
# Python and C, and in a shell library a file of functions for tests: hence no rule for all languages.
_JVM_TEST = r".*(Test|Tests|TestCase|Spec|Suite|IT|ITCase)|Test[A-Z]\w*"
_C_TEST = r"(unit)?tests?|tests?[-_].*|.*[-_.](unit)?tests?"
_TEST_STEM = {
    "python": r"test_.*|.*_tests?|tests?|conftest",
    "go": r".*_test",
    "javascript": r".*\.(test|tests|spec|cy|e2e|stories|bench)|.*[-_](test|spec)|tests?",
    "typescript": r".*\.(test|tests|spec|cy|e2e|stories|bench|test-d)|.*[-_](test|spec)|tests?",
    "java": _JVM_TEST,
    "kotlin": _JVM_TEST,
    "scala": _JVM_TEST,
    "csharp": r".*(Test|Tests|Fixture)",
    "php": r".*Test",
    "swift": r".*(Test|Tests)",
    "ruby": r".*_(spec|test)|test_.*|spec_helper|test_helper",
    "rust": r"tests?|.*_tests?",
    "elixir": r".*_test|test_helper",
    "haskell": r".*(Spec|Test|Tests)",
    "lua": r".*_(spec|test)|test_.*",
    "c": _C_TEST,
    "cpp": _C_TEST,
    "tsx": r".*\.(test|tests|spec|stories)|.*[-_](test|spec)|tests?",
    "zig": r"tests?|.*_tests?",
    "bash": r"test-.*|.*_test",
}


@cache
def _test_stem(language: str) -> re.Pattern[str] | None:
    """What the test of a file is named like; made for the languages that are found, as all of them cost a cold start 5 ms."""
    rule = _TEST_STEM.get(language)
    return re.compile(rule) if rule else None


_TEST_ENDINGS = (".bats", ".feature", ".snap")
# A C# or Swift project for tests is a folder of its own; Gradle and Maven have `src/fooTest`.
_TEST_FOLDER = re.compile(
    r".*[.](Unit|Integration|Functional)?Tests?|.*[a-z](Tests|Test|UnitTests|IntegrationTests)|.*[-_]tests?"
)
_GENERATED = re.compile(
    r".*(\.pb\.(go|cc|h)|_pb2(_grpc)?\.py|\.g\.(dart|cs)|\.min\.(js|css)|[._-]generated\.\w+|\.designer\.cs)$", re.I
)
_DECLARATION = re.compile(r".*(\.d\.[cm]?ts|\.pyi)$")
_HISTORY = re.compile(r"(change(s|log)|history|news|release[-_]?notes)\b.*", re.I)

# A question that has one of these words (or a path filter that has) wants files of that role: it is not pushed back then.
_WANTED = {
    TEST: "test tests testing tested spec specs mock mocks mocking fixture fixtures e2e unittest testcase assertion assertions",
    EXAMPLE: "example examples sample samples demo demos tutorial tutorials",
    BENCH: "bench benchmark benchmarks benchmarking",
    VENDORED: "vendor vendored third_party",
    GENERATED: "generated",
    BUILD: "dist bundle bundled",
    DOCS: "docs doc documentation readme changelog guide",
    CONFIG: "yaml toml ini ci workflow workflows",
    DECLARATION: "declaration declarations typings",
}
_WANTED_ROLE = {word: role for role, words in _WANTED.items() for word in words.split()}

TYPE_KINDS = frozenset("class struct interface enum trait type module protocol record object union namespace".split())
FUNCTION_KINDS = frozenset("function method macro constructor".split())
NO_DEFINITIONS = frozenset("heading key".split())  # names that documents and settings have, and no code

_SEPARATOR = re.compile(r"::|\.|#|->")
_IDENTIFIER = re.compile(r"[\w$]+(?:(?:::|\.|#|->)[\w$!?]+)*[!?]?(?:\(\))?")


@lru_cache(maxsize=20_000)
def roles(path: str, language: str, kind: str, marks: tuple[str, ...]) -> frozenset[str]:
    """The roles of a file, by its marks, its folders, its name and the kind of its chunks; empty for plain source code."""
    found = set(marks)
    *folders, name = path.split("/")
    if "src/main/" in path:  # where JVM projects keep what ships: its folders are named after packages
        folders = path.split("src/main/", 1)[0].split("/")
    for folder in folders:
        role = _FOLDER_ROLE.get(folder.lower())
        if role is None and _TEST_FOLDER.fullmatch(folder):
            role = TEST
        if role:
            found.add(role)
    rule = _test_stem(language)
    if name.endswith(_TEST_ENDINGS) or (rule and rule.fullmatch(name.rsplit(".", 1)[0])):
        found.add(TEST)
    if _GENERATED.match(name):
        found.add(GENERATED)
    if _DECLARATION.match(name):
        found.add(DECLARATION)
    if kind in ("docs", "text"):
        found.add(DOCS)
    elif kind == "config":
        found.add(CONFIG)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the ranking sees it."""

    text: str
    terms: tuple[str, ...] = ()  # what the words leg was asked, the repository's own name left out
    words: frozenset[str] = frozenset()  # its words as written
    symbol: str = ""  # the name it is, when it is one name
    container: str = ""  # the name before the last `.` or `::` of that
    wanted: frozenset[str] = frozenset()  # roles that it asks for
    exact: bool = False  # nothing but patterns and filters
    is_long: bool = False  # an issue, a trace or a log, which `search.issue` reads
    name_regexes: tuple[str, ...] = ()  # of an exact query: what a name that it asks for looks like

    def asks_for(self, name: str) -> bool:
        """Whether an exact query asks for something of this name: it has the word, or its pattern is found in the name."""
        return name in self.words or any(found.search(name) for found in map(compiled, self.name_regexes))


def question_of(query: Query, asked: tuple[str, ...], paths: Sequence[str] = (), kinds: Sequence[str] = ()) -> Question:
    """The question of a query; `asked` are the terms that its words leg uses, `paths` and `kinds` what its filters ask for."""
    exact = not query.words
    written = query.question
    words = re.findall(r"[\w$]+", " ".join([written, *(query.values("symbol") if exact else ())]))
    # A question that has the word asks for it; an issue or a log only mentions it.
    asks = len(words) <= MAX_WORDS and "\n" not in written
    wanted = {_WANTED_ROLE[word] for word in map(str.lower, words) if asks and word in _WANTED_ROLE}
    for path in paths:
        wanted |= {_FOLDER_ROLE[segment] for segment in path.lower().split("/") if segment in _FOLDER_ROLE}
        wanted |= {_WANTED_ROLE[part] for part in parts(path) if part in _WANTED_ROLE}
    wanted |= {role for role in (DOCS, CONFIG) if role in kinds}
    symbol, container = symbol_of(written)
    return Question(
        text=written,
        terms=asked,
        words=frozenset(words),
        symbol="" if exact else symbol,
        container="" if exact else container,
        wanted=frozenset(wanted),
        exact=exact,
        is_long=query.is_long,
        name_regexes=query.values("regex") if exact else (),
    )


@lru_cache(maxsize=64)
def compiled(regex: str) -> Any:
    """A regular expression of a query, which re2 has accepted."""
    import re2

    return re2.compile(regex)


def symbol_of(written: str) -> tuple[str, str]:
    """The name and its container when a text is one identifier (`Sinatra::Base` -> Base, Sinatra), else two empty texts."""
    body = written.strip().strip("\"'`")
    if not _IDENTIFIER.fullmatch(body):
        return "", ""
    names = _SEPARATOR.split(body.removesuffix("()"))
    return names[-1], names[-2] if len(names) > 1 else ""


def is_written_as_name(text: str) -> bool:
    """Whether a text that is one identifier can be no plain word: it has capitals, digits or signs."""
    return not (text.isalpha() and text.islower())


def last_name(qualified: str) -> str:
    """The last segment of a name that its language writes with its module's (`Phoenix.Router`, `std::string`)."""
    return _SEPARATOR.split(qualified)[-1] if not qualified.isidentifier() else qualified


def names_with(candidate: Candidate, beginnings: Sequence[str]) -> list[str]:
    """The defined names that can have a word of a question, whose words begin so (`text.beginning`).

    Most names have none, and need not be taken apart. What a letter's other case is, is not so simple outside ASCII.
    """
    found: list[str] = []
    if candidate.names:  # BM25 of all its names: 0 where none has a word
        for name, _, _ in candidate.symbols:
            low = name.lower()
            for beginning in beginnings:
                if beginning in low:
                    found.append(name)
                    break
            else:
                if not low.isascii():
                    found.append(name)
    return found


@lru_cache(maxsize=20_000)
def name_terms(name: str) -> frozenset[str]:
    """The stemmed parts of a name, without its whole form."""
    return frozenset(stems(name))


@lru_cache(maxsize=20_000)
def stem_of(path: str) -> str:
    """The name of a file without its endings, or its folder's where the file's name says nothing (index.ts, mod.rs)."""
    *folders, name = path.split("/")
    stem = name.split(".", 1)[0] or name
    return (
        folders[-1]
        if folders and stem.lower() in ("index", "mod", "__init__", "init", "main", "lib", "package")
        else stem
    )


def is_history(candidate: Candidate) -> bool:
    """Whether a document tells what changed, release by release."""
    return candidate.kind == "docs" and _HISTORY.fullmatch(candidate.path.rsplit("/", 1)[-1]) is not None


def definition(question: Question, candidate: Candidate) -> float:
    """1 for a chunk that defines a name that stands in the question as it is, half for one whose parts all do."""
    best = 0.0
    if not candidate.names:  # none of its names has a word of the question
        return best
    for symbol in candidate.symbols:
        name = last_name(symbol.name)
        if name in question.words and (len(question.words) == 1 or not name.islower() or "_" in name):
            return 1.0
        parts = name_terms(name)
        if len(parts) > 1 and parts.issubset(question.terms):
            best = 0.5
    return best


def defines(question: Question, candidate: Candidate) -> float:
    """How well a chunk defines the one name that the question is: 2 for a type, 1 for a function, half for other names.

    More where the container agrees; little where only the letters agree and not their capitals, unless the question has none.
    """
    name, container = question.symbol, question.container
    best, low = 0.0, name.lower()
    for symbol in candidate.symbols:
        own = last_name(symbol.name)
        if own.lower() != low or symbol.kind in NO_DEFINITIONS:
            continue
        value = 2.0 if symbol.kind in TYPE_KINDS else 1.0 if symbol.kind in FUNCTION_KINDS else 0.5
        value += 0.6 * bool(container and container in f"{symbol.name} {candidate.breadcrumb}")
        best = max(best, value if own == name else 0.2 * value if is_written_as_name(name) else 0.8 * value)
    return best
