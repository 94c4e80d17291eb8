"""A file's outline by its syntax tree. The tree lives only as long as the call.

Parsing is nearly all of the cost, so the tree is walked only where that changes something: into nodes that hold
definitions, and into nodes that are longer than a chunk. The walk keeps its own stack: trees nest deeper than Python does.
"""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from tree_sitter import Node, Parser, Tree

from codequarry.ingest import grammars
from codequarry.ingest.grammars import PLAIN, Grammar
from codequarry.ingest.naming import Names
from codequarry.ingest.outline import (
    MAX_CHARS,
    MAX_LINES,
    Break,
    Definition,
    Lines,
    Outline,
    breaks_by_lines,
    definitions_by_keyword,
)

MAX_PARSED_BYTES = 512 * 1024
"""Longer files are cut by lines: a tree takes 30 times the memory of its text, and people seldom write that much."""

_PARSE_SECONDS = 0.25
_PARSE_BYTES_PER_SECOND = 400_000
"""A parser gives way after this processor time, and what its file's length adds: a tenth of the usual speed. Wall time would make
chunks depend on what else the machine does; the number of steps says nothing, for a step of a lost parser has no bound."""

_BLOCKS = 20_000
_BLOCKS_PER_BYTE = 2.0
"""And when it holds more pieces of memory than this: code has 0.2 to 0.5 a byte, at most 1.1 seen. A parser that never closes what
it opens has 4, and recovering from that at the end of 20 KB takes gigabytes, in one step that nothing can stop."""

_NESTED = frozenset({"", "function", "class", "struct", "interface", "enum", "trait", "object", "module"})
_ANY_COLUMN = -1


def outline(text: bytes, lines: Lines, grammar: str) -> Outline | None:
    """The outline of a text in the language of the named grammar. None when the file is too long, or its parser too slow."""
    if len(text) > MAX_PARSED_BYTES:
        return None
    loaded = grammars.load(grammar)
    tree = _parse(text, grammar, loaded)
    return _Walk(loaded, text, lines).run(tree) if tree is not None else None


class _Parsers(threading.local):
    """The parsers of one thread, and the buffer that they read from.

    The binding keeps what a read callback returned for ever, once in a while when a lost parser goes back and forth. So it is
    given views of this one buffer, which cost 200 bytes each; copies of the text would add up to gigabytes.
    """

    def __init__(self) -> None:
        self.by_grammar: dict[str, Parser] = {}
        self.buffer = memoryview(bytearray(MAX_PARSED_BYTES))


_parsers = _Parsers()


def _parse(text: bytes, grammar: str, loaded: Grammar) -> Tree | None:
    """The tree of a text of at most `MAX_PARSED_BYTES`, None when the parser gave way."""
    until = time.thread_time() + _PARSE_SECONDS + len(text) / _PARSE_BYTES_PER_SECOND
    blocks = sys.getallocatedblocks() + _BLOCKS + int(len(text) * _BLOCKS_PER_BYTE)
    reports = 0
    _parsers.buffer[: len(text)] = text
    view = _parsers.buffer[: len(text)]

    def read(offset: int, _point: object) -> memoryview:
        return view[offset:]

    def gives_way(_offset: int, _has_error: bool) -> bool:
        nonlocal reports
        reports += 1
        return reports & 15 == 0 and (sys.getallocatedblocks() > blocks or time.thread_time() > until)

    parser = _parsers.by_grammar.get(grammar)
    if parser is None:
        parser = _parsers.by_grammar[grammar] = Parser(loaded.language)
    try:
        return parser.parse(read, progress_callback=gives_way)
    except ValueError:  # how the binding says that the callback stopped it
        parser.reset()
        return None


class _Task(NamedTuple):
    """A node to look into."""

    node: Node
    scope: int = -1  # definition that it belongs to
    level: int = 0  # of breaks between its children
    wrapper: int = -1  # row where the thing around a single thing begins, -1: it is no wrapper
    cuts: bool = True  # whether there may be breaks between its children
    inner: bool = False  # within a function: only nested functions and classes are symbols
    inside: str = "function"  # what functions here are called


class _Walk:
    """One walk over one tree."""

    def __init__(self, grammar: Grammar, text: bytes, lines: Lines) -> None:
        self.grammar = grammar
        self.text = text
        self.lines = lines
        self.breaks: list[tuple[int, int, int, int]] = []  # row, level, until, column
        self.plain: list[Break] = []
        self.leads: dict[int, tuple[int, int]] = {}  # row after a comment -> row and column where the comment begins
        self.definitions: list[Definition] = []
        self.broken: list[
            tuple[int, int, int]
        ] = []  # first row, last row and scope of what the parser did not understand

    def run(self, tree: Tree) -> Outline:
        root = tree.root_node
        stack = [_Task(root)]
        if root.is_error:
            self.broken.append((0, len(self.lines.rows) - 1, -1))
        while stack:
            task = stack.pop()
            stack.extend(self._look_into(task, -1 if task.node is root else task.node.start_point[0]))
        breaks: list[Break] = [
            (self._begin(row, column), level, until) if row in self.leads else (row, level, until)
            for row, level, until, column in self.breaks
        ]
        self._guess()
        return Outline(breaks + self.plain, self.definitions)

    def _begin(self, row: int, column: int) -> int:
        """Where a thing at `row` begins when the comments and attributes right above it are counted in."""
        lead = self.leads.get(row)
        return lead[0] if lead is not None and lead[1] in (column, _ANY_COLUMN) else row

    def _look_into(self, task: _Task, ended: int) -> list[_Task]:
        """Notes what the children of a node define and where it may be cut; returns those that are to be looked into.

        `ended` is the last row that something before the children stands on: a child on it does not begin its line.
        """
        node, scope, level, wrapper, cuts, inner, inside = task
        rules, breaks, leads = self.grammar.rules, self.breaks, self.leads
        offsets, begins = self.lines.offsets, self.lines.begins
        opened = ended < 0  # no break between a body's opening line and the first thing in it
        until = _last_row(node)
        added = 0
        before = ""
        below: list[_Task] = []
        for child in node.children:
            rule = rules[child.kind_id]
            if rule is None:
                continue
            start, end = child.start_byte, child.end_byte
            fresh = start >= begins[ended + 1]
            if fresh:
                row = bisect_right(begins, start, ended + 1) - 1
                column = start - begins[row]
            else:
                row, column = ended, 0
                if rule is PLAIN and end <= begins[row + 1]:
                    opened, before = True, ""
                    continue
            last = row if end <= begins[row + 1] else bisect_left(begins, end, row + 1) - 1
            ended = last
            first = row
            if wrapper >= 0:
                first = wrapper
            elif fresh and row in leads:
                first = self._begin(row, column)
            if rule.lead and fresh:
                leads[last + 1] = (first, _ANY_COLUMN if child.type == "access_specifier" else column)
                if first < row and rule.names is None:
                    added = 1
                    continue  # goes with the comment above it
            found = rule.names(child, self.text) if rule.names is not None else ()
            if found and inner:
                found = [one for one in found if one.kind in _NESTED]
            if fresh and cuts and opened:
                breaks.append((row, level + 1 if found and found[0].name == before else level, until, column))
                added = 1
            opened = True
            big = last - first >= MAX_LINES or offsets[last + 1] - offsets[first] > MAX_CHARS
            if rule is PLAIN:
                before = ""
                if big:
                    below.append(_Task(child, scope, level + added, -1, True, True, "function"))
                continue
            before = found[0].name if found else before if rule.lead else ""
            if rule.guess and last > row and not inner:
                self.broken.append((row, last, scope))
            if found:
                index = self._define(child, found, task, first, last)
                if found[0].inside:
                    deeper = level + (0 if rule.look else 1)
                    below.append(_Task(child, index, deeper, -1, False, inner, found[0].inside))
                elif big:
                    below.append(_Task(child, index, level + 2, -1, False, True, "function"))
            elif rule.look or rule.wrap:
                if big or not inner:
                    deeper = level + (added if inner else 0)
                    below.append(
                        _Task(child, scope, deeper, first if rule.wrap else -1, rule.look and big, inner, inside)
                    )
            elif rule.lead or rule.data:
                if big:
                    added = 1
                    self.plain += breaks_by_lines(self.lines, row, last, level + 1)
            elif big:
                below.append(_Task(child, scope, level + added, -1, True, True, "function"))
        if not added and not below:
            first = node.start_point[0]
            if self.lines.exceed(first, until):
                self.plain += breaks_by_lines(self.lines, first, until, level + 1)
        return below

    def _define(self, node: Node, found: Names, task: _Task, first: int, last: int) -> int:
        """Notes the names that a node defines; the index of the first."""
        index = len(self.definitions)
        for name in found:
            if "\n" in name.name or "\n" in name.owner:
                name = name._replace(name=" ".join(name.name.split())[:100], owner=" ".join(name.owner.split())[:100])
            kind, signature = name.kind, (0, 0)
            if kind == "function":
                kind = task.inside
            elif kind == "variable" and task.inside == "method":
                kind = "field"
            if kind in ("function", "method", "macro"):
                signature = _signature(node, name.after)
            self.definitions.append(
                Definition(name.name, kind, name.row, first, last, task.scope, name.owner, signature)
            )
        return index

    def _guess(self) -> None:
        """Adds what keywords tell of the rows that the parser could not make sense of."""
        known = {definition.row for definition in self.definitions}
        for first, last, scope in self.broken:
            found = definitions_by_keyword(self.lines, first, last, scope, len(self.definitions))
            self.definitions += [one._replace(kind="") if one.row in known else one for one in found]
            known.update(one.row for one in found)


def _last_row(node: Node) -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row


_BODIES = frozenset(
    {"function_body", "match", "do_block", "block", "enum_class_body", "template_body", "computed_property"}
)


def _signature(node: Node, after: int) -> tuple[int, int]:
    """First and last byte of a function's signature: from its name, or the function it is set to, up to its body."""
    for _ in range(3):
        body = node.child_by_field_name("body")
        if body is None:
            body = next((child for child in node.children if child.type in _BODIES and child.start_byte >= after), None)
        if body is not None:
            return after, body.start_byte
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if value is None:
            break
        node, after = value, value.start_byte
    parameters = node.child_by_field_name("parameters")
    return after, parameters.end_byte if parameters is not None and parameters.end_byte > after else node.end_byte
