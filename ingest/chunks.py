"""A file's text to chunks: nothing lost, nothing twice, exact lines.

What holds for every text: each line that is not blank is in one chunk; chunks are sorted and disjoint; a chunk is whole
lines, begins and ends with one that is not blank, and has at most `MAX_LINES` lines and `MAX_CHARS` characters unless it is
a single longer line. An outline (`ingest.syntax`, `ingest.sql`, `ingest.documents`) says where breaks are good; one greedy
pass makes chunks as full as good breaks allow, for very short chunks win word searches that they do not answer.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from codequarry.ingest import documents, languages
from codequarry.ingest.outline import MAX_CHARS, MAX_LINES, Break, Definition, Lines, Outline, blank
from codequarry.types import Chunk, Symbol

__all__ = ["MAX_CHARS", "MAX_LINES", "cut"]

_LEVEL_COST = 18
"""How many lines of a chunk may stay empty for a break that is one level better."""
_INSIDE_COST = 6
"""And how many more when it is not at the top: a class of its own does not begin behind the tail of another."""
_DEEPEST = 8
_SHORT = 12
"""A piece with fewer lines than this says too little: breaks that leave one cost more."""
_AFTER_BLANK_BONUS = 3

_BREADCRUMB_LIMIT = 200
_SIGNATURE_LIMIT = 90
_COMMENT = re.compile(r"(?:^|\s)(?://|--|#)\s[^\n]*|/\*.*?\*/", re.DOTALL)
_BEFORE_PARAMETERS = re.compile(r"^(?:async\b\s*)?(?:function\b\*?\s*\w*\s*)?")
_PARTS = " › "


def cut(text: str, language: str, path: str) -> list[Chunk]:
    """The chunks of a text, in order, with lines, bytes, kind, breadcrumb and symbols; none for a blank text.

    `language` is a name of `ingest.languages`, or "". Never raises: what no parser accepts is cut by lines.
    """
    lines = Lines.of(text)
    kind = languages.kind_of(language)
    outline = _outline(text, lines, language, kind)
    spans = _pack(lines, outline.breaks)
    begins = lines.begins
    made = []
    finder = _Finder(outline.definitions, path, text)
    for first, last in spans:
        breadcrumb, symbols = finder.describe(first, last)
        made.append(Chunk(first + 1, last + 1, begins[first], begins[last + 1] - 1, kind, breadcrumb, symbols))
    return made


def _outline(text: str, lines: Lines, language: str, kind: str) -> Outline:
    row = languages.LANGUAGES.get(language)
    if row is not None and row.grammar:
        from codequarry.ingest import syntax

        found = syntax.outline(text.encode(), lines, row.grammar)
        if found is not None:
            return found
    if language == "sql":
        from codequarry.ingest import sql

        return sql.outline(text, lines)
    if kind == "docs":
        return documents.by_headings(lines, language)
    if kind == "config":
        return documents.by_blocks(lines, language)
    return documents.by_lines(lines, kind)


# --------------------------------------------------------------------------------------------------------------- packing


def _pack(lines: Lines, breaks: list[Break]) -> list[tuple[int, int]]:
    """First and last row of each chunk."""
    rows, offsets = lines.rows, lines.offsets
    end = len(rows)
    while end and blank(rows[end - 1]):
        end -= 1
    breaks = _sorted_once(breaks)
    at = [row for row, _, _ in breaks]
    spans = []
    start = _skip_blank(rows, 0, end)
    while start < end:
        limit = min(start + MAX_LINES, end)
        if offsets[limit] - offsets[start] > MAX_CHARS + 1:
            limit = max(bisect_right(offsets, offsets[start] + MAX_CHARS + 1, start, limit) - 1, start + 1)
        limit = _skip_blank(rows, limit, end)
        stop = end
        if limit < end:
            near = breaks[bisect_right(at, start) : bisect_right(at, limit)]
            stop = _best(lines, start, end, near) if near else _between_paragraphs(rows, start, limit)
        last = stop - 1
        while blank(rows[last]):
            last -= 1
        spans.append((start, last))
        start = _skip_blank(rows, stop, end)
    return spans


def _sorted_once(breaks: list[Break]) -> list[Break]:
    """Breaks by row; where several ways lead to one row, the best."""
    best: dict[int, Break] = {}
    for one in sorted(breaks):
        best.setdefault(one[0], one)
    return list(best.values())


def _skip_blank(rows: list[str], row: int, end: int) -> int:
    while row < end and blank(rows[row]):
        row += 1
    return row


def _best(lines: Lines, start: int, end: int, near: list[Break]) -> int:
    """The row before which to cut: a good level, a full chunk, and no short rest of what is cut in two."""
    rows, offsets = lines.rows, lines.offsets
    best_cost, best_row = 1 << 30, near[-1][0]
    for row, level, until in near:
        length = row - start
        free = min(MAX_LINES - length, (MAX_CHARS - offsets[row] + offsets[start]) // 80)
        cost = (min(level, _DEEPEST) * _LEVEL_COST + _INSIDE_COST if level else 0) + max(free, 0)
        if length < _SHORT:
            cost += 3 * (_SHORT - length)
        rest = min(until + 1, end) - row
        if rest < _SHORT:
            cost += 2 * (_SHORT - rest)
        if blank(rows[row - 1]):
            cost -= _AFTER_BLANK_BONUS
        if cost <= best_cost:
            best_cost, best_row = cost, row
    return best_row


def _between_paragraphs(rows: list[str], start: int, limit: int) -> int:
    """The last empty line in the second half of what would fit, else all of it."""
    for row in range(limit - 1, start + (limit - start) // 2, -1):
        if blank(rows[row]):
            return row
    return limit


# ----------------------------------------------------------------------------------------------- breadcrumbs and symbols


class _Finder:
    """Finds what the rows of a chunk define, and where they stand."""

    def __init__(self, definitions: list[Definition], path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.encoded: bytes | None = None
        self.all = definitions
        self.by_row = sorted((d.row, index) for index, d in enumerate(definitions) if d.kind)
        self.rows = [row for row, _ in self.by_row]
        self.members: dict[int, list[int]] = {}
        for index, definition in enumerate(definitions):
            self.members.setdefault(definition.scope, []).append(index)
        self.starts: dict[int, list[int]] = {}
        for scope, members in self.members.items():
            members.sort(key=lambda index: definitions[index].first)
            self.starts[scope] = [definitions[index].first for index in members]

    def describe(self, first: int, last: int) -> tuple[str, tuple[Symbol, ...]]:
        """Breadcrumb and symbols of the rows."""
        return self._breadcrumb(first, last), self._symbols(first, last)

    def _symbols(self, first: int, last: int) -> tuple[Symbol, ...]:
        """The names defined there, each once for its kind, in order."""
        found: dict[tuple[str, str], Symbol] = {}
        for row, index in self.by_row[bisect_left(self.rows, first) : bisect_right(self.rows, last)]:
            definition = self.all[index]
            found.setdefault((definition.name, definition.kind), Symbol(definition.name, definition.kind, row + 1))
        return tuple(found.values())

    def _breadcrumb(self, first: int, last: int) -> str:
        """The path, and from outside inwards each definition that most of the rows belong to."""
        parts = [self.path]
        room = _BREADCRUMB_LIMIT
        scope = -1
        while (inner := self._main(scope, first, last)) is not None:
            definition = self.all[inner]
            part = definition.name + self._signature(definition)
            if definition.owner:
                part = definition.owner + _PARTS + part
            room -= len(part) + len(_PARTS)
            if room < 0:
                break
            parts.append(part)
            scope = inner
        return _PARTS.join(parts)

    def _main(self, scope: int, first: int, last: int) -> int | None:
        """The definition within `scope` that the rows are about: it has more than half of them, or is alone and has a third."""
        members = self.members.get(scope)
        if not members:
            return None
        best, most, several, only, share = None, 0, False, None, 0
        upto = bisect_right(self.starts[scope], last)
        for index in reversed(members[:upto]):
            definition = self.all[index]
            if definition.last < first:
                break  # siblings do not overlap
            common = min(definition.last, last) - max(definition.first, first) + 1
            if common > most or (common == most and definition.first < first):
                best, most = index, common
            if definition.kind not in _SMALL and definition.row >= first:
                several = several or only is not None
                only, share = index, common
        if 2 * most > last - first + 1:
            return best
        return only if not several and 3 * share > last - first + 1 else None

    def _signature(self, definition: Definition) -> str:
        start, end = definition.signature
        if end <= start:
            return ""
        if self.encoded is None:
            self.encoded = self.text.encode()
        text = self.encoded[start : min(end, start + 8 * _SIGNATURE_LIMIT)].decode("utf-8", "ignore")
        text = " ".join(_COMMENT.sub("", text).split())
        text = _BEFORE_PARAMETERS.sub("", text.removesuffix("=>").rstrip(" {=:;"))
        text = text.replace("( ", "(").replace(", )", ")").replace(" )", ")")
        if len(text) > _SIGNATURE_LIMIT:
            text = text[: _SIGNATURE_LIMIT - 1] + "…"
        return text if not text or text[0] in "([<:" else " " + text


_SMALL = frozenset({"constant", "variable", "field", "type", "key", "macro", ""})
"""Kinds of definitions that seldom are what a chunk of mixed content is about."""
