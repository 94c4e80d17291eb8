"""What every way of reading a file comes to: where it may be cut, and what it defines. Lines here are rows, counted from 0."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import NamedTuple

_ONE = 1

MAX_LINES = 50
MAX_CHARS = 4000
"""The size of a chunk, unless it is a single longer line. Characters count the line ends between its lines."""


Break = tuple[int, int, int]
"""That the file may be cut before a row: `(row, level, until)`.

`level` says how bad that is: 0 between the things a file consists of, 1 between the members of one of them, and so on
inwards. `until` is the last row of what is cut in two, the file's last row at level 0. Plain tuples: there are many.
"""


class Definition(NamedTuple):
    """Something with a name that stands on the rows `first`..`last`, its comments included.

    `scope` is the index of the enclosing definition in the outline, -1 at the top. An empty `kind`: it is part of
    breadcrumbs, not a symbol. `owner` names an enclosing thing that stands elsewhere (a method's receiver).
    """

    name: str
    kind: str
    row: int  # of the name
    first: int
    last: int
    scope: int
    owner: str = ""
    signature: tuple[int, int] = (0, 0)  # bytes of the text between the name and the body


class Outline(NamedTuple):
    """The breaks of a file, in any order, and its definitions, an enclosing one before those it encloses."""

    breaks: list[Break]
    definitions: list[Definition]


class Lines(NamedTuple):
    """The lines of a text: only a line feed ends one, as in git. Both lists of places have one entry more than `rows`."""

    rows: list[str]
    offsets: list[int]  # where a row begins, in characters
    begins: list[int]  # and in bytes

    @staticmethod
    def of(text: str) -> Lines:
        """The lines of a text."""
        rows = text.split("\n")
        offsets = list(accumulate(map(_ONE.__add__, map(len, rows)), initial=0))
        if text.isascii():
            return Lines(rows, offsets, offsets)
        return Lines(rows, offsets, list(accumulate((len(row.encode()) + 1 for row in rows), initial=0)))

    def exceed(self, first: int, last: int) -> bool:
        """Whether the rows `first`..`last` are too much for one chunk."""
        return last - first >= MAX_LINES or self.offsets[last + 1] - self.offsets[first] > MAX_CHARS + 1


def blank(line: str) -> bool:
    """Whether a line shows nothing."""
    return not line or line.isspace()


_MAY_CONTINUE = frozenset("})].,|&+?:=aecdfot")
_FARTHEST = 3000
# A line that goes on with, or closes, what stands before it.
_CONTINUES = re.compile(
    r"\s*(?:[})\]]|(?:end|else|elif|elsif|elseif|catch|except|finally|then|do|done|fi|esac|and|or)\b|[.,|&+?:=])"
)


def breaks_by_lines(lines: Lines, first: int, last: int, level: int) -> list[Break]:
    """Breaks inside the rows `first`..`last`, from what every text shows: empty lines and indentation. `level`: of the best."""
    found: list[tuple[int, int, int]] = []  # row, indentation, cost beside it
    after_blank = False
    for row in range(first, last + 1):
        line = lines.rows[row]
        bare = line.lstrip(" \t")
        if not bare or bare.isspace():
            after_blank = True
            continue
        if row > first:
            indent = len(line) - len(bare)
            if indent and line[0] == "\t":
                indent += 3 * line.count("\t", 0, indent)
            cost = 0 if after_blank else 2
            if bare[0] in _MAY_CONTINUE and _CONTINUES.match(bare):
                cost += 3
            found.append((row, indent, cost))
        after_blank = False
    outer = min((indent for _, indent, _ in found), default=0)
    return [(row, level + min((indent - outer + 3) // 4, 4) + cost, last) for row, indent, cost in found]


_KEYWORDS = {
    "class": "class", "struct": "struct", "interface": "interface", "protocol": "interface", "trait": "trait", "enum": "enum",
    "union": "union", "record": "class", "object": "object", "module": "module", "namespace": "module", "package": "module",
    "func": "function", "function": "function", "fun": "function", "fn": "function", "def": "function", "defp": "function",
    "sub": "function", "proc": "function", "procedure": "function", "method": "method", "macro": "macro", "type": "type",
    "contract": "class", "defun": "function", "defn": "function", "defmacro": "macro", "subroutine": "function",
    "message": "class", "service": "class", "rpc": "method", "mixin": "class", "extension": "", "impl": "",
}  # fmt: skip
_BY_KEYWORD = re.compile(
    r"^[ \t]*\(?(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override|virtual|inline|sealed"
    r"|open|data|partial|pub(?:\([\w:]+\))?|unsafe|extern|const|local|declare|recursive|pure|elemental|external|case) +)*"
    r"(" + "|".join(_KEYWORDS) + r")[ \t]+([^\W\d][\w.:$'!?*-]*)",
    re.MULTILINE,
)  # fmt: skip


def definitions_by_keyword(lines: Lines, first: int, last: int, scope: int = -1, base: int = 0) -> list[Definition]:
    """Definitions told by a keyword before a name, in languages without grammar and in code that no grammar accepts.

    How far they reach is told by indentation. `scope` encloses them all; `base` is the index that the first of them will have.
    """
    rows = lines.rows
    found: list[Definition] = []
    around: list[int] = []  # indices into `found` of what encloses the next one
    text = "\n".join(rows[first : last + 1])
    row, seen = first, 0
    for match in _BY_KEYWORD.finditer(text):
        row += text.count("\n", seen, match.start(2))
        seen = match.start(2)
        name, kind = match[2].rstrip(".:-*'"), _KEYWORDS[match[1]]
        if not name:
            continue
        while around and found[around[-1]].last < row:
            around.pop()
        within = base + around[-1] if around else scope
        around.append(len(found))
        found.append(Definition(name, kind, row, row, _reach(rows, row, last), within))
    return found


def _reach(rows: list[str], row: int, last: int) -> int:
    """The last row of what begins at `row`: up to the next line that is not deeper, which closes it or begins something else."""
    indent = len(rows[row]) - len(rows[row].lstrip())
    end = row
    for below in range(row + 1, min(last, row + _FARTHEST) + 1):
        line = rows[below]
        if blank(line):
            continue
        bare = line.lstrip()
        if len(line) - len(bare) <= indent:
            if len(line) - len(bare) < indent or (bare[0] not in "{})" and not bare.startswith("end")):
                break
            end = below
            if bare[0] in "}e":
                break
            continue
        end = below
    return end
