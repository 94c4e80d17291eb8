"""The prefilter never excludes a text that the pattern matches, and it does exclude most others."""

from __future__ import annotations

from itertools import chain, product

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from codequarry import text
from codequarry.errors import BadInput
from codequarry.store.prefilter import Edge, Every, LinePattern, Phrase, Piece, Requirement, Some, requirement
from codequarry.types import Pattern


def holds(need: Requirement | None, words: list[str]) -> bool:
    """The tree, evaluated over the words of one text in order."""
    if need is None:
        return True
    if isinstance(need, Every):
        return all(holds(part, words) for part in need.parts)
    if isinstance(need, Some):
        return any(holds(part, words) for part in need.parts)
    count = len(need.pieces)
    return any(
        all(re2.fullmatch(piece.regex, word) for piece, word in zip(need.pieces, words[at : at + count], strict=True))
        for at in range(len(words) - count + 1)
    )


def keeps(regex: str, content: str) -> bool:
    return holds(requirement(regex), text.words(content))


ATOMS = st.sampled_from(
    [
        *r"a b k S 1 _ \( \. é . \w \W \d \D \s \S \b \B ^ $ \A \z \t \pL ab foo (?i)".split(),
        *r"[ab] [^a] [a-k] [\s(] [\w(] [é1] [^x] [à-ü] [[:alpha:]]".split(),
        *(" ", "\u3000", "\u212a", "[_ ]", "[^ ]", "[ -é]"),
    ]
)


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,3}", "*?", "{0}", "{2,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        inner.map(lambda part: f"(?i:{part})"),
        inner.map(lambda part: f"({part})"),
        inner.map(lambda part: f"(?P<n>{part})?"),
    )


_WORDY = st.sampled_from(
    [*r"a b ab a+ [ab] (?:a|b) \w+  (?i:k) é a? \s+ \( \(? (?:ab)* (?:a\()+ (?:b|\() . ^ $ [^a]".split(), " ", " ?"]
)
REGEXES = st.one_of(
    st.recursive(ATOMS, _combined, max_leaves=10), st.lists(_WORDY, min_size=2, max_size=8).map("".join)
)
TEXTS = st.text(st.sampled_from("ab k("), max_size=16) | st.text(
    st.sampled_from("aabBkKsS1_ (.é\u3000\u212a\u017f\n\tfo"), max_size=24
)


@settings(max_examples=1500)
@given(REGEXES, st.lists(TEXTS, min_size=1, max_size=6))
def test_a_text_that_the_pattern_matches_is_never_excluded(regex: str, texts: list[str]) -> None:
    try:
        pattern = LinePattern(Pattern(regex))
    except BadInput:
        return
    for content in texts:
        if pattern.matches(content.encode()):
            assert keeps(regex, content), (regex, content, requirement(regex))


def test_no_short_text_is_excluded_from_a_short_pattern_that_matches_it() -> None:
    """All patterns of up to three of these parts, over all texts of up to four of these signs."""
    atoms = ["a", "é", r"\b", " ", r"\(?", "a?", r"(?:a|é)", "(?i:k)", r"\s*", "[^a]", "$"]
    texts = ["".join(signs) for count in range(5) for signs in product("aé \u212a", repeat=count)]
    words = {content: text.words(content) for content in texts}
    checked = 0
    for parts in chain.from_iterable(product(atoms, repeat=count) for count in (1, 2, 3)):
        regex = "".join(parts)
        need, pattern = requirement(regex), LinePattern(Pattern(regex))
        if need is None:
            continue
        for content in texts:
            if pattern.matches(content.encode()):
                checked += 1
                assert holds(need, words[content]), (regex, content, need)
    assert checked > 10_000


@settings(max_examples=800)
@given(TEXTS, st.data())
def test_a_piece_of_a_text_is_never_excluded_from_it(content: str, data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(content.split("\n")))
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    literal = line[start:end]
    folded = data.draw(st.booleans())
    regex = f"(?i){re2.escape(literal.swapcase())}" if folded else re2.escape(literal)
    if not folded:
        assert LinePattern(Pattern(regex, literal)).matches(content.encode())
    if LinePattern(Pattern(regex)).matches(content.encode()):
        assert keeps(regex, content), (regex, requirement(regex))


@settings(max_examples=600)
@given(REGEXES, TEXTS)
def test_a_pattern_matches_a_text_when_it_matches_one_of_its_lines_alone(regex: str, content: str) -> None:
    try:
        pattern = LinePattern(Pattern(regex))
    except BadInput:
        return
    options = re2.Options()
    options.never_nl = True
    options.log_errors = False
    alone = re2.compile(regex.encode(), options)
    matching = [number for number, line in enumerate(content.encode().split(b"\n")) if alone.search(line)]
    assert pattern.lines(content.encode()) == matching
    assert pattern.matches(content.encode()) == bool(matching)


@pytest.mark.parametrize(
    ("regex", "content"),
    [
        (r"foo\.bar", "foo baz bar"),
        (r"foo\(bar\)", "foo(bar2)"),
        (r"\bfoo\b", "food"),
        (r"rate_limit\(ctx, \d+", "rate_limit(ctx, n)"),
        (r"(?:open|close)_file", "shut_file"),
        (r"(?i)readall", "read all"),
        (r"foo\s+bar", "foobar"),
        (r"foo\s*\(", "food ("),
        (r"return$", "returned"),
        (r"^func main", "func domain"),
        (r"a[0-9a-f]{8}z", "a1234z"),
        (r"foo.*bar", "foo"),
    ],
)
def test_texts_without_the_needed_words_are_excluded(regex: str, content: str) -> None:
    assert not keeps(regex, content)


def test_the_words_of_a_literal_are_neighbours_and_only_its_ends_are_open() -> None:
    assert requirement(r"fmt\.Println\(err") == Phrase(
        (
            Piece("fmt", "fmt", Edge.OPEN, Edge.CLOSED, False),
            Piece("Println", "Println", Edge.CLOSED, Edge.CLOSED, False),
            Piece("err", "err", Edge.CLOSED, Edge.OPEN, False),
        )
    )


def test_nothing_is_known_where_python_and_re2_read_a_pattern_differently() -> None:
    assert requirement("[[:alpha:]]foo") is None
    assert requirement(r"\Qa.b\E") is None
    assert requirement(r"\pLfoo") is None


def test_a_class_that_begins_with_a_colon_is_no_class_with_a_name() -> None:
    assert requirement("pickCol[:=(]") == Phrase((Piece("pickCol", "pickCol", Edge.OPEN, Edge.CLOSED, False),))


def test_a_pattern_that_re2_refuses_is_bad_input() -> None:
    for regex in ["(a", r"(a)\1", "a(?=b)", "a)|(b", "*a"]:
        with pytest.raises(BadInput):
            LinePattern(Pattern(regex))


def test_the_end_of_a_line_is_before_its_carriage_return() -> None:
    pattern = LinePattern(Pattern("done$"))
    assert pattern.matches(b"all done\r\nnext")
    assert pattern.lines(b"x\r\nall done\r\nnext") == [1]
