r"""The statements of SQL, told apart without a grammar, for every dialect has its own and files mix them.

One pass over what can hide or end a statement: quotes, comments, `$tag$` bodies, `BEGIN … END`, `;`, and the lines that
command-line clients read themselves (`DELIMITER //`, `GO`, `/`, `\connect`). What opens and never closes is read as an
ordinary character, so that one stray apostrophe does not swallow a file. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_ROUTINES = frozenset({"function", "procedure", "proc", "trigger", "package", "event"})
_KINDS = {
    "table": "table", "view": "view", "function": "function", "procedure": "function", "proc": "function",
    "aggregate": "function", "macro": "macro", "trigger": "trigger", "event": "trigger", "index": "index", "type": "type",
    "domain": "type", "schema": "schema", "database": "schema", "sequence": "sequence", "package": "module",
}  # fmt: skip
_SAY_WHICH = frozenset(  # what may stand between CREATE, ALTER or INSERT and the word that says what is meant
    """or replace alter temp temporary global local private unlogged materialized unique fulltext spatial bitmap
    clustered nonclustered columnstore virtual foreign external transient recursive force noforce editionable noneditionable
    constraint definer algorithm sql security invoker trusted dynamic live secure hybrid multiset set volatile column
    ignore abort fail rollback low_priority high_priority delayed overwrite""".split()
)
_BEFORE_NAME = {
    "package": "body", "type": "body", "index": "concurrently", "event": "trigger", "schema": "authorization",
    "aggregate": "function", "into": "table", "": "into",
}  # fmt: skip
_OBJECTS = {
    "create": _KINDS,
    "alter": dict.fromkeys(_KINDS, ""),
    "replace": {**_KINDS, "into": ""},
    "insert": {"into": "", "table": ""},
    "merge": {"into": ""},
    "copy": {},
}
"""By the first word of a statement what it may be about; a kind where it defines that, else it is a part of breadcrumbs."""
_EVERYWHERE = frozenset({"public", "dbo", "main"})
"""Schemas that say nothing about what stands in them."""

_HEAD_PIECES = 40
_MAX_UNCLOSED = 16
_MAX_DROPPED = 16

# ------------------------------------------------------------------------------------------------------------ statements

_ROW_BEGINS = (
    r"^\\[^\n]*|\\g[^\n]*"  # a command of psql; `\g` and MySQL's `\G` end a statement
    r"|^[ \t]*+(?:(?P<go>go(?:[ \t]+\d+)?[ \t]*+;?|/)[ \t]*+\r?$"
    r"|delimiter[ \t]+(?P<delimiter>[^\w\s'\"`(),]{1,8})[ \t]*+\r?$"
    r"|(?P<create>create\b)"
    r"|(?P<comment>#(?![\w>=-])[^\n]*+))"  # elsewhere `#` is an operator, but for MySQL
)
_HIDES = r"['\"`;()#]|--|/\*|(?<![\w$])\$(?:[A-Za-z_]\w{0,60})?\$"
_WORDS = (
    r"(?<![\w.@$:\[])(?:"
    r"(?P<begin>begin(?!\s*;|\s+(?:tran|transaction|work|deferred|immediate|exclusive|isolation|read|not\s+deferrable)\b)|case)"
    r"|(?P<end>end)(?:[ \t]+(?P<ended>if|loop|while|repeat|for|case))?"
    r"|(?P<body>as|is(?!\s+(?:not|null|true|false|distinct|json)\b)|declare)"
    r"|(?P<nested>procedure|function)|(?P<acts>select|insert|update|delete|call))(?![\w$])"
)
_FLAGS = re.IGNORECASE | re.MULTILINE
_SIMPLE = re.compile(f"{_ROW_BEGINS}|{_HIDES}", _FLAGS)
_WITH_BLOCKS = re.compile(f"{_ROW_BEGINS}|{_HIDES}|{_WORDS}", _FLAGS)

SPACE = re.compile(r"\s*+")
_CONDITIONAL = re.compile(r"/\*!\d*+|\*/")  # what MySQL alone reads, and the end of it
_COMMENT = re.compile(r"--|/\*(?!!)|#")
_LINE = re.compile(r"[^\n]*+")
_CLIENT_LINE = re.compile(r"\\|\.[a-z]|@|:(?:r|setvar|on)\b|(?:prompt|rem|remark|spool|whenever)\b", re.IGNORECASE)
_BETWEEN = re.compile(_ROW_BEGINS, _FLAGS)
_IS_TEXT = re.compile(r"\s*+(?:[a-z]?'|[$(\"])", re.IGNORECASE)
_TEMPORARY = re.compile(r"create\s+(?:(?:global|local)\s+)?(?:temp|table\s+\[?#)", re.IGNORECASE)
_BLOCK_VERBS = frozenset({"begin", "declare", "if", "while", "loop", "for"})
_MAY_CREATE = frozenset({"grant", "revoke", "explain"})
_DECLARES = re.compile(r"declare[ \t]*+(?:--[^\n]*+)?\r?\n", re.IGNORECASE)

_ESCAPED = {quote: re.compile(rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+{quote}", re.DOTALL) for quote in "'\""}
_BACKSLASH_ESCAPES = re.compile(r"^[ \t]*+delimiter\s|\bengine\s*=|\bauto_increment\b|/\*!\d", _FLAGS)
_NEW_STATEMENT = re.compile(r";[ \t]*+(?:--[^\n]*+)?\r?\n\s*+(?<=\n)create\s", re.IGNORECASE)
_NESTING = re.compile(r"/\*|\*/")
_HAS_BATCHES = re.compile(r"^[ \t]*+go[ \t]*+;?[ \t]*+\r?$", _FLAGS)
_FROM_STDIN = re.compile(r"\bfrom\s+stdin\b", re.IGNORECASE)
_PIECE = re.compile(
    r"\"(?P<double>(?:[^\"\n]|\"\"){0,200}+)\"|`(?P<back>[^`\n]{0,200}+)`|\[(?P<square>[^\]\n]{0,200}+)\]"
    r"|(?P<template>\$?\{\{?[^{}\n]{0,100}+\}\}?)|'[^'\n]{0,200}+'|(?P<word>[\w$#@]{1,200}+)|."
)


class Head(NamedTuple):
    """How a statement begins: what it does, to what. `after` is where what was read of it ends."""

    verb: str
    after: int
    what: str = ""  # the word for the kind of thing
    body: bool = False  # PACKAGE BODY, TYPE BODY
    kind: str = ""
    name: str = ""
    owner: str = ""  # what qualifies the name
    name_at: int = 0


class Part(NamedTuple):
    """A statement, or a comment or a client's line between statements: characters `start`..`end` of the text."""

    start: int
    end: int
    head: Head | None  # None: a comment


class _Block:
    """Whether a `;` is one within a routine or a block.

    Oracle declares variables and routines between IS or AS and BEGIN; a package is all of that, up to its END.
    """

    def __init__(self, head: Head, declares: bool) -> None:
        self.packaged = head.what == "package" or head.body
        self.routine = head.what in _ROUTINES or head.body
        self.may_declare = self.routine and head.what not in ("trigger", "event")
        self.bodied = False  # whether AS or IS was met
        self.declares = declares  # between IS, AS or DECLARE, and the END of what they begin
        self.depth = 0  # of BEGIN and CASE, and a package
        self.nested = 0  # routines that are declared, their bodies still to come

    @property
    def open(self) -> bool:
        return self.depth > 0 or self.declares

    def take(self, match: re.Match[str]) -> None:
        """Goes on by one word of `_WORDS`."""
        if match["begin"]:
            self.depth += 1
        elif match["end"]:
            if (match["ended"] or "case").lower() == "case":
                self._end()
        elif self.depth:
            return
        elif match["nested"]:
            self.nested += self.declares
        elif self.declares:
            return
        elif match["acts"]:
            self.may_declare = False
        elif match["body"].lower() == "declare":
            self.declares = self.routine
        else:
            self.bodied = self.routine
            self.declares = self.may_declare
            self.depth += self.may_declare and self.packaged

    def _end(self) -> None:
        self.depth = max(self.depth - 1, 0)
        if not self.depth:
            self.declares = self.declares and self.nested > 0
            self.nested = max(self.nested - 1, 0)


def parts(text: str) -> Iterator[Part]:
    """The statements of a text and what stands between them, in order."""
    return _Splitter(text).parts()


def past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """The end of what the pattern matches at a place, the place itself where it does not."""
    found = pattern.match(text, at)
    return found.end() if found else at


class _Splitter:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.escapes = bool(_BACKSLASH_ESCAPES.search(text)) or ("`" in text and "$$" not in text)
        self.batches = bool(_HAS_BATCHES.search(text))
        self.nests = True  # whether comments do
        self.delimiter = ""  # in place of `;`
        self.delimiter_at = -1
        self.unclosed: set[str] = set()
        self.dropped = 0

    def parts(self) -> Iterator[Part]:
        """The statements and what stands between them, in order."""
        text, at, size = self.text, int(self.text.startswith("\ufeff")), len(self.text)
        while (at := past(SPACE, text, at)) < size:
            line_start = text.rfind("\n", max(at - 200, 0), at) + 1
            if _COMMENT.match(text, at) and (end := self._comment(at, starts=True)):
                yield Part(at, end, None)
                at = end
            elif (between := _BETWEEN.match(text, line_start)) and not between["create"] and between.end() > at:
                if between["delimiter"]:
                    self._set_delimiter(between["delimiter"], between.end())
                    if self.delimiter:
                        yield Part(at, between.end(), None)
                elif not between["go"]:
                    yield Part(at, between.end(), Head("", at))
                at = between.end()
            elif self.delimiter and text.startswith(self.delimiter, at):
                at += len(self.delimiter)
            elif text[at] == ";":
                at += 1
            elif _CLIENT_LINE.match(text, at):
                end = past(_LINE, text, at)
                yield Part(at, end, Head("", at))
                at = end
            else:
                head = self._head(at)
                block = _Block(head, bool(_DECLARES.match(text, at)))
                end = self._end(at, head, block)
                if head.verb == "alter" and block.bodied:  # how SQL Server writes a routine anew
                    head = head._replace(kind=_KINDS[head.what])
                if head.verb == "copy" and _FROM_STDIN.search(text, at, min(end, at + 2000)):
                    end = self._data_end(end)
                yield Part(at, end, head)
                at = end

    def _end(self, start: int, head: Head, block: _Block) -> int:
        """Where the statement ends: with its `;`, or before the line that ends it."""
        text = self.text
        in_block = block.routine or head.verb in _BLOCK_VERBS
        pattern = _WITH_BLOCKS if in_block else _SIMPLE
        parens = 0
        at = start if head.verb in _BLOCK_VERBS else head.after
        while match := pattern.search(text, at):
            mark, found = match[0], match.start()
            if self.delimiter:
                until = self._next_delimiter(at)
                if until >= 0 and (until < found or (until == found and not _COMMENT.match(text, found))):
                    return until + len(self.delimiter)
            at = match.end()
            if mark == ";":
                if not (self.delimiter or block.open or (self.batches and block.bodied)):
                    return at
            elif mark == "(" or mark == ")":
                parens = max(parens + (1 if mark == "(" else -1), 0)
            elif mark[0] in "'\"`":
                at = self._quoted(found)
            elif mark == "--" or mark == "/*" or mark == "#":
                at = self._comment(found) or at
            elif mark[0] == "$":
                at = self._close(mark, at) or at
            elif mark[0] == "\\":
                return found if found == 0 or text[found - 1] == "\n" else at
            elif match["comment"]:
                continue
            elif match["go"] or match["delimiter"]:
                if match["go"] != "/" or not parens:
                    return found
            elif match["create"]:
                # A new statement, though the one before has no end: unless it may well be a part of that.
                indented = match.start("create") > found
                part = block.routine and (indented or _TEMPORARY.match(text, found) or (self.batches and block.bodied))
                if not (part or parens or head.verb in _MAY_CREATE):
                    return found
            elif not (match["body"] and (parens or _IS_TEXT.match(text, at))):
                block.take(match)
        until = self._next_delimiter(at) if self.delimiter else -1
        return until + len(self.delimiter) if until >= 0 else len(text)

    def _set_delimiter(self, delimiter: str, at: int) -> None:
        usual = delimiter == ";" or self.text.find(delimiter, at) < 0
        self.delimiter, self.delimiter_at = "" if usual else delimiter, -1

    def _next_delimiter(self, at: int) -> int:
        if self.delimiter_at < at:
            self.delimiter_at = self.text.find(self.delimiter, at)
            if self.delimiter_at < 0:
                self.delimiter = ""
        return self.delimiter_at

    def _quoted(self, at: int) -> int:
        """The end of what is quoted from `at` on; of the quote alone when it seems to be none."""
        quote, text = self.text[at], self.text
        end: int | None
        before = text[max(at - 2, 0) : at]
        escaped = quote == "'" and before[-1:] in ("e", "E") and not before[:-1].isalnum()
        if escaped or (self.escapes and quote != "`"):
            key = f"\\{quote}"
            match = None if key in self.unclosed else _ESCAPED[quote].match(text, at + 1)
            end = match.end() if match else None
            if match is None:
                self.unclosed.add(key)
        else:
            end = self._close(quote, at + 1)
        if end is None:
            return at + 1
        if self.dropped < _MAX_DROPPED and text.find("\n", at, end) >= 0 and _NEW_STATEMENT.search(text, at, end):
            self.dropped += 1
            return at + 1
        return end

    def _close(self, closing: str, at: int) -> int | None:
        """The end of the next such text, None when there is none (any more), or too many never closed."""
        if closing in self.unclosed or len(self.unclosed) > _MAX_UNCLOSED:
            return None
        found = self.text.find(closing, at)
        if found < 0:
            self.unclosed.add(closing)
            return None
        return found + len(closing)

    def _comment(self, at: int, starts: bool = False) -> int | None:
        """The end of the comment that begins at `at`, None when there is none. `starts`: no statement is under way."""
        text = self.text
        if text[at] != "/":
            if text[at] == "#" and not (self.escapes or starts):
                return None
            return past(_LINE, text, at)
        if text.startswith("!", at + 2):  # MySQL reads what it holds
            return None
        end = self._close("*/", at + 2)
        if end is None or not self.nests:
            return end
        if text.find("/*", at + 2, end - 2) < 0:
            return end
        depth = 0
        for match in _NESTING.finditer(text, at):
            depth += 1 if match[0] == "/*" else -1
            if not depth:
                return match.end()
        self.nests = False
        return end

    def _data_end(self, at: int) -> int:
        """The end of the rows below COPY … FROM STDIN."""
        if self.text.startswith("\n\\.", at):
            return at + 3
        return self._close("\n\\.", at) or at

    # ---------------------------------------------------------------------------------------------------------- heads

    def _head(self, start: int) -> Head:
        """How the statement that begins at `start` begins."""
        found = self._pieces(start)
        first = next(found, None)
        if first is None or not first["word"]:
            return Head("", start)
        verb = first["word"].lower()
        head = Head(verb, first.end())
        if verb not in _OBJECTS:
            return head
        objects, pieces = _OBJECTS[verb], list(found)
        index = 0
        if verb != "copy":
            while index < len(pieces) and (word := _said(pieces[index])) not in objects:
                if pieces[index][0] == "=":
                    index += 1  # what is set does not count
                elif word and word not in _SAY_WHICH and word[0] != "@":
                    return head
                index += 1
            if index == len(pieces):
                return head
            head = head._replace(what=_said(pieces[index]), after=pieces[index].end())
            index += 1
        before = _BEFORE_NAME.get(head.what, "")
        while index < len(pieces) and (word := _said(pieces[index])):
            if word == before:
                head = head._replace(body=word == "body")
            elif word not in ("if", "not", "exists") and not (word == "only" and verb == "alter"):
                break
            index += 1
        return self._named(head, pieces[index:], objects.get(head.what, ""))

    def _named(self, head: Head, pieces: list[re.Match[str]], kind: str) -> Head:
        """The head with its name, which the pieces begin with, if any."""
        parts: list[re.Match[str]] = []
        after_dot = True
        for piece in pieces:
            if piece[0] == ".":
                after_dot = True
            elif after_dot and piece.lastgroup:
                parts.append(piece)
                after_dot = False
            else:
                break
        if not parts or (head.what == "index" and _said(parts[0]) == "on"):
            return head
        *owners, name = ["" if part["template"] else _unquoted(part) for part in parts]
        owner = ".".join(owner for owner in owners if owner and owner.lower() not in _EVERYWHERE)
        return head._replace(after=parts[-1].end(), kind=kind, name=name, owner=owner, name_at=parts[-1].start())

    def _pieces(self, at: int) -> Iterator[re.Match[str]]:
        """The first words, quoted names and marks from `at` on, without comments, up to a `;`."""
        text = self.text
        for count in range(_HEAD_PIECES):
            while True:
                at = past(SPACE, text, at)
                if marker := _CONDITIONAL.match(text, at):
                    at = marker.end()
                elif _COMMENT.match(text, at) and (end := self._comment(at)):
                    at = end
                else:
                    break
            piece = _PIECE.match(text, at)
            if piece is None or piece[0] == ";" or (count and _said(piece) == "create"):
                return
            yield piece
            at = piece.end()


def _said(piece: re.Match[str]) -> str:
    """The word that a piece is, in small letters, "" when it is none."""
    return (piece["word"] or "").lower()


def _unquoted(piece: re.Match[str]) -> str:
    name = piece[piece.lastgroup or 0].replace('""', '"')
    return " ".join(name.split())[:100]
