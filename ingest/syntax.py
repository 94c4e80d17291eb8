"""A file's outline by its syntax tree. The tree lives only as long as the call.

Parsing is nearly all of the cost, so the tree is walked only where that changes something: into nodes that hold
definitions, and into nodes that are longer than a chunk. The walk keeps its own stack: trees nest deeper than Python does.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from tree_sitter import Node, Parser, Tree

from codequarry.ingest import grammars
from codequarry.ingest.grammars import Grammar, Rule
from codequarry.ingest.naming import Names
from codequarry.ingest.outline import Break, Definition, Lines, Outline, breaks_by_lines, definitions_by_keyword

MAX_PARSED_BYTES = 512 * 1024
"""Longer files are cut by lines: a tree takes 30 times the memory of its text, and people seldom write that much."""

_PARSE_STEPS = 60_000
"""After this many reports of progress a parser gives way. A report is 100 steps, a normal file makes 5 of them a KB; it takes
about 2 seconds. Steps, not seconds, so that the same file is cut alike on a busy machine."""

_NESTED = frozenset({"function", "class", "struct", "interface", "enum", "trait", "object", "module"})
_ANY_COLUMN = -1
_PLAIN = Rule()


def outline(text: bytes, lines: Lines, grammar: str) -> Outline | None:
    """The outline of a text in the language of the named grammar. None when the file is too long, or its parser too slow."""
    if len(text) > MAX_PARSED_BYTES:
        return None
    loaded = grammars.load(grammar)
    tree = _parse(text, grammar, loaded)
    return _Walk(loaded, text, lines).run(tree) if tree is not None else None


@functools.cache
def _parser(grammar: str) -> Parser:
    return Parser(grammars.load(grammar).language)


def _parse(text: bytes, grammar: str, loaded: Grammar) -> Tree | None:
    steps = 0

    def gives_way(_offset: int, _has_error: bool) -> bool:
        nonlocal steps
        steps += 1
        return steps > _PARSE_STEPS

    parser = _parser(grammar)
    try:
        return parser.parse(lambda offset, _point: text[offset : offset + 65536], progress_callback=gives_way)
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
        self.breaks: list[tuple[Break, int]] = []  # with the column
        self.plain: list[Break] = []
        self.leads: dict[int, tuple[int, int]] = {}  # row after a comment -> row and column where the comment begins
        self.definitions: list[Definition] = []

    def run(self, tree: Tree) -> Outline:
        root = tree.root_node
        stack = [_Task(root)]
        while stack:
            task = stack.pop()
            stack.extend(self._look_into(task, -1 if task.node is root else task.node.start_point[0]))
        breaks = [found._replace(row=self._begin(found.row, column)) for found, column in self.breaks]
        return Outline(breaks + self.plain, self.definitions)

    def _begin(self, row: int, column: int) -> int:
        """Where a thing at `row` begins when the comments and attributes right above it are counted in."""
        while (lead := self.leads.get(row)) is not None and lead[1] in (column, _ANY_COLUMN):
            row = lead[0]
        return row

    def _look_into(self, task: _Task, ended: int) -> list[_Task]:
        """Notes what the children of a node define and where it may be cut; returns those that are to be looked into.

        `ended` is the last row that something before the children stands on: a child on it does not begin its line.
        """
        lines, rules, named = self.lines, self.grammar.rules, self.grammar.named
        opened = ended < 0  # no break between a body's opening line and the first thing in it
        until = _last_row(task.node)
        added = 0
        before = ""
        below: list[_Task] = []
        for child in task.node.children:
            kind = child.kind_id
            row, column = child.start_point
            last = _last_row(child)
            fresh = row > ended
            if last > ended:
                ended = last
            if kind not in named:
                continue
            rule = rules.get(kind, _PLAIN)
            if rule.lead and fresh:
                self.leads[last + 1] = (row, _ANY_COLUMN if child.type == "access_specifier" else column)
            found = rule.names(child, self.text) if rule.names is not None else ()
            if found and task.inner:
                found = [one for one in found if one.kind in _NESTED]
            first = task.wrapper if task.wrapper >= 0 else self._begin(row, column) if fresh else row
            if fresh and task.cuts and opened:
                again = 1 if found and found[0].name == before else 0
                self.breaks.append((Break(row, task.level + again, until), column))
                added = 1
            opened = True
            before = found[0].name if found else before if rule.lead else ""
            big = lines.exceed(first, last)
            if found:
                scope = self._define(child, found, task, first, last)
                if found[0].inside:
                    level = task.level + (0 if rule.look else 1)
                    below.append(_Task(child, scope, level, -1, False, task.inner, found[0].inside))
                elif big:
                    below.append(_Task(child, scope, task.level + 2, -1, False, True))
            elif rule.look or rule.wrap:
                if big or not task.inner:
                    level = task.level + (added if task.inner else 0)
                    wrapper = first if rule.wrap else -1
                    below.append(_Task(child, task.scope, level, wrapper, rule.look and big, task.inner, task.inside))
                if kind == grammars.ERROR and not task.inner:
                    self.definitions += self._broken(row, last, task.scope)
            elif rule.lead:
                if big:
                    self.plain += breaks_by_lines(lines, row, last, task.level + 2)
            elif big:
                below.append(_Task(child, task.scope, task.level + added, -1, True, True))
        start = task.node.start_point[0]
        if not added and not below and lines.exceed(start, until):
            self.plain += breaks_by_lines(lines, start, until, task.level + 1)
        return below

    def _define(self, node: Node, found: Names, task: _Task, first: int, last: int) -> int:
        """Notes the names that a node defines; the index of the first."""
        index = len(self.definitions)
        for name in found:
            kind, signature = name.kind, (0, 0)
            if kind == "function":
                kind = task.inside
            elif kind == "variable" and task.inside == "method":
                kind = "field"
            if kind in ("function", "method", "macro"):
                signature = (name.after, _signature_end(node, name.after))
            self.definitions.append(
                Definition(name.name, kind, name.row, first, last, task.scope, name.owner, signature)
            )
        return index

    def _broken(self, first: int, last: int, scope: int) -> list[Definition]:
        """What can be told of the rows that the parser could not make sense of."""
        text = "\n".join(self.lines.rows[first : last + 1])
        return definitions_by_keyword(text, first, last, scope)


def _last_row(node: Node) -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row


_BODIES = frozenset(
    {"function_body", "match", "do_block", "block", "enum_class_body", "template_body", "computed_property"}
)


def _signature_end(node: Node, after: int) -> int:
    """The byte where the signature of a function ends: at its body, at the end of the node where it has none."""
    for _ in range(3):
        body = node.child_by_field_name("body")
        if body is None:
            body = next((child for child in node.children if child.type in _BODIES and child.start_byte >= after), None)
        if body is not None:
            return body.start_byte if body.start_byte >= after else after
        inner = node.child_by_field_name("value") or node.child_by_field_name("right")
        if inner is None:
            break
        node = inner
    parameters = node.child_by_field_name("parameters")
    return parameters.end_byte if parameters is not None and parameters.end_byte > after else node.end_byte
