"""What `codequarry.ports.Store.retrieve` promises of patterns, for every store."""

from __future__ import annotations

import pytest
import re2
from builders import publish, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import MAIN, candidates, found

from codequarry.ports import Store
from codequarry.types import Pattern, Request, Scope

LINES = {
    "a.go": 'func (s *Server) Shutdown(ctx context.Context) error {\n\treturn fmt.Errorf("closed")\n}\n',
    "b.go": "alpha\nbeta gamma\r\ndelta\r\nlast",
    "c.txt": "naïve café\nfoo_bar fooBar FOO\nx" + "y" * 300 + "z end\n",
    "d.txt": "one two\nthree\n\n\nthree four\none\n",
}


@pytest.mark.parametrize(
    ("regex", "paths"),
    [
        (r"fmt\.Errorf\(", ["a.go"]),
        (r"\(s \*Server\) Shutdown", ["a.go"]),
        (r"error \{$", ["a.go"]),
        (r"^\treturn", ["a.go"]),
        (r"beta gamma$", ["b.go"]),
        (r"^delta$", ["b.go"]),
        (r"alpha\s+beta", []),
        (r"alpha[^x]*beta", []),
        (r"(?s)alpha.beta", []),
        (r"\Alast\z", ["b.go"]),
        (r"naïve", ["c.txt"]),
        (r"\bcaf", ["c.txt"]),
        (r"foo_?bar", ["c.txt"]),
        (r"(?i)foobar", ["c.txt"]),
        (r"fooBa", ["c.txt"]),
        (r"oBa", ["c.txt"]),
        (r"y{200}", ["c.txt"]),
        (r"y{299}z\b", ["c.txt"]),
        (r"yyyyz end", ["c.txt"]),
        (r"one two", ["d.txt"]),
        (r"^one$", ["d.txt"]),
        (r"[[:upper:]]{3}$", ["c.txt"]),
        (r"FOO$|four$", ["c.txt", "d.txt"]),
        (r"nothing like this", []),
    ],
)
def test_a_pattern_matches_within_one_line(store: Store, regex: str, paths: list[str]) -> None:
    publish(store, MAIN, LINES)
    assert sorted({one.path for one in candidates(store, patterns=(Pattern(regex),))}) == paths


def test_case_counts_in_a_literal(store: Store) -> None:
    publish(store, MAIN, LINES)
    assert found(store, patterns=(Pattern("fooBar", "fooBar"),)) == [("c.txt", 1)]
    assert found(store, patterns=(Pattern("foobar", "foobar"),)) == []


def test_all_chunks_that_match_are_returned_with_their_number(store: Store) -> None:
    files = {f"f{number:02}.py": f"needle = {number}\n" for number in range(25)}
    publish(store, MAIN, {**files, "other.py": "hay = 1\n"})
    everything = store.retrieve(Request(scope=Scope(patterns=(Pattern("needle", "needle"),))))
    assert [one.path for one in everything.candidates] == sorted(files)
    assert (everything.total, everything.exact_total) == (25, True)
    some = store.retrieve(Request(scope=Scope(patterns=(Pattern("needle", "needle"),)), matches=10))
    assert [one.path for one in some.candidates] == sorted(files)[:10]
    assert some.total >= 10
    assert not some.exact_total or some.total == 25


def test_matches_are_in_order_of_their_score_and_those_without_a_term_last(store: Store) -> None:
    publish(
        store,
        MAIN,
        {"a.py": "needle = 1\n", "b.py": "needle = lock\n", "c.py": "needle = lock lock lock\n", "d.py": "lock\n"},
    )
    result = candidates(store, patterns=(Pattern("needle"),), terms="lock")
    assert [one.path for one in result] == ["c.py", "b.py", "a.py"]
    assert [one.content > 0 for one in result] == [True, True, False]
    first = candidates(store, patterns=(Pattern("needle"),), terms="lock", matches=1)
    assert [one.path for one in first] == ["c.py"]
    near = candidates(store, patterns=(Pattern("needle"),), terms="lock", near="needle")
    assert [one.path for one in near] == ["c.py", "b.py", "a.py"]
    assert all(one.cosine is not None for one in near)


ALPHABET = "ab_B1 (.é\n"
PIECES = st.sampled_from(
    [
        *r"a b ab _ B 1 \( \. é . \w \W \d \s \b ^ $ a+ b? [ab] [^a] (?:a|b1) (?i:ab) \w+ .* \s* (?:b\()? a{2}".split(),
        " ",
    ]
)


def _corpus() -> dict[str, str]:
    """Texts over a small alphabet: every short word stands somewhere, alone and inside others."""
    import random

    chance = random.Random(7)
    return {
        f"{number:03}.txt": "".join(chance.choice(ALPHABET) for _ in range(chance.randrange(4, 60)))
        for number in range(60)
    }


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_pattern_finds_what_a_full_scan_finds(store: Store, data: st.DataObject) -> None:
    corpus = _corpus()
    if not store.sources():
        publish(store, MAIN, corpus, lines=2)
    regex = "".join(data.draw(st.lists(PIECES, min_size=1, max_size=6)))
    try:
        alone = re2.compile(regex)
    except re2.error:
        return
    expected = [
        (path, chunk.start_line)
        for path, content in sorted(corpus.items())
        for chunk in version(path, content, lines=2).chunks
        if any(alone.search(line) for line in content.encode()[chunk.start_byte : chunk.end_byte].decode().split("\n"))
    ]
    assert found(store, patterns=(Pattern(regex),)) == expected
