"""The state of the page as an address: whatever it holds comes back from its URL. No browser is needed here."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codequarry.errors import BadInput
from codequarry.search.query import FILTERS
from codequarry.service.web.address import Address, Pick, exactly, shown_glob
from codequarry.service.web.code import Marker, rows
from codequarry.service.web.why import picture
from codequarry.text import glob_test

unhurried = settings(suppress_health_check=[HealthCheck.too_slow])

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(
    lambda text: text.encode().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
)
BYTES = st.binary(min_size=1).map(lambda data: data.decode("utf-8", "surrogateescape"))
LINES = st.integers(1, 10**9 - 1)
PICKS = st.builds(Pick, BYTES, BYTES | st.just(""), BYTES, st.text("0123456789abcdef", max_size=8), LINES, LINES)


@unhurried
@given(PICKS)
def test_a_pick_comes_back_from_its_text(pick):
    assert Pick.read(str(pick)) == pick


@unhurried
@given(st.text())
def test_what_is_no_pick_is_the_callers_error(text):
    with suppress(BadInput):
        assert str(Pick.read(text))


@unhurried
@given(
    NAMES,
    st.lists(st.tuples(st.sampled_from(FILTERS), BYTES), unique=True),
    st.booleans(),
    st.sampled_from(["", "10"]),
    st.lists(PICKS.map(str), unique=True, max_size=3),
    st.sampled_from(["", "500"]),
    st.sampled_from(["", "xml"]),
)
def test_an_address_comes_back_from_its_url(q, filters, plain, cursor, picks, budget, form):
    address = Address(q, tuple(filters), plain, cursor, tuple(picks), budget, form)
    url = address.url()
    assert url.isascii()
    assert Address.read(urlsplit(url).query) == address


@unhurried
@given(st.text(st.sampled_from("ab/.*?[]{}!\\, -é"), min_size=1).filter(lambda path: path.strip("/") == path != ""))
def test_an_exact_path_as_a_glob_matches_itself_and_nothing_near(path):
    matches = glob_test([exactly(path)])
    assert matches(path)
    assert matches(path + "/below")
    assert not matches("x" + path)
    assert not matches("x/" + path)
    assert not matches(path + "x")
    assert shown_glob(exactly(path)) == path


@unhurried
@given(st.lists(st.text(), min_size=1), st.sampled_from(["", "python", "go", "markdown"]))
def test_any_text_is_shown_line_for_line_and_nothing_of_it_is_markup(lines, language):
    lines = [line.replace("\n", "").replace("\r", "") for line in lines]
    made = list(rows(lines, 1, language, range(1, len(lines) + 1), Marker("a b <")))
    assert [row.number for row in made] == list(range(1, len(lines) + 1))
    for row in made:
        bare = row.html.replace("<mark>", "").replace("</mark>", "").replace("</span>", "")
        for name in "ckmsfdh":
            bare = bare.replace(f'<span class="{name}">', "")
        assert "<" not in bare
        assert ">" not in bare


@unhurried
@given(
    st.dictionaries(st.text(max_size=8), st.floats(-5, 5), max_size=8),
    st.dictionaries(st.sampled_from(["rank", "score"]), st.none() | st.integers(1, 9) | st.floats(0, 9)),
)
def test_any_shares_are_bars_within_the_picture_on_one_scale(shares, leg):
    made = picture({"signals": shares, "words": leg})
    assert len(made.bars) == sum(1 for value in shares.values() if value)
    for bar in made.bars:
        assert -0.02 <= bar.start <= 100.02
        assert bar.start + bar.width <= 100.02


def test_a_query_that_cannot_be_read_marks_nothing():
    assert Marker('"open').ranges("open") == []


@pytest.mark.parametrize(
    ("query", "line", "marked"),
    [
        ("parse the headers", "def parseHTTPHeader(parser):", ["parseHTTPHeader"]),
        ('"a b"', "x a b a b", ["a b", "a b"]),
        (r"/f\w+\(/", "foo(fun(", ["foo(", "fun("]),
        ("retry lang:go", "lang go retry", ["retry"]),
    ],
)
def test_words_phrases_and_patterns_are_marked_where_they_stand(query, line, marked):
    assert [line[start:end] for start, end in Marker(query).ranges(line)] == marked
