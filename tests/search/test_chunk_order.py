"""Which chunk of a file is first: the one that defines what is asked for, whatever order the store found them in."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.search import features, rank
from codequarry.search.chunk_order import FEATURES, SET, ChunkOrder
from codequarry.search.feature_set import digest, weights_of
from codequarry.search.pool import collapsed
from codequarry.search.query import parse
from codequarry.search.retrieve import question_terms
from codequarry.types import Candidate, Place, Source, Symbol

WEIGHTS = (1.0, 0.8, 0.4)
REPORTS = Path(__file__).parents[2] / "bench" / "reports"
PATH = "app/http/server.py"


def chunk(start, *names, around="", kind="function", content=5.0, cosine=0.3):
    return Candidate(
        repo="github.com/acme/api",
        path=PATH,
        blob="b",
        language="python",
        marks=(),
        kind="code",
        start_line=start,
        end_line=start + 9,
        breadcrumb=f"{PATH} › {around}" if around else PATH,
        symbols=tuple(Symbol(name, kind, start + at) for at, name in enumerate(names)),
        content_hash=str(start),
        places=(Place(Source("github.com/acme/api", "main"), "c" * 40, "main", False, ""),),
        content=content,
        names=1.0 if names else 0.0,
        cosine=cosine,
    )


def question_about(text):
    query = parse(text, plain=True)
    return features.question_of(query, question_terms(query.question, set()))


def ordered(text, *chunks):
    (file,) = collapsed(question_about(text), chunks, WEIGHTS)
    return file.chunks


def starts(text, *chunks):
    return [found.candidate.start_line for found in ordered(text, *chunks)]


@pytest.mark.parametrize("text", ["parse multipart form", "Parses a form of several parts", "how is a form parsed"])
def test_the_chunk_whose_function_is_named_so_is_first_though_another_has_more_of_the_words(text):
    assert starts(text, chunk(1, "serve", content=8.0), chunk(11, "parse_multipart_form"))[0] == 11


def test_between_equal_names_words_decide_then_meaning_then_the_line():
    assert starts("close idle", chunk(1, "one"), chunk(11, "two", content=9.0)) == [11, 1]
    assert starts("close idle", chunk(1, "one"), chunk(11, "two", cosine=0.6)) == [11, 1]
    assert starts("close idle", chunk(11, "two"), chunk(1, "one")) == [1, 11]


def test_words_that_the_names_of_all_chunks_have_do_not_tell_which_is_meant():
    plain = [chunk(at, f"cookie_{name}") for at, name in ((1, "read"), (11, "write"), (21, "sort"))]
    rows = ChunkOrder(question_about("cookie domain")).rows(ordered("cookie domain", *plain, chunk(31, "domain_match")))
    named = {row[list(FEATURES).index("named")] for row in rows}
    assert len(named) == 2 and max(named) > 1.5 * min(named) > 0


def test_of_methods_of_one_name_that_of_the_class_asked_for_is_first():
    closers = [chunk(1, "close", around="Reader"), chunk(11, "close", around="Writer(Base)"), chunk(21, "close")]
    assert starts("writer close", *closers)[0] == 11
    assert starts("close reader", *closers)[0] == 1


def test_the_definer_of_a_name_is_first_whatever_else_speaks_against_it():
    user = chunk(1, "retry_policy_of", "retry_policies", content=40.0, cosine=0.9)
    assert starts("RetryPolicy", user, chunk(11, "RetryPolicy", kind="class", content=0.1, cosine=0.0))[0] == 11


def test_the_chunk_of_a_stack_frame_is_first_and_of_functions_of_one_name_that_of_the_line():
    frame = f'File "{PATH}", line 25, in close'
    closers = [chunk(at, "close", content=content) for at, content in ((1, 30.0), (21, 1.0))]
    assert starts(frame, *closers, chunk(11, "File", "line", content=50.0))[:2] == [21, 1]


def test_a_score_says_how_likely_a_chunk_is_beside_the_likeliest():
    found = ordered("parse form", chunk(1, "parse"), chunk(11, "serve"), chunk(21, "parse_form"))
    assert found[0].score == 1.0
    assert all(0.0 < one.score <= before.score for before, one in pairwise(found))


CHUNKS = st.lists(
    st.builds(
        lambda names, around, content, cosine: {"names": names, "around": around, "content": content, "cosine": cosine},
        st.lists(st.sampled_from(["parse", "parse_form", "serve", "Form", "form_of", "x"]), max_size=3),
        st.sampled_from(["", "Form", "Server › parse(form)", "a: b"]),
        st.sampled_from([0.0, 4.0, 5.0]),
        st.sampled_from([None, -0.2, 0.3]),
    ),
    min_size=1,
    max_size=6,
)


@given(CHUNKS, st.sampled_from(["parse form", "Parses the form of a request", "Form", "why"]), st.randoms())
def test_the_order_depends_on_the_chunks_alone_and_all_scores_are_numbers(made, text, random):
    chunks = [
        chunk(1 + 10 * at, *one["names"], around=one["around"], content=one["content"], cosine=one["cosine"])
        for at, one in enumerate(made)
    ]
    shuffled = list(chunks)
    random.shuffle(shuffled)
    assert starts(text, *chunks) == starts(text, *shuffled)
    assert all(math.isfinite(found.score) for found in ordered(text, *chunks))


def test_the_order_of_chunks_changes_no_score_of_a_file():
    question = question_about("parse multipart form")
    chunks = [chunk(1, "serve", content=8.0), chunk(11, "parse_multipart_form"), chunk(21, "form")]
    scores = {rank.rank(question, some, WEIGHTS)[0].score for some in (chunks, chunks[::-1])}
    assert len(scores) == 1


def test_every_feature_has_a_weight_and_the_report_names_their_digest():
    weights = weights_of(SET)
    assert set(weights.values) == set(FEATURES)
    assert digest(weights.values) == weights.digest
    assert f"digest `{weights.digest}`" in (REPORTS / f"{SET}.md").read_text(encoding="utf-8")
