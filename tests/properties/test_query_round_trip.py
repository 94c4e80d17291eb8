"""A query that is written out and read again is the same query; no text makes the reader fail in another way than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codequarry.errors import QuerySyntax
from codequarry.search.query import FILTERS, Item, Query, parse, regex_problem

# Mostly the characters that mean something to the reader.
texts = st.text(st.one_of(st.sampled_from(list('ab "/\\-:.*()[] \tpathlng')), st.characters()), max_size=60)
pieces = st.lists(
    st.sampled_from(
        ["-", '"', "/", "\\", "repo:", "lang:go", "-path:a", "foo", "bar/", "/x", " ", '"a b"', "/a.*b/", "::"]
    ),
    max_size=14,
).map("".join)


def written_again(query):
    return parse(str(query), plain=query.plain, syntax=not query.plain)


@given(st.one_of(texts, pieces), st.booleans())
def test_reading_writing_and_reading_gives_the_same_query(text, syntax):
    try:
        query = parse(text, syntax=syntax)
    except QuerySyntax as error:
        assert 0 <= error.position <= len(text)
        assert error.message and error.hint
        return
    assert written_again(query) == query


words = st.text(st.sampled_from(list('abc"/\\-:.*')), min_size=1, max_size=8)
values = st.text(st.sampled_from(list('abc "\\/*.')), min_size=1, max_size=8).filter(lambda value: value.strip())
regexes = st.text(st.sampled_from(list("ab.*+/\\w[]() ")), min_size=1, max_size=10).filter(
    lambda source: (
        source.strip() == source
        and "\\/" not in source
        and not source.endswith("\\ ")
        and regex_problem(source) is None
    )
)
items = st.one_of(
    st.builds(Item, st.just("word"), words, st.just(False)),
    st.builds(Item, st.just("word"), st.sampled_from(["drop", "camelCase", "_x"]), st.just(True)),
    st.builds(Item, st.just("phrase"), values, st.booleans()),
    st.builds(Item, st.just("regex"), regexes, st.booleans()),
    st.builds(Item, st.sampled_from(FILTERS), values, st.booleans()),
)


@given(st.lists(items, min_size=1, max_size=6))
def test_any_query_can_be_written_and_read(parts):
    query = Query(tuple(parts))
    assert written_again(query) == query
