"""Links, places and the lines that match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry import text
from codequarry.search import matches
from codequarry.search.features import Question
from codequarry.search.matches import Matcher
from codequarry.search.snippets import best_place, permalink, with_lines
from codequarry.types import Candidate, Pattern, Place, Source, Symbol

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def place(web="https://github.com/acme/api", *, branch="main", modified=False, commit=COMMIT):
    return Place(Source("github.com/acme/api", branch), commit, "main", modified, web)


@pytest.mark.parametrize(
    ("web", "link"),
    [
        ("https://github.com/acme/api", f"https://github.com/acme/api/blob/{COMMIT}/src/a.py#L3-L9"),
        ("https://github.example.com/acme/api/", f"https://github.example.com/acme/api/blob/{COMMIT}/src/a.py#L3-L9"),
        ("https://gitlab.com/acme/sub/api", f"https://gitlab.com/acme/sub/api/-/blob/{COMMIT}/src/a.py#L3-9"),
        ("https://bitbucket.org/acme/api", f"https://bitbucket.org/acme/api/src/{COMMIT}/src/a.py#lines-3:9"),
        ("https://codeberg.org/acme/api", f"https://codeberg.org/acme/api/src/commit/{COMMIT}/src/a.py#L3-L9"),
        (
            "https://gitea.example.com/acme/api",
            f"https://gitea.example.com/acme/api/src/commit/{COMMIT}/src/a.py#L3-L9",
        ),
        ("https://git.example.com/acme/api", ""),
        ("", ""),
    ],
)
def test_a_permalink_has_the_form_of_its_forge_and_is_empty_where_that_is_unknown(web, link):
    assert permalink(place(web), "src/a.py", 3, 9) == link


def test_an_edited_file_or_one_without_a_commit_has_no_permalink():
    assert permalink(place(modified=True), "a.py", 1, 2) == ""
    assert permalink(place(commit=""), "a.py", 1, 2) == ""


def test_a_path_is_escaped_in_a_link_and_a_document_is_shown_by_lines():
    assert permalink(place(), "dir a/ü#?.md", 1, 2).endswith(f"{COMMIT}/dir%20a/%C3%BC%23%3F.md?plain=1#L1-L2")
    assert permalink(place(), "bad\udcff.py", 1, 2).endswith("/bad%FF.py#L1-L2")


@pytest.mark.parametrize("web", ["https://github.com/a/b1", "https://gitlab.com/a/b1", "https://bitbucket.org/a/b1"])
def test_a_link_can_be_moved_to_other_lines(web):
    assert with_lines(permalink(place(web), "x9.py", 3, 9), 12, 40) == permalink(place(web), "x9.py", 12, 40)
    assert with_lines("", 1, 2) == ""


def test_code_is_cited_from_a_commit_rather_than_from_a_folder():
    folder, branch = place(branch="worktree:/src/api"), place()
    assert best_place([folder, branch]) == branch
    assert best_place([place(branch="worktree:/x", modified=True), folder]) == folder


def lines(body, terms=(), patterns=()):
    return Matcher(Question("", terms), patterns).lines(body, 10)


def test_lines_match_by_the_stems_of_the_questions_words():
    assert lines("def parse(x):\n    queries = 1\n    sparse\n    parser.parsing()\n", ("pars", "queri")) == (
        10,
        11,
        13,
    )


def test_with_patterns_only_what_they_match_counts():
    assert lines("foo(bar)\r\nfoo bar\r\nbar", ("bar",), [Pattern("foo\\(", "foo(")]) == (10,)
    assert lines("a1\nb\na2", (), [Pattern("a[0-9]$")]) == (10, 12)


_LINES = st.lists(
    st.lists(
        st.sampled_from(["parseHTTP", "parsed", "x", "Größe", "İx", "größen", "=", "==", "", "\t", "reparse", "日本"]),
        max_size=5,
    ).map(" ".join),
    max_size=8,
)


@given(_LINES, st.sampled_from(["parse", "größe", "x", "日本", "http parsing"]))
def test_matched_lines_are_those_with_a_word_that_has_a_term_of_the_question(lines, question):
    terms = frozenset(text.question_terms(question))
    body = "\n".join(lines)

    found = matches._Words(terms).lines(body)

    assert sorted(found) == [
        number for number, line in enumerate(lines) if not terms.isdisjoint(text.terms(line).split())
    ]
    assert all(on_it <= terms.intersection(text.terms(lines[number]).split()) for number, on_it in found.items())
    assert all(found.values())


BODY = """\
class Policy:
    waits = 3

    def backoff(self, attempt):
        return attempt

    def reset(self):
        # the attempts that were made
        self.attempts = 0
"""


def shown_under(question, patterns=(), *, first=10):
    """The name and the line where reading begins, of a chunk that defines a class, a field and two methods."""
    symbols = [("Policy", "class", 0), ("waits", "field", 1), ("backoff", "method", 3), ("reset", "method", 6)]
    made = chunk(first, [Symbol(name, kind, first + line) for name, kind, line in symbols])
    terms = text.question_terms(question)
    matcher = Matcher(Question(question, terms, frozenset(question.split())), patterns)
    _, symbol = matcher.read(made, BODY)
    return symbol.name, matcher.begins(symbol)


def chunk(start, symbols):
    where = {"repo": "r", "path": "a.py", "blob": "b", "breadcrumb": "a.py", "content_hash": "", "places": ()}
    lines = {"start_line": start, "end_line": start + 8}
    return Candidate(language="python", marks=(), kind="code", symbols=tuple(symbols), **where, **lines)


def test_a_chunk_is_shown_under_the_name_that_has_the_questions_words_and_read_from_there():
    assert shown_under("how the backoff is computed") == ("backoff", 13)
    assert shown_under("reset a policy") == ("reset", 16)
    assert shown_under("retry policy") == ("Policy", 10)


def test_of_names_that_fit_alike_the_one_whose_lines_have_the_words_is_shown():
    assert shown_under("where attempts become 0")[0] == "reset"


def test_the_name_that_is_the_question_is_shown_before_all_others():
    assert shown_under("waits") == ("waits", 11)


def test_what_a_pattern_finds_is_shown_under_the_name_on_its_line_and_read_from_the_match():
    assert shown_under("", [Pattern("def backoff")]) == ("backoff", 0)
    assert shown_under("", [Pattern("attempts = 0")]) == ("reset", 0)


def test_a_chunk_without_names_is_shown_under_none():
    matcher = Matcher(Question("attempts", ("attempt",)), ())
    assert matcher.read(chunk(10, []), BODY)[1] is None
    assert matcher.begins(None) == 0
