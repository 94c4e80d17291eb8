"""The files of the embedded store, each by itself: vectors, facts and texts, identifiers."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
import re2
from builders import EMBEDDER, blob_of, publish, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexed import MAIN, dot

from codequarry import text
from codequarry.store.embedded import EmbeddedStore, facts, identifiers, vectors
from codequarry.store.prefilter import requirement
from codequarry.store.schema import terms_hash
from codequarry.types import Pattern, Request, Scope, Symbol


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_best_rows_are_those_of_a_full_sort(tmp_path: Path, data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    rows, dim = chance.choice([0, 1, 50, 2_500, 9_000]), 64
    pool = [EMBEDDER.embed_question(f"w{chance.random()}") for _ in range(chance.choice([1, 40]))]
    if data.draw(st.booleans()):
        pool.append(bytes([127]) * dim)  # longer than any vector of a model
    path = str(tmp_path / "v")
    Path(path).unlink(missing_ok=True)
    vectors.write(path, dim, [(0, b"".join(chance.choice(pool) for _ in range(rows)))])
    file = vectors.Vectors(path, dim)
    question, count = chance.choice(pool), chance.choice([1, 7, 100, 600])
    starts = sorted(chance.sample(range(rows + 1), min(rows, 6)))
    runs = chance.choice([None, [(one, two - one) for one, two in pairwise(starts)][::2]])
    wanted = range(rows) if runs is None else [row for first, size in runs for row in range(first, first + size)]
    scores = sorted((-dot(question, file.row(row)), row) for row in wanted)
    last = scores[min(count, len(scores)) - 1][0] if scores else 0
    assert file.best(question, count, runs) == [(-score, row) for score, row in scores if score <= last]
    some = [row for row in (0, 3, rows + 5) if rows]
    assert file.dots(question, some) == [dot(question, file.row(row)) if row < rows else 0.0 for row in some]


@pytest.mark.parametrize("packed_from", [0, 1 << 30])
def test_facts_and_text_of_a_file_come_back_as_they_were(packed_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_PACKED_FROM", packed_from)
    content = "".join(f"def f{number}():\n    return '{'x' * 3_000}'\n\n\n" for number in range(60))
    file = version("caf\udce9/a.py", content)
    file.chunks[3].breadcrumb = "elsewhere › f"
    file.chunks[4].symbols = (Symbol("operator new", "function", 17), Symbol("naïve", "variable", 18))
    packed, frames = facts.pack(file)
    assert packed.startswith(facts._PACKED) == (packed_from == 0)
    read = facts.Facts(file.path, packed)
    assert read.chunks == len(file.chunks)
    for number, chunk in enumerate(file.chunks):
        one = read[number]
        assert (one.start_line, one.end_line, one.start_byte, one.end_byte) == (
            chunk.start_line,
            chunk.end_line,
            chunk.start_byte,
            chunk.end_byte,
        )
        assert (one.kind, one.breadcrumb, one.symbols) == (chunk.kind, chunk.breadcrumb, chunk.symbols)
        assert (one.text_hash, one.terms_hash) == (chunk.content_hash, terms_hash(chunk, file.path_terms))
        assert read.span(number) == (chunk.start_byte, chunk.end_byte)
    texts = [facts.unpack(frame) for frame in frames]
    assert b"".join(texts) == file.text
    assert len(texts) > 2
    assert all(len(one) <= facts.FRAME_BYTES for one in texts)
    borders = read.frames()
    assert [len(one) for one in texts] == [end - start for start, end in pairwise(borders)]
    assert {*borders[1:-1]} <= {chunk.start_byte for chunk in file.chunks}


WORDS = [
    "lock",
    "unlock",
    "LOCK",
    "lock2",
    "caf\u00e9lock",
    "locksmith",
    "block",
    "x1f",
    "deadbeef",
    "lo",
    "ck",
    "\u212aey",
]


@pytest.mark.parametrize(
    "regex",
    ["lock", r"\(lock", r"lock\(", r"\(lock\(", r"(?i)lock", r"\block\b", "[0-9a-f]{8}", r"\bx\d", "(?i)key", "l.ck"],
)
def test_the_identifiers_that_match_a_piece_are_all_that_do(tmp_path: Path, regex: str) -> None:
    path = str(tmp_path / "identifiers")
    identifiers.append(path, WORDS[:5])
    identifiers.append(path, [*WORDS[3:], "y" * 500])
    file = identifiers.Identifiers(path)
    need = requirement(regex)
    pieces = [piece for part in getattr(need, "parts", [need]) for piece in part.pieces]
    for piece in pieces:
        expected = {word for word in WORDS if re2.fullmatch(piece.regex, word)}
        found = set(file.matching(piece, 1_000) or ())
        assert found - {text.LONG} == expected
        assert piece.exact or text.LONG in found
    assert file.matching(pieces[0], 0) is None or pieces[0].exact


def test_words_that_are_too_long_to_be_indexed_are_found_by_pattern_all_the_same(store: EmbeddedStore) -> None:
    long = "k" * 50 + "needle" + "z" * 100_000
    publish(store, MAIN, {"a.txt": f"before {long} after\n", "b.txt": "needle\n", "c.txt": "nothing\n"})
    for regex, expected in [
        ("needle", {"a.txt", "b.txt"}),
        ("before k+needle", {"a.txt"}),
        (r"zz after", {"a.txt"}),
        (re2.escape(long), {"a.txt"}),
    ]:
        assert {one.path for one in store.retrieve(Request(Scope(patterns=(Pattern(regex),)))).candidates} == expected
    assert blob_of("needle\n") in {one.blob for one in store.retrieve(Request(terms=("needl",))).candidates}


def test_what_is_kept_of_versions_is_that_of_those_looked_up_last(store: EmbeddedStore) -> None:
    publish(store, MAIN, {"a.py": "def lock(): pass\n", "b.py": "def unlock(): pass\n"})
    asked = Request(Scope(), ("lock", "unlock"))
    assert len(store.retrieve(asked).candidates) == 2
    for number in range(5):
        publish(store, MAIN, {"a.py": f"def lock(): return {number}\n", "b.py": "def unlock(): pass\n"})
        assert len(store.retrieve(asked).candidates) == 2
    with store._reading() as (_, view):
        assert len(view.kept.facts) <= 3  # both versions that are shown, and the one before
