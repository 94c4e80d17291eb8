"""Code as HTML: rows with their numbers, coloured by Pygments, with the lines and words marked that a search was about.

Code is text of others. Control, bidi and other invisible characters stand in it written out, as on a terminal, and a very long line
is cut: what is shown is what is there, and nothing in it acts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from codequarry import text
from codequarry.errors import CodequarryError
from codequarry.search.query import Query, parse
from codequarry.service.highlight import Span, spans
from codequarry.service.terminal import printable

MOST_COLUMNS = 1000
"""Of a longer line the beginning is shown, and how much is left."""

MOST_COLOURED = 200_000
"""Characters: a longer text is not coloured, for that takes longer than reading it."""

# What the styles of a terminal are here, by what they stand for.
_CLASSES = {"dim": "c", "magenta": "k", "cyan": "m", "green": "s", "blue": "f", "yellow": "d", "bold": "h"}
_WORD = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Row:
    """A line. `left`: characters that are not shown."""

    number: int
    html: Markup
    matched: bool = False
    left: int = 0


class Marker:
    """Finds the words of a line that a query is about."""

    def __init__(self, query: str, *, plain: bool = False) -> None:
        self._terms: frozenset[str] = frozenset()
        self._patterns: list[Any] = []
        self._telling: dict[str, bool] = {}
        try:
            asked = parse(query, plain=plain)
        except CodequarryError:
            return
        self._patterns = _compiled(asked)
        if not self._patterns:
            self._terms = frozenset(text.question_terms(asked.question))

    def ranges(self, line: str) -> list[tuple[int, int]]:
        """Where they stand, in order, apart from each other."""
        found = [match.span() for pattern in self._patterns for match in pattern.finditer(line)]
        if self._terms:
            found += [match.span() for match in _WORD.finditer(line) if self._tells(match[0])]
        kept: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if start < end and (not kept or start >= kept[-1][1]):
                kept.append((start, end))
        return kept

    def _tells(self, word: str) -> bool:
        if word not in self._telling:
            self._telling[word] = not self._terms.isdisjoint(text.terms(word).split())
        return self._telling[word]


def _compiled(asked: Query) -> list[Any]:
    import re2

    return [re2.compile(pattern.regex) for pattern in asked.patterns()]


def rows(
    body: Sequence[str], first: int, language: str, matched: Collection[int] = (), marker: Marker | None = None
) -> Iterator[Row]:
    """The lines of a text, the first of them being number `first`; words are marked in the lines that match."""
    lines = [_shown(line) for line in body]
    coloured = _coloured(tuple(lines), language)
    for offset, (line, its_spans) in enumerate(zip(lines, coloured, strict=True)):
        number = first + offset
        is_match = number in matched
        ranges = marker.ranges(line) if marker and is_match else []
        yield Row(number, _html(its_spans, ranges), is_match, max(0, len(body[offset]) - MOST_COLUMNS))


def _shown(line: str) -> str:
    line = line.rstrip("\r")[:MOST_COLUMNS]
    return line if line.isprintable() else "\t".join(map(printable, line.split("\t")))


@lru_cache(maxsize=1024)
def _coloured(lines: tuple[str, ...], language: str) -> list[list[Span]]:
    """The same hits come again with every key that is typed."""
    if sum(map(len, lines)) > MOST_COLOURED:
        return [[("", line)] for line in lines]
    return spans(list(lines), language)


def _html(line: Sequence[Span], ranges: Sequence[tuple[int, int]]) -> Markup:
    """The spans as HTML, marks inside of them."""
    out: list[str] = []
    at = 0
    for style, piece in line:
        name = _CLASSES.get(style, "")
        inner = "".join(
            f"<mark>{escape(part)}</mark>" if marked else str(escape(part)) for part, marked in _cut(piece, at, ranges)
        )
        out.append(f'<span class="{name}">{inner}</span>' if name else inner)
        at += len(piece)
    return Markup("".join(out))  # noqa: S704  every text in it was escaped above


def _cut(piece: str, at: int, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """The parts of a piece that begins at column `at`, and whether they are marked."""
    here, end = at, at + len(piece)
    for start, stop in ranges:
        start, stop = max(start, here), min(stop, end)
        if start >= stop:
            continue
        if start > here:
            yield piece[here - at : start - at], False
        yield piece[start - at : stop - at], True
        here = stop
    if here < end:
        yield piece[here - at :], False
