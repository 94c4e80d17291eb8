"""What of a chunk a query is about: the lines that match, and the name that the chunk is shown under.

Lines match that a pattern of the query matches; without patterns, those that have a word of it. Of several names that a chunk
defines, the one that fits best is what was found: reading begins there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from codequarry import text
from codequarry.search.features import FUNCTION_KINDS, TYPE_KINDS, Question, name_terms
from codequarry.types import Candidate, Pattern, Symbol

if TYPE_CHECKING:
    from codequarry.store.prefilter import LinePattern

LONG_MARKS = 12
"""How many terms of a long text mark lines, those that weigh most: one of all its terms stands in every other line."""

_KINDS = dict.fromkeys(FUNCTION_KINDS, 0.7) | dict.fromkeys(TYPE_KINDS, 0.4)
_ON_LINES, _AS_WRITTEN = 0.4, 10.0
"""What counts for the name that a chunk is shown under, where a name of just the question's words has 1: its kind, all these words
on its lines, that it is the question. Kinds and lines are rounded from a soft-max over the names of a chunk, fitted to functions of
the packages in bench/descriptions.tsv; types, which no description there asks for, got less by it.
"""

_NO_TERMS: frozenset[str] = frozenset()
_Lines = Mapping[int, frozenset[str]]  # what of the question stands on a line, by its number


class Matcher:
    """Reads chunks for one query."""

    def __init__(self, question: Question, patterns: Sequence[Pattern]) -> None:
        self._patterns = _line_patterns(patterns)
        self._text = question.symbol or question.text.strip()
        terms = question.terms[:LONG_MARKS] if question.is_long else question.terms
        self._terms = frozenset(() if patterns else terms)
        self._words = [_Words(self._terms)]
        if question.symbol and not patterns and (whole := text.terms(question.symbol).split()[:1]):
            self._words.insert(
                0, _Words(frozenset(whole))
            )  # the name itself tells more than its parts, where it stands

    def lines(self, body: str, first: int) -> tuple[int, ...]:
        """The numbers of the lines that match, the first line of `body` being number `first`."""
        return tuple(sorted(self._lines(body, first)))

    def read(self, candidate: Candidate, body: str) -> tuple[tuple[int, ...], Symbol | None]:
        """The numbers of the lines that match, and the name that the chunk is shown under, if it defines one."""
        lines = self._lines(body, candidate.start_line)
        matched = tuple(sorted(lines))
        if not candidate.symbols:
            return matched, None
        return matched, self._fitting(candidate, lines) if self._terms else _at(matched, candidate.symbols)

    def begins(self, symbol: Symbol | None) -> int:
        """The line where reading should begin, 0 where the lines that match say so: those of patterns."""
        return symbol.line if symbol and self._terms else 0

    def _lines(self, body: str, first: int) -> _Lines:
        if self._patterns:
            data = body.encode("utf-8", "surrogateescape")
            return {first + number: _NO_TERMS for pattern in self._patterns for number in pattern.lines(data)}
        found = next(filter(None, (words.lines(body) for words in self._words)), {})
        return {first + number: terms for number, terms in found.items()}

    def _fitting(self, candidate: Candidate, lines: _Lines) -> Symbol:
        """The name that is the question, else the one that fits best, of equal ones the first.

        It fits by the question's words that it has, for the share of it that they are, and by those on its lines, up to the next
        name; a function's fits better than others', since code is asked for by what it does.
        """
        symbols, asked = candidate.symbols, self._terms
        if len(symbols) == 1:
            return symbols[0]
        starts = sorted({line for _, _, line in symbols})
        below: dict[int, frozenset[str]] = {}
        for at, terms in lines.items():
            if place := bisect_right(starts, at):
                start = starts[place - 1]
                below[start] = below[start] | terms if start in below else terms
        best, most, each = symbols[0], -1.0, 1 / len(asked)
        for symbol in symbols:
            name, kind, line = symbol
            fits = _KINDS.get(kind, 0.0)
            if line in below:
                fits += _ON_LINES * each * len(below[line])
                own = name_terms(name)  # a name with a word of the question stands on a line that has it
                if shared := len(asked & own):
                    fits += each * shared * shared / len(own)
                    fits += _AS_WRITTEN * (name == self._text)
            if fits > most:
                best, most = symbol, fits
        return best


def _at(matched: Sequence[int], symbols: Sequence[Symbol]) -> Symbol:
    """The name on a line that matches, else the last before them, else the first."""
    if on_them := [symbol for symbol in symbols if symbol.line in matched]:
        return on_them[0]
    before = [symbol for symbol in symbols if matched and symbol.line <= matched[0]]
    return before[-1] if before else symbols[0]


class _Words:
    """Finds the lines that have one of some terms."""

    def __init__(self, terms: frozenset[str]) -> None:
        self._telling = _Telling(terms)
        beginnings = {text.beginning(term) for term in terms} - {""}
        self._beginnings = sorted(beginning.encode("utf-8", "replace") for beginning in beginnings)
        self._ascii = all(map(bytes.isascii, self._beginnings))

    def lines(self, body: str) -> dict[int, frozenset[str]]:
        """The terms on each line that has some, by its number from 0: of several words that begin alike on a line the first's.

        The whole text is searched for the beginnings, and only the words around them are looked at: a text has some hundred
        words, of which a few tell.
        """
        data, telling = body.encode("utf-8", "replace"), self._telling
        found: dict[int, frozenset[str]] = {}
        if not self._ascii:  # what is a capital, and what a word begins with, is not so simple there
            for number, line in enumerate(data.split(b"\n")):
                if terms := _NO_TERMS.union(*map(telling.__getitem__, text.split(line))):
                    found[number] = terms
            return found
        words = b" %b " % text.spaced(data)
        low = words.lower()
        for beginning in self._beginnings:
            number = counted = 0
            at = low.find(beginning)
            while at >= 0:
                end = low.find(b" ", at)
                if terms := telling[words[words.rfind(b" ", 0, at) + 1 : end]]:
                    number += data.count(b"\n", counted, at - 1)
                    counted = at - 1
                    found[number] = found[number] | terms if number in found else terms
                    end = data.find(b"\n", counted) + 1
                    if not end:
                        break
                at = low.find(beginning, end)
        return found


class _Telling(dict[bytes, frozenset[str]]):
    """The terms of a question that a word has: the lines of an answer have the same words again and again."""

    def __init__(self, terms: frozenset[str]) -> None:
        self._terms = terms

    def __missing__(self, word: bytes) -> frozenset[str]:
        found = self[word] = self._terms.intersection(text.terms_of([word]).split())
        return found


def _line_patterns(patterns: Sequence[Pattern]) -> list[LinePattern]:
    if not patterns:
        return []
    from codequarry.store.prefilter import LinePattern

    return [LinePattern(pattern) for pattern in patterns]
