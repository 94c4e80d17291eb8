"""Issues, traces and logs as queries: what is asked, and in which order files come."""

from __future__ import annotations

import pytest

from codequarry.search import features, features_long, rank
from codequarry.search.frames import Frame, Stack
from codequarry.search.query import parse
from codequarry.search.retrieve import LONG_WORDS, WORDS, ask
from codequarry.search.scope import resolve, visible
from codequarry.text import terms
from codequarry.types import Candidate, Place, Source, Symbol

WEIGHTS = (1.0, 0.8, 0.4)


def candidate(path, *names, start=1, content=5.0, language="python", kind="code", marks=()):
    return Candidate(
        repo="github.com/acme/api",
        path=path,
        blob="b",
        language=language,
        marks=marks,
        kind=kind,
        start_line=start,
        end_line=start + 9,
        breadcrumb=f"{path} › Policy" if "wait" in names else path,
        symbols=tuple(Symbol(name, "function", start) for name in names),
        content_hash=path,
        places=(Place(Source("github.com/acme/api", "main"), "c" * 40, "main", False, ""),),
        content=content,
    )


def values(text, *candidates):
    """The features of each file, by path and name; zeros are left out."""
    question = question_of(text)
    files = rank.collapsed(question, candidates, WEIGHTS)
    names = [feature.name for feature in features_long.FEATURES]
    rows = features_long.LONG.rows(question, files)
    return {
        file.best.candidate.path: {name: value for name, value in zip(names, row, strict=True) if value}
        for file, row in zip(files, rows, strict=True)
    }


def question_of(text):
    query = parse(text)
    return features.question_of(query, terms(text).split())


def order(text, *candidates):
    return [file.best.candidate.path for file in rank.rank(question_of(text), candidates, WEIGHTS)]


@pytest.mark.parametrize("text", ["one\ntwo", " ".join(["word"] * 41)])
def test_a_text_of_several_lines_or_many_words_is_ranked_as_a_long_one(text):
    assert rank.feature_set_of(question_of(text)).name == "long"


@pytest.mark.parametrize("text", ["retry backoff", " ".join(["word"] * 40), "retry\n", "\n retry"])
def test_a_question_of_one_line_is_ranked_as_a_short_one(text):
    assert rank.feature_set_of(question_of(text)).name == "short"


def test_a_long_text_is_asked_with_weights_and_with_more_chunks(store):
    states = visible(store.sources(), None)

    def request(text):
        query = parse(text)
        return ask(query, resolve(query, states, {}, None), None).request

    long, short = request("Backoff\n\nIt retries forever."), request("backoff retries")
    assert len(long.terms) == len(long.term_weights) > 1
    assert (long.words, short.words, short.term_weights) == (LONG_WORDS, WORDS, ())


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("It fails\n\nsee https://github.com/acme/api/blob/main/lib/retry.py#L3", "link"),
        ("It fails\n\nin lib/retry.py", "path"),
        ('It fails\n\n  File "/home/me/api/lib/retry.py", line 3, in run', "frame"),
        ("It fails\n\nsince run_all returns nothing", "told_names"),
        ("It fails\n\n```\nrun_all(3)\n```", "pasted_names"),
        ("It fails\n\nas retry.run_all does", "member"),
        ("It fails to run them\n\nreally", "title_words"),
    ],
)
def test_a_file_that_a_text_names_is_told_from_others(text, feature):
    found = values(text, candidate("lib/retry.py", "run_all"), candidate("lib/other.py", "stop"))
    assert feature in found["lib/retry.py"]
    assert feature not in found["lib/other.py"]


def test_a_name_that_many_files_define_says_less_of_each():
    alone = values("It fails\n\nin run_all", candidate("a.py", "run_all"), candidate("b.py"))
    shared = values("It fails\n\nin run_all", candidate("a.py", "run_all"), candidate("b.py", "run_all"))
    assert alone["a.py"]["told_names"] > shared["a.py"]["told_names"] > 0


def test_the_frame_nearest_to_the_failure_counts_most_in_every_language():
    python = 'It fails\n\n  File "/x/lib/outer.py", line 1, in a\n  File "/x/lib/inner.py", line 2, in b'
    java = "It fails\n\tat lib.Inner.b(Inner.java:2)\n\tat lib.Outer.a(Outer.java:1)"
    found = values(python, candidate("lib/outer.py"), candidate("lib/inner.py"))
    assert found["lib/inner.py"]["frame"] > found["lib/outer.py"]["frame"]
    found = values(java, candidate("src/lib/Outer.java"), candidate("src/lib/Inner.java"))
    assert found["src/lib/Inner.java"]["frame"] > found["src/lib/Outer.java"]["frame"]


def test_the_whole_path_tells_files_of_one_name_apart():
    found = values("It fails\n\nin http/client.py", candidate("src/http/client.py"), candidate("src/ftp/client.py"))
    assert "path" in found["src/http/client.py"]
    assert "path" not in found["src/ftp/client.py"]


@pytest.mark.parametrize(
    ("path", "kind", "marks"),
    [
        ("tests/test_retry.py", "code", ()),
        ("examples/retry.py", "code", ()),
        ("docs/retry.md", "docs", ()),
        ("conf/retry.toml", "config", ()),
        ("dist/retry.js", "code", ()),
        ("lib/retry_tables.py", "code", ("generated",)),
        ("third_party/retry.py", "code", ()),
    ],
)
def test_what_is_no_source_code_comes_last_for_a_long_text_whatever_words_it_has(path, kind, marks):
    text = "Retry fails\n\nsee tests, examples, docs and the generated file"
    aside = candidate(path, "retry", content=50.0, kind=kind, marks=marks)
    assert order(text, aside, candidate("lib/other.py", content=1.0)) == ["lib/other.py", path]


def test_of_a_file_in_a_trace_the_chunk_with_the_function_stands_first_then_the_one_with_the_line():
    trace = 'It fails\n\n  File "/x/lib/retry.py", line 25, in wait\n'
    other = candidate("lib/retry.py", start=1, content=9.0)
    by_line = candidate("lib/retry.py", start=20)
    by_name = candidate("lib/retry.py", "wait", start=40)

    def first(*chunks):
        return rank.collapsed(question_of(trace), chunks, WEIGHTS)[0].best.candidate.start_line

    assert first(other, by_line, by_name) == 40
    assert first(other, by_line) == 20
    assert first(other) == 1


@pytest.mark.parametrize("path", ["src/other/retry.py", "src/lib/other.py"])
def test_a_frame_is_in_no_other_file(path):
    frame = Frame("/x/lib/retry.py", 25, "wait")
    assert Stack([frame]).passes(candidate("src/lib/retry.py", "wait")) == 1
    assert Stack([frame]).passes(candidate(path, "wait")) == 0


def test_an_issue_finds_the_file_that_it_is_about(engine):
    issue = """Retries never stop

    ### Expected behavior

    The exponential backoff ends.

    ```python
    RetryPolicy().wait(1)
    ```
    """
    hits = engine.search(issue, repo="acme/api").hits
    assert hits[0].path == "src/retry.py"
    assert {hit.path for hit in hits[-4:]} & {
        "README.md",
        "CHANGELOG.md",
        "tests/test_retry.py",
        "vendor/retry/retry.py",
    }


def test_a_trace_finds_the_file_in_which_the_program_was(engine):
    trace = 'Traceback (most recent call last):\n  File "/venv/lib/api/src/client.py", line 6, in send\nValueError: no'
    assert engine.search(trace, repo="acme/api").hits[0].path == "src/client.py"


def test_the_shares_of_a_long_text_add_up_to_the_score(engine):
    for hit in engine.search("Retries\n\nRetryPolicy waits, see src/retry.py", repo="acme/api", explain=True).hits:
        assert hit.score == pytest.approx(sum(hit.why["signals"].values()))


def test_the_lines_that_match_a_long_text_are_those_with_its_heaviest_terms(engine):
    filler = " ".join(f"filler{chr(97 + n)}" for n in range(20))
    issue = f"Backoff doubles\n\n{filler} {filler} attempt"
    hit = next(hit for hit in engine.search(issue, repo="acme/api").hits if hit.path == "src/retry.py")
    lines = dict(enumerate(hit.text.split("\n"), hit.start_line))
    assert hit.matched_lines
    assert all("backoff" in lines[number].lower() for number in hit.matched_lines)
