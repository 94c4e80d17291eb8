"""An answer of a tool as text: pieces up to a number of tokens, in which nothing is hidden.

Code comes from repositories, where anyone may have written anything: each line of it stands behind its number, and characters
that hide or reorder text are shown as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel

from codequarry.service.tools.results import Reply, Result
from codequarry.text import count_tokens

MOST_TOKENS = 8000
"""Of one form of an answer; a model that asks has other things to keep in mind."""

LINES = 40  # of a hit or a definition that are shown
_NOTES, _NOTE = 10, 300  # notes, and characters of one
WIDTH = 400  # characters of a line that are shown: longer ones are data, or minified
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\U000e0000-\U000e0fff]"
)


class Page:
    """Collects the pieces of an answer until they have as many tokens as it may."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.items: list[Any] = []
        self._tokens = self._structured = 0
        self.is_full = False

    def add(self, text: str, item: BaseModel) -> bool:
        """Adds a piece when there is room for it, and the first one always; whether it did."""
        tokens = self._tokens + count_tokens(text)
        structured = self._structured + count_tokens(item.model_dump_json())
        if self.items and max(tokens, structured) > MOST_TOKENS:
            self.is_full = True
            return False
        self._tokens, self._structured = tokens, structured
        self.text.append(text)
        self.items.append(item)
        return True

    def cursor(self, start: int, after: int | str | None) -> str | None:
        """Where the next answer begins: after the pieces that had room, or else where the index says (`after`)."""
        following = start + len(self.items) if self.is_full else after
        return None if following is None else str(following)

    def reply(self, result: Result, empty: str) -> Reply:
        """The pieces, or the text for none, then what is to be known about them."""
        ends = [f"note: {note}" for note in result.notes]
        if result.hint:
            ends.append(f"hint: {result.hint}")
        if result.next_cursor:
            ends.append(f"more with cursor={result.next_cursor}")
        return Reply("\n".join(["\n".join(self.text) if self.text else empty, *ends]), result)


def clean(text: str) -> str:
    """`visible` text on one line."""
    return visible(text.replace("\n", "\\n"))


def visible(text: str) -> str:
    """The text with characters that hide or reorder others, and what is no Unicode, as visible escapes."""
    return _HIDDEN.sub(_escape, text)


def shown(notes: Iterable[str]) -> list[str]:
    """Notes as they may be shown, and not more than anyone reads: some repeat what was asked."""
    return [note if len(note) <= _NOTE else f"{note[:_NOTE]}…" for note in map(clean, islice(notes, _NOTES))]


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return "" if code == 13 else f"\\u{{{code:x}}}"


def shown_line(text: str) -> tuple[str, bool]:
    """A line as it may be shown, and whether it was cut."""
    safe = clean(text)
    return (f"{safe[:WIDTH]}…", True) if len(safe) > WIDTH else (safe, False)


def shortened(rows: Sequence[str]) -> list[str]:
    """The first of these lines, as they may be shown: no piece of an answer is more than half of it."""
    kept: list[str] = []
    tokens = 0
    for row in rows[:LINES]:
        text, _ = shown_line(row)
        tokens += count_tokens(text) + 2
        if kept and tokens > MOST_TOKENS // 2:
            break
        kept.append(text)
    return kept


def numbered(lines: Sequence[str], first: int) -> list[str]:
    """The lines behind their numbers, from `first`."""
    width = len(str(first + len(lines)))
    return [f"{number:>{width}}| {row}" for number, row in enumerate(lines, first)]


def version(branch: str, commit: str, modified: bool) -> str:
    """Which version of a file: `main@1a2b3c4d, modified`; that of a folder without git: as it is on the disk."""
    named = f"{clean(branch)}{f'@{commit[:8]}' if commit else ''}" or "as on disk"
    return f"{named}{', modified' if modified else ''}"


def place(one: Any) -> dict[str, Any]:
    """The fields of a `results.Place`, of a record that has them."""
    return {
        "repo": clean(one.repo),
        "branch": clean(one.branch),
        "commit": one.commit,
        "path": clean(one.path),
        "url": one.url,
        "modified": one.modified,
    }
