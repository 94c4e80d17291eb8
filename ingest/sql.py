"""The outline of SQL: its statements, each with the comment above it, and what they create."""

from __future__ import annotations

import re
from bisect import bisect_right

from codequarry.ingest import statements
from codequarry.ingest.outline import Break, Definition, Lines, Outline, breaks_by_lines
from codequarry.ingest.statements import SPACE, Head, past

_QUERY_NAME = re.compile(r"--[ \t]*+name:[ \t]*+([\w-]{1,100})")
_MEMBER = re.compile(
    r"^[ \t]*+(?:(?:overriding|final|map|order|member|static|constructor)[ \t]+){0,3}"
    r"(?:procedure|function)[ \t]+\"?([\w$#]{1,128})",
    re.IGNORECASE | re.MULTILINE,
)
_BRACKETS = re.compile(r"[()]")
_LONGEST_SIGNATURE = 600


def outline(text: str, lines: Lines) -> Outline:
    """The outline of a text in SQL: each statement with the comment above it, and what it creates."""
    return _Outliner(text, lines).run()


class _Outliner:
    """Makes an outline of the parts of a text."""

    def __init__(self, text: str, lines: Lines) -> None:
        self.text = text
        self.lines = lines
        self.breaks: list[Break] = []
        self.definitions: list[Definition] = []
        self.counted = (0, 0)  # a place in the text, in characters and in bytes

    def run(self) -> Outline:
        final = len(self.lines.rows) - 1
        ended = -1  # the last row of the statement before
        before: tuple[str, str] | None = None  # what that was about
        lead: tuple[int, int, int] | None = None  # first and last row of the comment before, and where it begins
        for start, end, head in statements.parts(self.text):
            row, last = self._rows(start, end)
            if head is None:
                if row > ended:
                    if lead is None or lead[1] + 1 < row:
                        of_client = lead is not None and lead[1] + 2 == row and self.text[start] not in "-/#"
                        self.breaks.append((row, int(of_client), final))
                        lead = (row, last, start)
                    else:
                        lead = (lead[0], last, lead[2])
                    if self.lines.exceed(row, last):
                        self.breaks += breaks_by_lines(self.lines, row, last, 1)
                continue
            first, name_row = row, -1
            if lead is not None and lead[1] + 1 >= row:
                first = lead[0]
                if query := _QUERY_NAME.search(self.text, lead[2], min(start, lead[2] + 2000)):
                    name_row = self._row(query.start(1))
                    head = head._replace(kind="function", name=query[1], owner="", what="")
            about = (head.what, head.owner + "." + head.name) if head.name else (head.verb, "")
            if row > ended and head.verb != "end":
                follows = about == before and first == row and first == ended + 1
                under_title = lead is not None and lead[1] + 2 == row and lead[0] > 0
                self.breaks.append((first, int(follows or under_title), final))
            if head.name:
                self._define(head, name_row if name_row >= 0 else self._row(head.name_at), first, last, end)
            if self.lines.exceed(row, last):
                self.breaks += breaks_by_lines(self.lines, row, last, 2 if head.what == "package" or head.body else 1)
            if (head.what == "package" or head.body) and head.kind and head.name:
                self._members(start, end, last)
            before, ended, lead = about, last, None
        return Outline(self.breaks, self.definitions)

    def _row(self, at: int) -> int:
        return bisect_right(self.lines.offsets, at) - 1

    def _rows(self, start: int, end: int) -> tuple[int, int]:
        """The first and the last row on which something of the text from `start` to `end` is seen."""
        while end - 1 > start and self.text[end - 1].isspace():
            end -= 1
        return self._row(start), self._row(end - 1)

    def _define(self, head: Head, row: int, first: int, last: int, end: int) -> None:
        signature = (0, 0)
        if head.what and head.kind in ("function", "macro"):
            signature = self._signature(head.after, end)
        self.definitions.append(Definition(head.name, head.kind, row, first, last, -1, head.owner, signature))

    def _members(self, start: int, end: int, last: int) -> None:
        """The procedures and functions of a package: each reaches to the next."""
        scope = len(self.definitions) - 1
        found = [(self._row(one.start(1)), one[1]) for one in _MEMBER.finditer(self.text, start, end)]
        for index, (row, name) in enumerate(found):
            until = found[index + 1][0] - 1 if index + 1 < len(found) else last
            self.breaks.append((row, 1, last))
            self.definitions.append(Definition(name, "function", row, row, max(until, row), scope))

    def _signature(self, at: int, end: int) -> tuple[int, int]:
        """First and last byte of the parameters that begin at `at`, of a statement that ends at `end`."""
        opened = past(SPACE, self.text, at)
        if not self.text.startswith("(", opened):
            return (0, 0)
        until = min(opened + _LONGEST_SIGNATURE, end)
        depth = 0
        for match in _BRACKETS.finditer(self.text, opened, until):
            depth += 1 if match[0] == "(" else -1
            if not depth:
                until = match.end()
                break
        return self._byte(opened), self._byte(until)

    def _byte(self, at: int) -> int:
        """Where that character is in the encoded text. Asked for in order: each counts on from the one before."""
        characters, count = self.counted
        self.counted = (at, count + len(self.text[characters:at].encode()))
        return self.counted[1]
